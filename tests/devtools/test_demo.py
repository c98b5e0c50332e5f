"""The demo as a person runs it, and that it notices what is missing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click

from streamnotify import settings
from streamnotify.cli.main import main
from streamnotify.devtools import demo
from streamnotify.devtools.inbox import Inbox
from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.devtools.kafka.console import Console


def test_once_shows_mails_an_alert_a_digest_a_silent_task_and_a_dead_letter_and_ends_with_0(tmp_path: Path) -> None:
    # A .env of the person's own must not reach the demo's worker.
    (tmp_path / ".env").write_text("SMTP_USER=someone\nSTREAMNOTIFY_TOPIC_PREFIX=theirs.\n")
    ended = subprocess.run(
        [sys.executable, "-m", "streamnotify", "demo", "--once"],
        cwd=tmp_path,
        env=settings.child_environment({"PYTHONPATH": os.pathsep.join(sys.path)}),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for shown in (
        'mail to ann@example.com: "Task Completed: nightly-report - Success"',
        'mail to bob@example.com: "Task Completed: invoice-export - Failed"',
        'mail to ops@example.com: "[ALERT] database-backup Has Not Executed"',
        'mail to carol@example.com: "Task Completed: web-crawler - Failed"',
        'mail to carol@example.com: "24 failed — 24 task notifications"',
        "cache-cleanup asked for no mail, and made none",
        "one event per line",
    ):
        assert shown in ended.stdout


def test_what_can_be_looked_at_is_shown_by_commands_that_there_are(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    said: list[str] = []
    with Inbox() as inbox:
        demo.where_to_look(
            demo.Stage(kafka, inbox, Console(tmp_path, kafka.bootstrap_servers), 0, tmp_path), said.append
        )
    named = re.findall(r"streamnotify ([a-z-]+)(?: --to| ([a-z]+))", said[0])
    assert {("why", ""), ("mailbox", "show"), ("kafka", "consume"), ("monitor", "list")} <= set(named)
    for name, below in named:
        command = main.get_command(click.Context(main), name)
        assert command is not None
        assert not below or (isinstance(command, click.Group) and below in command.commands)


def test_everything_that_did_not_arrive_is_a_problem(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    with Inbox() as inbox:
        stage = demo.Stage(kafka, inbox, Console(tmp_path, kafka.bootstrap_servers), 0, tmp_path)
        stage.statuses.append({"task_name": demo.SILENT["task_name"], "status": "suppressed"})
        assert demo.problems(stage) == [
            "no mail about nightly-report for ann@example.com",
            "no mail about invoice-export for bob@example.com",
            "no mail about database-backup for ops@example.com",
            "no mail about web-crawler for carol@example.com",
            "no mail about 24 failed for carol@example.com",
            "cache-cleanup is silent, but something was decided about mailing it",
            "0 dead letters instead of the one poison record",
        ]
