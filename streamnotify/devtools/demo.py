"""Everything at work on this machine: a broker, the topics, an inbox, a worker, a monitor, four events and a flood."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from confluent_kafka import Message

from streamnotify.devtools.inbox import HOST, Inbox, ReceivedMail
from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.devtools.kafka.broker import free_port, is_free
from streamnotify.devtools.kafka.console import Console
from streamnotify.devtools.kafka.download import default_distribution
from streamnotify.devtools.worker_process import WorkerProcess
from streamnotify.errors import StreamnotifyError
from streamnotify.stream.topic_admin import TopicAdmin
from streamnotify.stream.topic_reader import TopicReader
from streamnotify.wire.dead_letter import MESSAGE
from streamnotify.wire.topic_layout import layouts
from streamnotify.wire.topics import DEAD_LETTERS, MONITOR_CONFIGS, NOTIFICATION_STATUS, TASK_EVENTS, Topic

KAFKA_PORT, SMTP_PORT, PAGE_PORT, HEALTH_PORT = 9092, 1025, 8025, 8091  # taken if free
PARTITIONS = 8  # the default, so that commands in other terminals need not be told
READY_WITHIN = timedelta(seconds=90)
ARRIVED_WITHIN = timedelta(seconds=60)

SILENT = {"task_name": "cache-cleanup", "status": "Completed"}
SUCCESS = {
    "task_name": "nightly-report",
    "task_id": "report-2024-01-15",
    "status": "Completed",
    "duration_s": 165,
    "notify": {"email": "ann@example.com", "name": "Ann"},
    "result": {"test_run_id": "7f3a"},
}
FAILURE = {
    "task_name": "invoice-export",
    "task_id": "invoices-4711",
    "status": "Stopped",
    "duration_s": 3.5,
    "error": {"type": "ConnectionError", "message": "the billing database did not answer"},
    "notify": {"email": "bob@example.com", "name": "Bob"},
}
POISON = '{"task_name": "nightly-report", "status":'  # no whole JSON value
MONITOR = {
    "interval": {"every": 5, "period": "seconds"},
    "tasks": {
        "database-backup": {
            "expected_statuses": ["Completed"],
            "notify_to": ["ops@example.com"],
            "dependent_tasks": ["nightly-report"],
            "notify": "on_change",  # one mail, not one each five seconds
        }
    },
}
FLOOD = [
    {
        "task_name": "web-crawler",
        "task_id": f"crawl-{number:02}",
        "status": "Stopped",
        "error": "the site answers 503",
        "notify": {"email": "carol@example.com", "name": "Carol"},
    }
    for number in range(25)
]
DIGEST_WINDOW = "5s"  # by default 30 minutes
EXPECTED = (  # whom a mail goes to, and what it says
    ("ann@example.com", "nightly-report"),
    ("bob@example.com", "invoice-export"),
    ("ops@example.com", "database-backup"),
    ("carol@example.com", "web-crawler"),
    ("carol@example.com", f"{len(FLOOD) - 1} failed"),
)
EVENT_TO_TRY = '{"task_name": "my-task", "status": "Completed", "notify": {"email": "me@example.com"}}'

Say = Callable[[str], None]


class DemoFailed(StreamnotifyError):
    """The demo did not show what it should."""


@dataclass(slots=True)
class Stage:
    """What runs, where it is reached, and what came out so far."""

    kafka: EmbeddedKafka
    inbox: Inbox
    console: Console
    health_port: int
    directory: Path
    dead_letters: list[Message] = field(default_factory=list)
    statuses: list[dict[str, object]] = field(default_factory=list)

    def note(self, message: Message) -> None:
        """Take in a record of one of the topics we read along."""
        if message.topic() == DEAD_LETTERS.name:
            self.dead_letters.append(message)
        else:
            self.statuses.append(json.loads(message.value() or b"{}"))

    def sent(self) -> list[dict[str, object]]:
        """The statuses that say that the relay has taken a mail."""
        return [status for status in self.statuses if status["status"] == "sent"]


def run(*, once: bool, say: Say) -> None:
    """Show everything at work; then stay until KeyboardInterrupt, unless ``once``.

    Raises:
        DemoFailed: if not everything arrived that should, or something did that should not.
        StreamnotifyError: if a part cannot be started.
    """
    with ExitStack() as parts:
        stage = _set_up(parts, say)
        worker = _start_worker(parts, stage, say)
        reader = TopicReader(stage.kafka.bootstrap_servers, [DEAD_LETTERS.name, NOTIFICATION_STATUS.name])
        parts.enter_context(reader)
        _publish(stage, say)
        _await_all(stage, reader, worker)
        _report(stage, say)
        if not once:
            where_to_look(stage, say)
            _read_along(stage, reader, worker, say)
        say("Stopping …")


def _set_up(parts: ExitStack, say: Say) -> Stage:
    """Start broker and inbox and create the topics."""
    directory = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="streamnotify-demo-")))
    distribution = default_distribution(say)
    libs = distribution.libs()
    say("Starting Apache Kafka …")
    started = time.monotonic()
    port = KAFKA_PORT if is_free(KAFKA_PORT) else None
    kafka = parts.enter_context(EmbeddedKafka(port=port, report=say, distribution=distribution))
    say(f"✓ Kafka on {kafka.bootstrap_servers}, after {time.monotonic() - started:.1f} s")
    topics = TopicAdmin(kafka.bootstrap_servers).apply(layouts("", "streamnotify", PARTITIONS, 1))
    say(f"✓ {len(topics)} topics")
    inbox = parts.enter_context(Inbox(_free_or_any(SMTP_PORT), _free_or_any(PAGE_PORT)))
    say(f"✓ Inbox: SMTP on {HOST}:{inbox.smtp_port}, mails at {inbox.url}")
    console = Console(libs, kafka.bootstrap_servers)
    return Stage(kafka, inbox, console, HEALTH_PORT if is_free(HEALTH_PORT) else free_port(), directory)


def _free_or_any(port: int) -> int:
    return port if is_free(port) else 0


def _settings(stage: Stage) -> dict[str, str]:
    """The worker's settings; the person's own do not concern it."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": stage.kafka.bootstrap_servers,
        "SMTP_HOST": HOST,
        "SMTP_PORT": str(stage.inbox.smtp_port),
        "SMTP_TLS": "none",
        "SMTP_FROM": "noreply@example.com",
        "FRONTEND_URL": "http://localhost:3000",
        "STREAMNOTIFY_PARTITIONS": str(PARTITIONS),
        "STREAMNOTIFY_DIGEST_WINDOW": DIGEST_WINDOW,
    }


