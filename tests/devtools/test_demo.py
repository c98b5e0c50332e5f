"""The demo as a person runs it, that it notices what is missing, and that it leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path

import click
import pytest

from streamnotify import settings
from streamnotify.cli.main import main
from streamnotify.devtools.demo import show
from streamnotify.devtools.demo.hints import where_to_look
from streamnotify.devtools.demo.pages import PageFailed, press_button, unsubscribe_link, view_all_link
from streamnotify.devtools.demo.stage import READ, Addresses, DemoFailed, Stage
from streamnotify.devtools.inbox import Inbox
from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.stream.topic_admin import TopicAdmin
from streamnotify.stream.topic_reader import TopicReader
from streamnotify.wire.topic_layout import layouts

COMMAND = [sys.executable, "-u", "-m", "streamnotify", "demo"]
AT = Addresses(
    kafka="127.0.0.1:19092",
    inbox="http://127.0.0.1:1/",
    web="http://127.0.0.1:2",
    metrics="http://127.0.0.1:3/metrics",
    token="snt_x",
)


def environment() -> dict[str, str]:
    return settings.child_environment({"PYTHONPATH": os.pathsep.join(sys.path)})


def test_once_shows_every_scene_and_ends_with_0(tmp_path: Path) -> None:
    # A .env of the person's own must not reach the demo's services.
    (tmp_path / ".env").write_text("SMTP_USER=someone\nSTREAMNOTIFY_TOPIC_PREFIX=theirs.\n")
    ended = subprocess.run(
        [*COMMAND, "--once"], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=240, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for shown in (
        'mail to ann@example.com: "Task Completed: nightly-report - Success"',
        'mail to bob@example.com: "Task Completed: invoice-export - Failed"',
        "one event per line",
        'mail to you@example.com: "Task Completed: email_notification_test - Success"',
        'mail to ops@example.com: "[ALERT] orders-import Status Check Failed"',
        'mail to ops@example.com: "[ALERT] price-feed Status Check Failed"',
        'mail to ops@example.com: "[ALERT] database-backup Has Not Executed"',
        'mail to ops@example.com: "[RESOLVED] price-feed Status Check Passed"',
        'mail to carol@example.com: "Task Completed: web-crawler - Failed"',
        'mail to carol@example.com: "24 failed — 24 task notifications"',
        "no mail about web-crawler crawl-25: opted_out_kind",
        "its link leads to a page with all 24 of them",
        "9 mails in all",
    ):
        assert shown in ended.stdout


class Staying:
    """A demo that stays: what it says, and every process that it is."""

    def __init__(self, directory: Path) -> None:
        self._output = directory / "output"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                COMMAND, cwd=directory, env=environment(), stdout=output, stderr=subprocess.STDOUT
            )

    def wait_until(self, said: str) -> str:
        """Wait until it has said something; all that it said."""
        self.wait_for(lambda: said in self._said() or self.process.poll() is not None)
        assert said in self._said(), self._said()
        return self._said()

    def family(self) -> set[int]:
        """Its process, its children, theirs, and so on."""
        parents = processes()
        family = {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in family} - family:
            family |= more
        return family

    def wait_for(self, condition: Callable[[], bool], seconds: float = 120) -> None:
        """Wait until a condition holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self._said()
            time.sleep(0.1)

    def _said(self) -> str:
        return self._output.read_text(errors="replace")


@contextmanager
def staying(directory: Path) -> Iterator[Staying]:
    demo = Staying(directory)
    try:
        yield demo
    finally:
        demo.process.kill()  # then all of it ends
        demo.process.wait()


