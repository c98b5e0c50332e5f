"""``streamnotify run``: what is published, on real Kafka and without it, and what is refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from streamnotify.cli.child_process import Ending
from streamnotify.cli.run import command
from streamnotify.cli.run_options import NAME, TEXT
from streamnotify.cli.run_report import error_of
from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.devtools.kafka.broker import free_port
from streamnotify.stream.topic_admin import TopicAdmin
from streamnotify.stream.topic_reader import TopicReader
from streamnotify.wire import fields, task_event
from streamnotify.wire.topic_layout import layouts
from tests.cli.with_and_without import ROOT, Seen, environment, seen


class Topic:
    """A topic for events, and ``streamnotify run`` with it."""

    def __init__(self, bootstrap_servers: str, prefix: str, directory: Path) -> None:
        TopicAdmin(bootstrap_servers).apply(layouts(prefix, "sn", 1, 1))
        self.env = environment(bootstrap_servers, prefix) | {"XDG_STATE_HOME": str(directory / "state")}
        self._directory = directory

    def run(self, *arguments: str, **env: str) -> Seen:
        """``streamnotify run <arguments>``."""
        return run(*arguments, env=self.env | env, directory=self._directory)

    def events(self, task_name: str) -> list[dict[str, Any]]:
        """What was published about a task, as a worker accepts it; the keys are the runs'."""
        found = []
        topic = f"{self.env['STREAMNOTIFY_TOPIC_PREFIX']}task-events"
        with TopicReader(self.env["KAFKA_BOOTSTRAP_SERVERS"], [topic]) as reader:
            for record in reader.to_the_end():
                task_event.parse(record.value())
                event = json.loads(record.value() or b"")
                assert (record.key() or b"").decode() == event["task_id"]
                found += [event] if event["task_name"] == task_name else []
        return found


def run(*arguments: str, env: dict[str, str], directory: Path) -> Seen:
    """``streamnotify run <arguments>`` in a directory."""
    return seen([sys.executable, "-m", "streamnotify", "run"], arguments, env, cwd=directory)


