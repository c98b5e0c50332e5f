"""``streamnotify web`` as a process: what makes it refuse to start, and what it puts on Kafka."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import msgspec
import pytest

from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.render.recipient_links import RecipientLinks
from streamnotify.stream.supervisor import REFUSED
from streamnotify.stream.topic_admin import TopicAdmin
from streamnotify.stream.topic_reader import TopicReader
from streamnotify.stream.writer import key_hash
from streamnotify.wire.commands import MailboxesCommand, Unsubscribe
from streamnotify.wire.topic_layout import layouts
from tests.web.browsing import SCOPE, SECRET
from tests.web.web_process import ENVIRONMENT, PUBLIC_URL, WebProcess


@pytest.fixture
def web(kafka: EmbeddedKafka, unique: str, tmp_path: Path) -> Iterator[WebProcess]:
    """The process, with topics of its own."""
    TopicAdmin(kafka.bootstrap_servers).apply(layouts(f"{unique}.", "streamnotify", 4, 1))
    process = WebProcess(
        tmp_path,
        KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap_servers,
        STREAMNOTIFY_TOPIC_PREFIX=f"{unique}.",
        **ENVIRONMENT,
    )
    yield process
    process.end(signal.SIGKILL)


def path_of_link() -> str:
    url = RecipientLinks(PUBLIC_URL, SECRET).unsubscribe.url(SCOPE, datetime.now(UTC))
    assert url is not None
    return url.removeprefix("http://127.0.0.1")


def commands(kafka: EmbeddedKafka, unique: str) -> list[tuple[str, int, MailboxesCommand]]:
    """Key, partition and content of what lies on [mailboxes]."""
    decode = msgspec.msgpack.Decoder(MailboxesCommand).decode
    with TopicReader(kafka.bootstrap_servers, [f"{unique}.streamnotify-mailboxes"]) as reader:
        return [
            ((each.key() or b"").decode(), each.partition() or 0, decode(each.value() or b""))
            for each in reader.to_the_end()
        ]


def test_a_click_is_a_command_to_the_mailbox_and_a_look_is_none(
    kafka: EmbeddedKafka, unique: str, web: WebProcess
) -> None:
    path = path_of_link()
    with httpx.Client(base_url=web.origin()) as client:
        assert client.get(path).status_code == 200
        assert client.head(path).status_code == 200
        assert commands(kafka, unique) == []
        answer = client.post(path, data={"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 200
        # It lies there when the answer has come, where the engine looks for it.
        assert commands(kafka, unique) == [(SCOPE.mailbox, key_hash(SCOPE.mailbox.encode()) % 4, Unsubscribe(SCOPE))]
        assert client.get("/livez").text == "ok\n"
        assert "server" not in answer.headers
    assert web.end() == 0
    assert path not in web.log  # whoever reads the log cannot unsubscribe anybody


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_it_is_told_to(web: WebProcess, number: int) -> None:
    web.origin()
    assert web.end(number) == 0
    assert "Traceback" not in web.log


def test_without_its_topic_nobody_is_told_that_they_are_unsubscribed(
    kafka: EmbeddedKafka, unique: str, tmp_path: Path
) -> None:
    process = WebProcess(
        tmp_path,
        KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap_servers,
        STREAMNOTIFY_TOPIC_PREFIX=f"{unique}.",
        **ENVIRONMENT,
    )
    try:
        assert httpx.post(process.origin() + path_of_link(), data={"choice": "kinds"}).status_code == 503
        assert f"{unique}.streamnotify-mailboxes" in process.log
        assert "streamnotify topics apply" in process.log
    finally:
        process.end(signal.SIGKILL)


def test_without_kafka_the_answer_is_to_try_again(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        process = WebProcess(tmp_path, KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{mute.getsockname()[1]}", **ENVIRONMENT)
        try:
            answer = httpx.post(process.origin() + path_of_link(), data={"choice": "kinds"}, timeout=60)
        finally:
            process.end(signal.SIGKILL)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "`streamnotify web` needs STREAMNOTIFY_PUBLIC_URL and STREAMNOTIFY_SECRET"),
        ({"STREAMNOTIFY_SECRET": SECRET}, "`streamnotify web` needs STREAMNOTIFY_PUBLIC_URL and STREAMNOTIFY_SECRET"),
        ({"STREAMNOTIFY_PUBLIC_URL": PUBLIC_URL}, "STREAMNOTIFY_SECRET is not set"),
        ({**ENVIRONMENT, "STREAMNOTIFY_PUBLIC_URL": "https://a.example.com/?x"}, "PUBLIC_URL: an https URL"),
        ({**ENVIRONMENT, "STREAMNOTIFY_HTTP_BIND": "192.0.2.1:80"}, "STREAMNOTIFY_HTTP_BIND is 192.0.2.1:80: a free"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(tmp_path: Path, environment: dict[str, str], said: str) -> None:
    process = WebProcess(tmp_path, **environment)
    assert process.end(0) == REFUSED
    assert process.log.startswith(f"Error: {said}")
    assert process.log.count("\n") == 1


def test_a_taken_port_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        process = WebProcess(tmp_path, **{**ENVIRONMENT, "STREAMNOTIFY_HTTP_BIND": bind})
        assert process.end(0) == REFUSED
    assert f"STREAMNOTIFY_HTTP_BIND is {bind}: a free port" in process.log


def test_it_needs_nothing_of_a_worker() -> None:
    """``pip install 'streamnotify[web]'`` is enough."""
    foreign = ("faust", "mode", "aiokafka", "rocksdict", "aiosmtplib", "prometheus_client", "ruamel", "uvloop")
    code = f"import sys; import streamnotify.cli.web; print([name for name in {foreign!r} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stdout == "[]\n", run.stderr