def _start_worker(parts: ExitStack, stage: Stage, say: Say) -> WorkerProcess:
    say("Starting the worker …")
    started = time.monotonic()
    worker = WorkerProcess(_settings(stage), stage.directory, stage.health_port)
    worker.start()
    parts.callback(worker.stop)
    if not worker.wait_until_ready(READY_WITHIN):
        raise DemoFailed(f"the worker was not ready in {READY_WITHIN.total_seconds():.0f} s:\n{worker.log_tail()}")
    say(f"✓ Worker, after {time.monotonic() - started:.1f} s; its log is {worker.log}")
    return worker


def _publish(stage: Stage, say: Say) -> None:
    """A monitor, and events, the silent one first: what follows it shows that it was handled."""
    say("\nPublishing through Kafka's console producer, a monitor:")
    _produce(stage, MONITOR_CONFIGS, [f"watch-backups|{json.dumps(MONITOR)}"], say)
    say("events:")
    single = [json.dumps(SILENT), json.dumps(SUCCESS), json.dumps(FAILURE), POISON]
    flood = [json.dumps(event) for event in FLOOD]
    _produce(stage, TASK_EVENTS, single + flood, say, shown=len(single) + 1)
    say("Carol gets a mail, and a digest once nothing more has come for " + DIGEST_WINDOW)


def _produce(stage: Stage, topic: Topic, lines: Sequence[str], say: Say, *, shown: int | None = None) -> None:
    for line in lines[:shown]:
        say(f"  {line}")
    if shown is not None:
        say(f"  … and {len(lines) - shown} more like the last")
    command = stage.console.producer(stage.console.topic(topic.name))
    published = subprocess.run(command, input="\n".join(lines) + "\n", capture_output=True, text=True, check=False)
    if published.returncode:
        raise DemoFailed(f"the console producer ended with exit code {published.returncode}:\n{published.stderr}")