@pytest.fixture(scope="module")
def topic(kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> Topic:
    """One for all tests; take different task names."""
    return Topic(kafka.bootstrap_servers, f"run{os.urandom(4).hex()}.", tmp_path_factory.mktemp("run"))


def test_a_run_starts_and_completes_with_everything_that_was_said_about_it(topic: Topic) -> None:
    run = "--task nightly --id r1 --attempt 2 --schedule night --source gap/prod"
    told = "--user u1 --org acme --email ann@example.com --name Ann --on Failure,success --template own --urgent"
    context = "--context-type CI --context-model Job --context-id 42"
    options = [*run.split(), *told.split(), *context.split(), "--subject", "{task_name}!"]
    done = topic.run(*options, "--", "sleep", "0.2")
    assert done == Seen(0, b"", b"")
    started, ended = topic.events("nightly")
    same = {
        "task_name": "nightly",
        "task_id": "r1",
        "attempt": 2,
        "user_id": "u1",
        "organization_id": "acme",
        "notify": {
            "template": "own",
            "subject_template": "{task_name}!",
            "email": "ann@example.com",
            "name": "Ann",
            "on": ["failure", "success"],
            "urgent": True,
        },
        "context": {"model": "Job", "type": "CI", "id": "42"},
        "schedule": "night",
        "source": "gap/prod",
    }
    assert {name: started[name] for name in same} == {name: ended[name] for name in same} == same
    assert (started["status"], ended["status"], ended["exit_code"]) == ("Running", "Completed", 0)
    assert "error" not in ended
    assert "submitted_at" not in started
    assert started["started_at"] == ended["started_at"] == started["occurred_at"]
    assert ended["finished_at"] == ended["occurred_at"]
    took = datetime.fromisoformat(ended["finished_at"]) - datetime.fromisoformat(ended["started_at"])
    assert 0.2 <= ended["duration_s"] == pytest.approx(took.total_seconds(), abs=0.1)
    assert (started["producer"]["role"], started["producer"]["seq"], ended["producer"]["seq"]) == ("cli", 1, 2)
    assert started["event_id"] != ended["event_id"]


@pytest.mark.parametrize(
    ("arguments", "returncode", "error"),
    [
        (["sh", "-c", "exit 3"], 3, {"message": "exit code 3"}),
        (["sh", "-c", "kill -TERM $$"], -15, {"message": "killed by SIGTERM", "cause": "signal"}),
        (["sh", "-c", "kill -40 $$"], -40, {"message": "killed by signal 40", "cause": "signal"}),
        (["no-such-command"], 127, {"message": "no-such-command: command not found", "cause": "exec"}),
        ([""], 127, {"message": ": command not found", "cause": "exec"}),
        (["./none"], 127, {"message": "./none: No such file or directory", "cause": "exec"}),
        (["/dev/null", "x"], 126, {"message": "/dev/null: Permission denied", "cause": "exec"}),
        (["sh", "-c", "exit 127"], 127, {"message": "exit code 127"}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_run_that_fails_is_stopped_and_says_why(
    topic: Topic, unique: str, arguments: list[str], returncode: int, error: dict[str, str]
) -> None:
    done = topic.run("--task", unique, "--", *arguments)
    _, ended = topic.events(unique)
    exit_code = returncode if returncode > 0 else None
    assert (ended["status"], ended.get("exit_code"), ended["error"]) == ("Stopped", exit_code, error)
    assert done.returncode == returncode
    said = f"streamnotify: {error['message']}\n" if error.get("cause") == "exec" else ""
    assert (done.stdout, done.stderr.decode()) == (b"", said)


def test_a_core_dump_is_mentioned() -> None:
    error = error_of(Ending(None, 11, dumped_core=True))
    assert error is not None
    assert error.message == "killed by SIGSEGV (core dumped)"


@pytest.mark.parametrize(
    ("options", "notify"),
    [
        ("--org acme", None),
        ("--user u1", {}),
        ("--email ann@example.com", {"email": "ann@example.com"}),
        ("--notify", {}),
        ("--email ann@example.com --silent", None),
    ],
)
def test_somebody_is_told_if_it_is_said_who_or_that(
    topic: Topic, unique: str, options: str, notify: dict[str, str] | None
) -> None:
    assert topic.run("--task", unique, *options.split(), "true").returncode == 0  # `--` may be left out
    assert [event.get("notify") for event in topic.events(unique)] == [notify, notify]


def test_a_run_without_an_id_is_a_new_one_and_the_command_is_told_which(topic: Topic, unique: str) -> None:
    shown = [topic.run("--task", unique, "--", "sh", "-c", "echo $STREAMNOTIFY_TASK_ID").stdout.decode() for _ in "12"]
    ids = [event["task_id"] for event in topic.events(unique)]
    assert ids == [shown[0].strip()] * 2 + [shown[1].strip()] * 2
    assert shown[0] != shown[1]


def test_a_python_command_reports_its_progress_without_naming_its_run(topic: Topic, unique: str) -> None:
    code = "from streamnotify.sdk import progress, default_publisher as publisher; progress(40); publisher().flush()"
    done = topic.run("--task", unique, "--id", "r1", "--attempt", "2", "--", sys.executable, "-c", code)
    assert done.returncode == 0
    (reported,) = (event for event in topic.events(unique) if "progress" in event)
    assert (reported["task_id"], reported["attempt"], reported["status"]) == ("r1", 2, "Running")


def test_verbose_says_what_was_published_on_standard_error(topic: Topic, unique: str) -> None:
    done = topic.run("--task", unique, "--id", "r7", "--verbose", "--", "sh", "-c", "exit 4")
    assert (done.returncode, done.stdout) == (4, b"")
    assert f"published: {unique} is Stopped; streamnotify why --task r7 says who is told" in done.stderr.decode()


def test_the_settings_of_a_dotenv_file_hold_too_but_the_command_does_not_get_them(topic: Topic, tmp_path: Path) -> None:
    names = ("KAFKA_BOOTSTRAP_SERVERS", "STREAMNOTIFY_TOPIC_PREFIX")
    (tmp_path / ".env").write_text("".join(f"{name}={topic.env[name]}\n" for name in names))
    others = {name: value for name, value in topic.env.items() if name not in names}
    done = run("--task", "dotenv", "--", "sh", "-c", "echo $KAFKA_BOOTSTRAP_SERVERS", env=others, directory=tmp_path)
    assert done == Seen(0, b"\n", b"")
    assert len(topic.events("dotenv")) == 2


def test_a_dotenv_file_that_cannot_be_read_costs_no_event(topic: Topic, unique: str, tmp_path: Path) -> None:
    """Commands run in anybody's directory; the environment may say all that is needed."""
    (tmp_path / ".env").write_bytes(b"NAME=\xff\n")
    done = run("--task", unique, "--", "true", env=topic.env, directory=tmp_path)
    assert done.returncode == 0
    assert b"streamnotify: .env is not read: " in done.stderr
    assert [event["status"] for event in topic.events(unique)] == ["Running", "Completed"]


def test_without_kafka_the_command_is_run_at_once_and_its_end_goes_out_with_the_next(
    topic: Topic, unique: str, tmp_path: Path
) -> None:
    state = {"XDG_STATE_HOME": str(tmp_path)}
    down = {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}", **state}
    began = time.monotonic()
    done = topic.run("--task", unique, "--id", "lost?", "--", "sh", "-c", "date +%s.%N; exit 3", **down)
    assert done.returncode == 3
    assert time.monotonic() - began < 60
    spool = tmp_path / "streamnotify" / "spool"
    assert done.stderr.decode() == (
        f"streamnotify: Kafka did not take how {unique} ended; kept in {spool} for the next run or "
        "`streamnotify spool replay`\n"
    )
    assert topic.run("--task", "another", "--", "true", **state) == Seen(0, b"", b"")
    [late] = topic.events(unique)
    assert (late["task_id"], late["status"], late["exit_code"]) == ("lost?", "Stopped", 3)


def test_a_spool_that_was_asked_for_takes_it_without_a_word(topic: Topic, tmp_path: Path) -> None:
    down = {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}", "STREAMNOTIFY_SPOOL_DIR": str(tmp_path)}
    assert topic.run("--task", "kept", "--", "sh", "-c", "exit 5", **down) == Seen(5, b"", b"")
    assert '\\"status\\":\\"Stopped\\"' in next(tmp_path.glob("*.jsonl")).read_text()


def test_what_nobody_took_is_said_in_one_line(topic: Topic, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    down = {
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",
        "STREAMNOTIFY_SPOOL_DIR": str(tmp_path / "file" / "x"),
    }
    done = topic.run("--task", "gone", "--", "sh", "-c", "exit 5", **down)
    assert (done.returncode, done.stdout) == (5, b"")
    assert re.fullmatch(r"streamnotify: nobody is told how gone ended: .*\n", done.stderr.decode())


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"KAFKA_BOOTSTRAP_SERVERS": ""}, "KAFKA_BOOTSTRAP_SERVERS is not set"),
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "KAFKA_SECURITY_PROTOCOL is 'TLS'"),
        ({"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_CAFILE": "/none"}, "there is no such file"),
    ],
    ids=["unset", "wrong", "no file"],
)
def test_wrong_settings_cost_one_line_and_not_the_command(topic: Topic, settings: dict[str, str], why: str) -> None:
    done = topic.run("--task", "x", "--", "sh", "-c", "echo done; exit 6", **settings)
    assert (done.returncode, done.stdout) == (6, b"done\n")
    assert re.fullmatch(rf"streamnotify: nobody is told how x ended: .*{why}.*\n", done.stderr.decode())


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("", "Missing option '--task'"),
        ("--task x --email nobody", "'nobody' is no e-mail address"),
        ("--task x --user u1 --on success,always", "success and failure are allowed"),
        ("--task x --urgent", "--email or --user is needed"),
        ("--task x --attempt 0", "Invalid value for '--attempt'"),
        (f"--task {'x' * 256}", "1 to 255 characters are allowed, not 256"),
        ("--task x --what", "No such option: --what"),
    ],
)
def test_a_wrong_option_is_refused_before_anything_is_run(topic: Topic, options: str, why: str) -> None:
    done = topic.run(*options.split(), "--", "echo", "ran")
    assert (done.returncode, done.stdout) == (2, b"")
    assert why in done.stderr.decode()


