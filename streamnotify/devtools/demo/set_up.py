"""Starts what the demo needs on this machine: Kafka, the topics, an inbox, the worker and the web process."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from itertools import chain
from pathlib import Path

from streamnotify.devtools.demo.console_lines import ConsoleLines
from streamnotify.devtools.demo.stage import READ, Addresses, DemoFailed, Say, Stage
from streamnotify.devtools.inbox import HOST, Inbox
from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.devtools.kafka.broker import free_port, is_free
from streamnotify.devtools.kafka.console import Console
from streamnotify.devtools.kafka.download import default_distribution
from streamnotify.devtools.service_process import ServiceProcess, environment_of
from streamnotify.stream.topic_admin import TopicAdmin
from streamnotify.stream.topic_reader import TopicReader
from streamnotify.wire.topic_layout import layouts
from streamnotify.wire.topics import MONITOR_CONFIGS, TASK_EVENTS

KAFKA_PORT, SMTP_PORT, INBOX_PORT, WEB_PORT, HEALTH_PORT = 9092, 1025, 8025, 8090, 8091  # taken if free
PARTITIONS = 8  # the default, so that commands in other terminals need not be told
READY_WITHIN = timedelta(seconds=90)
DIGEST_WINDOW = timedelta(seconds=5)  # by default 30 minutes
YOU = "you@example.com"
TOKENS = "tokens.jsonl"


@contextmanager
def stage_set(say: Say) -> Iterator[Stage]:
    """Everything at work, until the end of the block.

    Raises:
        DemoFailed: if a part is not ready in time.
        StreamnotifyError: if one cannot be started.
    """
    with ExitStack() as parts:
        directory = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="streamnotify-demo-")))
        kafka, console = _kafka(parts, say)
        inbox = parts.enter_context(Inbox(_free_or_any(SMTP_PORT), _free_or_any(INBOX_PORT)))
        say(f"✓ An inbox that takes every mail: {inbox.url}")
        at = Addresses(
            kafka=kafka.bootstrap_servers,
            inbox=inbox.url,
            web=f"http://{HOST}:{_free_or_other(WEB_PORT)}",
            metrics=f"http://{HOST}:{_free_or_other(HEALTH_PORT)}/metrics",
            token=_new_token(directory / TOKENS),
        )
        lines = {
            topic.name: parts.enter_context(ConsoleLines(console, topic, directory))
            for topic in (TASK_EVENTS, MONITOR_CONFIGS)
        }
        services = _services(parts, at, inbox, directory, say)
        reader = parts.enter_context(TopicReader(at.kafka, [topic.name for topic in READ]))
        yield Stage(say, at, inbox, services, reader, lines)
        say("Stopping …")


def _kafka(parts: ExitStack, say: Say) -> tuple[EmbeddedKafka, Console]:
    distribution = default_distribution(say)
    libs = distribution.libs()
    say("Starting Apache Kafka, an inbox, `streamnotify worker` and `streamnotify web` …")
    started = time.monotonic()
    # Whoever else takes the usual port just now may have it: the broker is tried again on another one.
    ports = chain([_free_or_other(KAFKA_PORT)], iter(free_port, None))
    kafka = parts.enter_context(EmbeddedKafka(report=say, distribution=distribution, choose_port=ports.__next__))
    topics = TopicAdmin(kafka.bootstrap_servers).apply(layouts("", "streamnotify", PARTITIONS, 1))
    say(f"✓ Apache Kafka on {kafka.bootstrap_servers} with {len(topics)} topics, after {_since(started)}")
    return kafka, Console(libs, kafka.bootstrap_servers)


def _new_token(file: Path) -> str:
    """By the command with which people make theirs."""
    words = ["token", "create", "demo", "--scope=read", "--scope=publish", "--all-organizations", "--json"]
    words += [f"--file={file}", "--user=you", f"--email={YOU}", "--person=You"]
    made = subprocess.run(
        [sys.executable, "-m", "streamnotify", *words],
        env=environment_of({}),
        cwd=file.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise DemoFailed(f"`streamnotify {' '.join(words)}` failed: {made.stderr}")
    return str(json.loads(made.stdout)["token"])


def _services(parts: ExitStack, at: Addresses, inbox: Inbox, directory: Path, say: Say) -> list[ServiceProcess]:
    started = time.monotonic()
    given = settings_of(at, inbox, directory)
    worker = ServiceProcess("worker", given, directory, at.metrics.replace("/metrics", "/readyz"))
    web = ServiceProcess("web", given, directory, f"{at.web}/livez")
    for service in (worker, web):
        service.start()
        parts.callback(service.stop)
    for service in (worker, web):
        if not service.wait_until_ready(READY_WITHIN):
            within = f"{READY_WITHIN.total_seconds():.0f} s"
            raise DemoFailed(f"`streamnotify {service.command}` was not ready within {within}:\n{service.log_tail()}")
    say(f"✓ `streamnotify worker` and `streamnotify web` ({at.web}), after {_since(started)}")
    say(f"  their logs are {worker.log} and {web.log}")
    return [worker, web]


def settings_of(at: Addresses, inbox: Inbox, directory: Path) -> dict[str, str]:
    """The services' settings; the person's own do not concern them."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": at.kafka,
        "SMTP_HOST": HOST,
        "SMTP_PORT": str(inbox.smtp_port),
        "SMTP_TLS": "none",
        "SMTP_FROM": "noreply@example.com",
        "FRONTEND_URL": "http://localhost:3000",
        "STREAMNOTIFY_DATA_DIR": str(directory / "state"),
        "STREAMNOTIFY_PARTITIONS": str(PARTITIONS),
        "STREAMNOTIFY_DIGEST_WINDOW": f"{DIGEST_WINDOW.total_seconds():g}s",
        "STREAMNOTIFY_DIGEST_SHOW": "4",  # so that it fits a screen; by default 10
        "STREAMNOTIFY_SETTLE": "0.5s",
        "STREAMNOTIFY_HEALTH_BIND": _bind(at.metrics),
        "STREAMNOTIFY_HTTP_BIND": _bind(at.web),
        "STREAMNOTIFY_PUBLIC_URL": at.web,
        "STREAMNOTIFY_SECRET": secrets.token_hex(16),
        "STREAMNOTIFY_API_TOKENS_FILE": str(directory / TOKENS),
    }


def _bind(url: str) -> str:
    return url.removeprefix("http://").partition("/")[0]


def _free_or_any(port: int) -> int:
    return port if is_free(port) else 0


def _free_or_other(port: int) -> int:
    return port if is_free(port) else free_port()


def _since(started: float) -> str:
    return f"{time.monotonic() - started:.1f} s"