def _await_all(stage: Stage, reader: TopicReader, worker: WorkerProcess) -> None:
    deadline = time.monotonic() + ARRIVED_WITHIN.total_seconds()
    while len(stage.sent()) < len(EXPECTED) or not stage.dead_letters:
        worker.require_alive()
        if time.monotonic() > deadline:
            break
        if message := reader.next(timedelta(seconds=0.5)):
            stage.note(message)
    if found := problems(stage):
        raise DemoFailed("\n".join([*found, "The worker's last lines:", worker.log_tail()]))


def problems(stage: Stage) -> list[str]:
    """What did not arrive, or should not have."""
    found = []
    arrived = [(mail.recipients[0], f"{mail.subject}\n{mail.part('plain')}") for mail in stage.inbox.mails]
    for address, said in EXPECTED:
        if not any(to == address and said in text for to, text in arrived):
            found.append(f"no mail about {said} for {address}")
    if len(stage.inbox.mails) > len(EXPECTED):
        found.append(f"{len(stage.inbox.mails)} mails instead of {len(EXPECTED)}")
    if any(status.get("task_name") == SILENT["task_name"] for status in stage.statuses):
        found.append(f"{SILENT['task_name']} is silent, but something was decided about mailing it")
    if [message.value() for message in stage.dead_letters] != [POISON.encode()]:
        found.append(f"{len(stage.dead_letters)} dead letters instead of the one poison record")
    return found


def _report(stage: Stage, say: Say) -> None:
    say("\nWhat came of it:")
    for mail in stage.inbox.mails:
        say(f"  ✓ {_mail_line(mail)}")
        say(textwrap.indent((mail.part("plain") or "").strip(), "      │ ", predicate=lambda _: True))
    say(f"  ✓ {SILENT['task_name']} asked for no mail, and made none")
    for message in stage.dead_letters:
        say(f"  ✓ {_dead_letter_line(message)}")


def _mail_line(mail: ReceivedMail) -> str:
    return f'mail to {", ".join(mail.recipients)}: "{mail.subject}"'


def _dead_letter_line(message: Message) -> str:
    headers = dict(message.headers() or [])
    reason = headers.get(MESSAGE)  # with the field in front
    said = reason.decode() if isinstance(reason, bytes) else "no reason given"
    value = (message.value() or b"").decode("utf-8", "replace")
    return f"dead letter: {value[:80]}\n      because: {said}"


def where_to_look(stage: Stage, say: Say) -> None:
    """Say what a person can look at while the demo stays, and with which commands."""
    command = _command()
    at = "" if stage.kafka.bootstrap_servers.endswith(f":{KAFKA_PORT}") else _elsewhere(stage)
    say(
        f"""
Look at
  mails           {stage.inbox.url}
  metrics         http://{HOST}:{stage.health_port}/metrics
  what happened   {at}{command} kafka consume {NOTIFICATION_STATUS.name} --from-beginning
  the same told   {at}{command} why --to carol@example.com
  her mailbox     {at}{command} mailbox show carol@example.com
  monitors        {at}{command} monitor list
  dead letters    {at}{command} dead-letters list

Send an event yourself, from another terminal:
  echo '{EVENT_TO_TRY}' | {at}{command} kafka produce {TASK_EVENTS.name}

Ctrl-C ends everything."""
    )


def _elsewhere(stage: Stage) -> str:
    return f"KAFKA_BOOTSTRAP_SERVERS={stage.kafka.bootstrap_servers} "


def _command() -> str:
    """How a person at this terminal calls the command that we are part of."""
    script = Path(sys.executable).with_name("streamnotify")
    if not script.exists():
        return f"{sys.executable} -m streamnotify"
    if (found := shutil.which("streamnotify")) and Path(found) == script:
        return "streamnotify"
    return str(script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script)


def _read_along(stage: Stage, reader: TopicReader, worker: WorkerProcess, say: Say) -> None:
    """Say what arrives from now on, until KeyboardInterrupt."""
    seen = len(stage.inbox.mails)
    try:
        while True:
            worker.require_alive()
            message = reader.next(timedelta(seconds=0.5))
            if message is not None and message.topic() == DEAD_LETTERS.name:
                say(_dead_letter_line(message))
            for mail in stage.inbox.mails[seen:]:
                say(_mail_line(mail))
                seen += 1
    except KeyboardInterrupt:
        say("")