def test_a_command_is_needed(topic: Topic) -> None:
    assert topic.run("--task", "x").returncode == 2


def test_the_lengths_are_those_of_the_events() -> None:
    assert (NAME.most, TEXT.most) == (fields.NAME_LENGTH, fields.TEXT_LENGTH)


def test_the_page_names_every_option_and_no_other() -> None:
    there = {name for parameter in command.params for name in [*parameter.opts, *parameter.secondary_opts]}
    table = re.findall(r"^\| (`--.*?) \| ", (ROOT / "docs" / "run.md").read_text(), re.MULTILINE)
    named = {name for cell in table for name in re.findall("--[a-z-]+", cell)}
    assert named == {name for name in there if name.startswith("--")} - {"--task-id"}  # as `streamnotify emit` has it


def test_before_the_command_is_run_little_is_imported(topic: Topic) -> None:
    listing: Sequence[str] = [sys.executable, "-X", "importtime", "-m", "streamnotify", "run", "--help"]
    listed = subprocess.run(listing, env=topic.env, capture_output=True, check=True, text=True).stderr
    imported = {line.split("|")[-1].strip() for line in listed.splitlines()}
    assert "streamnotify.cli.run_options" in imported
    assert not imported & {"pydantic", "msgspec", "confluent_kafka", "faust", "structlog", "subprocess", "asyncio"}