def processes() -> dict[int, int]:
    """The parent of every process that runs, by its id."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True).stdout
    return {int(pid): int(parent) for pid, parent, state in map(str.split, listed.splitlines()) if state[0] != "Z"}


def test_it_stays_for_a_click_on_unsubscribe_and_ends_as_a_whole_when_told_to(tmp_path: Path) -> None:
    with staying(tmp_path) as demo:
        said = demo.wait_until("Ctrl-C ends everything.")
        link = re.search(r"^  (http://127\.0\.0\.1:\d+/unsubscribe/\S+)$", said, re.MULTILINE)
        assert link
        press_button(link[1])
        demo.wait_until("no mail about web-crawler crawl-25: opted_out_kind")
        family = demo.family()
        assert len(family) >= 7, "the demo, Kafka, two producers, the worker, its engine, the web process"
        demo.process.terminate()
        assert demo.process.wait(60) == 0
        assert not family & processes().keys()


def test_ctrl_c_while_it_begins_leaves_no_process_behind(tmp_path: Path) -> None:
    with staying(tmp_path) as demo:
        demo.wait_until("An inbox that takes every mail")
        family = demo.family()
        demo.process.send_signal(signal.SIGINT)
        assert demo.process.wait(60) == 130
        assert not family & processes().keys()


@pytest.mark.soak
def test_killed_by_force_it_leaves_no_process_behind(tmp_path: Path) -> None:
    """Its services then have nobody to say good-bye to, and give that up after half a minute."""
    with staying(tmp_path) as demo:
        demo.wait_until("1 · Tasks end")
        family = demo.family()
        assert len(family) >= 7
        demo.process.kill()
        demo.process.wait()
        demo.wait_for(lambda: not family & processes().keys())


def test_what_can_be_tried_is_shown_by_commands_that_there_are() -> None:
    said = where_to_look(AT, "http://127.0.0.1:2/unsubscribe/x")
    assert "KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:19092" in said
    named = re.findall(r"streamnotify ([a-z-]+)(?: --[a-z]+| ([a-z]+))", said)
    assert {("why", ""), ("mailbox", "show"), ("kafka", "consume"), ("kafka", "produce"), ("monitor", "list")} <= {
        *named
    }
    for name, below in named:
        command = main.get_command(click.Context(main), name)
        assert command is not None
        assert not isinstance(command, click.Group) or below in command.commands


@pytest.fixture
def stage(kafka: EmbeddedKafka, unique: str) -> Iterator[Stage]:
    """A stage on which nothing happens."""
    TopicAdmin(kafka.bootstrap_servers).apply(layouts(f"{unique}.", "sn", 1, 1))
    topics = [f"{unique}.{topic.name}" for topic in READ]
    with Inbox() as inbox, TopicReader(kafka.bootstrap_servers, topics) as reader:
        yield Stage(lambda _: None, AT, inbox, [], reader, {}, patience=timedelta(seconds=0.2))


def test_what_does_not_happen_ends_the_demo_with_the_reason(stage: Stage) -> None:
    with pytest.raises(DemoFailed, match=r'no mail to ann@example\.com about "Success" came within 0\.2 s'):
        stage.mail("ann@example.com", "Success", "")
    with pytest.raises(DemoFailed, match=r"nothing said that the mail about run-1 is suppressed \(opted_out_kind\)"):
        stage.suppressed("run-1", "opted_out_kind")
    with pytest.raises(DemoFailed, match=r"no dead letter came of \{ within"):
        stage.dead_letter("{")


def test_what_should_not_have_happened_ends_it_too(stage: Stage) -> None:
    for _ in range(show.MAILS):
        stage.inbox.take("noreply@example.com", ["ann@example.com"], EmailMessage().as_bytes())
    show.nothing_else_came(stage)
    stage.statuses.append({"task_name": show.SILENT["task_name"], "status": "suppressed"})
    with pytest.raises(DemoFailed, match="cache-cleanup is silent, but something was decided about mailing it"):
        show.nothing_else_came(stage)
    stage.inbox.take("noreply@example.com", ["ann@example.com"], b"")
    with pytest.raises(DemoFailed, match="10 mails came instead of 9"):
        show.nothing_else_came(stage)


def test_a_link_or_a_button_that_is_not_there_is_said(stage: Stage) -> None:
    stage.inbox.take("noreply@example.com", ["ann@example.com"], b"Subject: Hello\r\n\r\nHello\r\n")
    with pytest.raises(PageFailed, match='the mail "Hello" has no unsubscribe link'):
        unsubscribe_link(stage.inbox.mails[0])
    with pytest.raises(PageFailed, match='the mail "Hello" has no link to all of its notifications'):
        view_all_link(stage.inbox.mails[0])
    with pytest.raises(PageFailed, match="there is no button to press"):
        press_button(stage.inbox.url)
    with pytest.raises(PageFailed, match="404"):
        press_button(f"{stage.inbox.url}nowhere")
