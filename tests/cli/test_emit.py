"""``streamnotify emit``: what is wrong is said before anything is sent, what is right lies where its key belongs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from streamnotify import settings
from streamnotify.cli.main import main
from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.stream.topic_reader import TopicReader
from tests.cli.deployments import Deployment
from tests.cli.running import streamnotify

SMALLEST = {"task_name": "nightly-report", "status": "Completed"}
ENCLOSED = {"specversion": "1.0", "id": "e1", "source": "/a", "type": "t", "data": SMALLEST | {"task_id": "r1"}}
NOWHERE = "127.0.0.1:1"


def emit(*arguments: str, given: str | None = None, servers: str = NOWHERE) -> Result:
    """The result of ``streamnotify emit`` with something on its standard input."""
    ours = {settings.name_of(field): None for field in settings.Settings.model_fields}
    env = ours | {"KAFKA_BOOTSTRAP_SERVERS": servers}
    return CliRunner().invoke(main, ["emit", *arguments], input=given, env=env)


def shown(*arguments: str, given: str | None = None) -> list[dict[str, Any]]:
    """What would be sent."""
    result = emit("--dry-run", *arguments, given=given)
    assert (result.exit_code, result.stderr) == (0, "")
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_the_flags_make_an_event() -> None:
    flags = ["--task", "t", "--status", "stopped", "--task-id", "r1", "--user", "u1", "--org", "org-a"]
    flags += ["--email", "ann@example.com", "--context-type", "Hourly", "--error", "boom"]
    assert shown(*flags, "--result", "total_tests=10", "--result", "said=a=b", "--result", "ok=true") == [
        {
            "task_name": "t",
            "status": "stopped",
            "task_id": "r1",
            "user_id": "u1",
            "organization_id": "org-a",
            "error": "boom",
            "context": {"type": "Hourly"},
            "notify": {"email": "ann@example.com"},
            "result": {"total_tests": 10, "said": "a=b", "ok": True},
        }
    ]


@pytest.mark.parametrize(
    ("flags", "notify"),
    [
        ([], None),
        (["--notify"], True),
        (["--user", "u1"], True),
        (["--email", "ann@example.com"], {"email": "ann@example.com"}),
        (["--user", "u1", "--on", "failure", "--on", "cancelled"], {"on": ["failure", "cancelled"]}),
        (["--subject", "{task_name} is over", "--urgent"], {"subject_template": "{task_name} is over", "urgent": True}),
        (["--template", "test_execution_summary", "--name", "A"], {"template": "test_execution_summary", "name": "A"}),
        (["--user", "u1", "--silent"], None),
        (["--email", "ann@example.com", "--silent"], None),
    ],
)
def test_who_is_named_is_told_unless_it_is_to_be_silent(flags: list[str], notify: Any) -> None:
    assert shown("--task", "t", "--status", "Running", *flags)[0].get("notify") == notify


def test_a_rate_is_a_number() -> None:
    result = emit("--task", "t", "--status", "Running", "--rate", "nan")
    assert (result.exit_code, "'nan' is not a valid float" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(SMALLEST) + "\n\n" + json.dumps(SMALLEST),
        json.dumps(SMALLEST, indent=2) + json.dumps(SMALLEST, indent=2),
        json.dumps([SMALLEST, SMALLEST]),
        json.dumps([SMALLEST, SMALLEST], indent=2) + "\n",
        f"\ufeff[{json.dumps(SMALLEST)}]\r\n{json.dumps(SMALLEST)}\r\n",
        json.dumps([SMALLEST, SMALLEST]) + "[]",
    ],
)
def test_events_are_read_in_every_usual_shape(tmp_path: Path, text: str) -> None:
    (tmp_path / "events").write_text(text, encoding="utf-8")
    assert shown(str(tmp_path / "events")) == [SMALLEST, SMALLEST]
    assert shown("-", given=text) == [SMALLEST, SMALLEST]
    assert shown(text.removeprefix("\ufeff"), json.dumps(SMALLEST)) == [SMALLEST] * 3


def test_what_would_be_sent_can_be_sent() -> None:
    assert shown("-", given=emit("--dry-run", json.dumps(ENCLOSED)).stdout) == [ENCLOSED]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '{"task_name": 1.5, "status": "Done", "notfy": 1, "notify": {"email": "x", "template": 4}}',
            [
                "Error: standard input: task_name: a string of 1 to 255 characters or an integer is allowed",
                "Error: standard input: status: Input should be 'Pending', 'Queued', 'Running', 'Completed', ",
                "Error: standard input: notify.template: Input should be a valid string",
                "Error: standard input: notify.email: no e-mail address: ",
                "Warning: standard input: notfy: unknown, ignored: did you mean notify?",
            ],
        ),
        (
            '{"task_name": "a",\n "status": "Completed"}\n{"task_name": "b" "status": 1}\n\n[{},\n 3]',
            [
                "Error: standard input, line 3: no JSON at column 19: Expecting ',' delimiter",
                "Error: standard input, line 5: task_name: required field missing",
                "Error: standard input, line 5: status: required field missing",
                "Error: standard input, line 6: a task event is one JSON object, with fields by name",
            ],
        ),
        (
            '[\n{"task_name": "a", "status": "Running",}\n{"status": "Running"}]',
            [
                "Error: standard input, line 2: no JSON at column ",
                "Error: standard input, line 3: task_name: required field missing",
            ],
        ),
        (
            '{"taskname": "a", "status": "Running"}',
            [
                "task_name: required field missing (did you mean task_name where it says taskname?)",
                "Warning: standard input: taskname: unknown, ignored: did you mean task_name?",
            ],
        ),
        (
            '[{"task_name": "a", "status": "Running"} {}]',
            ["no JSON at column 42: a comma is missing"],
        ),
        ('[{"task_name": "a", "status": "Running"}, ]', ["no JSON at column 41: a comma before the end of the list"]),
        ('[{"task_name": "a", "status": "Running"}', ["no JSON: the list is not closed by ]"]),
        ('{"task_name": "a", "task_name": "b"}', ["Error: standard input: task_name is there twice"]),
        ('{"task_name": "a", "status": "Running", "result": NaN}', ["Error: standard input: NaN is no number"]),
        (
            '{"task_name": "a", "status": "Running", "result": 1e999}',
            ["Error: standard input: 1e999 is too large a number"],
        ),
        ("[" * 100_000, ["Error: standard input: nested too deeply"]),
        (" \n", ["Error: standard input: there is no event in it"]),
        ("{" * 3 + "\n{x" * 200, [*["no JSON at column 2: "] * 100, "line 101: the rest was not looked at"]),
        (
            '{"task_name": "a", "status": "Running", "started_at": "0001-01-01T00:00:00+10:00"}',
            ["Error: standard input: started_at: this instant does not exist in UTC"],
        ),
        (
            '{"task_name": "a", "status": "Running", "notify": {"user_id": "u1"}, "context": {"typ": "x"}}',
            [
                "Warning: standard input: notify.user_id: unknown, ignored: did you mean user_id beside notify?",
                "Warning: standard input: context.typ: unknown, ignored: did you mean type?",
            ],
        ),
        (json.dumps(ENCLOSED | {"data": {}}), ["task_name: required field missing", "status: required field missing"]),
        (json.dumps(ENCLOSED | {"time": 3}), ["Error: standard input: time: "]),
        ('{"task_name": "\\ud800", "status": "Running"}', ["Error: standard input: not UTF-8 at byte 15"]),
        (json.dumps(SMALLEST | {"result": "x" * 2**21}), ["bytes; at most 2097152 are allowed"]),
    ],
)
def test_validating_says_everything_that_is_wrong_with_line_and_field(text: str, said: list[str]) -> None:
    result = emit("--validate", "-", given=text)
    lines = result.stderr.splitlines()
    assert result.exit_code == 1
    assert len(lines) == len(said), lines
    assert [words for words, line in zip(said, lines, strict=True) if words not in line] == []


def test_what_is_right_is_right(tmp_path: Path) -> None:
    texts = [json.dumps(SMALLEST), json.dumps(ENCLOSED), json.dumps(SMALLEST | {"anything": {"of": "yours"}})]
    result = emit("--validate", *texts)
    assert (result.exit_code, result.stdout) == (0, "3 events, 0 wrong, 0 with fields that look misspelt\n")
    missing = emit("--validate", str(tmp_path / "none.json"), texts[0])
    assert (missing.exit_code, missing.stderr) == (1, f"Error: {tmp_path}/none.json: No such file or directory\n")


def test_fields_that_look_misspelt_are_counted_in_wrong_events_too() -> None:
    result = emit("--validate", json.dumps(SMALLEST | {"notfy": {}}), '{"taskname": "a", "status": "Running"}', "{}")
    assert (result.exit_code, result.stdout) == (1, "3 events, 2 wrong, 2 with fields that look misspelt\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give either --task and --status, or events"),
        (["--task", "t", "--status", "Running", "-"], "not both"),
        (["--task", "t"], "an event from flags needs --status"),
        (["--user", "u1"], "an event from flags needs --task"),
        (["--task", "t", "--status", "Running", "--result", "x"], "--result: KEY=VALUE is allowed, not x"),
        (["--task", "t", "--status", "Running", "--result", "x=1", "--result", "x=2"], "--result: x is there twice"),
        (["--validate", "--json", "-"], "do not go together"),
        (["--count", "2", json.dumps(ENCLOSED)], "--count makes events from plain ones, not from CloudEvents"),
        (["--count", "2", json.dumps(SMALLEST | {"task_id": "x" * 254})], "the task_id is too long to be numbered"),
        (["--count", "0", "-"], "--count"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(arguments: list[str], said: str) -> None:
    result = emit("--dry-run", *arguments) if "--validate" not in arguments else emit(*arguments)
    assert (result.exit_code, said in result.stderr) == (2, True), result.stderr


def test_nothing_is_sent_if_one_event_is_wrong_and_kafka_is_not_asked() -> None:
    result = emit(json.dumps(SMALLEST), '{"task_name": "x"}')
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "Error: event 2: status: required field missing",
        "Error: nothing was sent: 1 of 2 events are wrong",
    ]


def test_if_kafka_is_away_or_a_setting_wrong_the_exit_code_says_so() -> None:
    away = emit("--json", json.dumps(SMALLEST))
    assert (away.exit_code, away.stdout) == (75, "[]\n")
    assert "(0 of 1 event is published)" in away.stderr
    assert emit(json.dumps(SMALLEST), servers="no port").exit_code == 78


def test_templates_are_repeated_as_runs_of_their_own_that_stay_together() -> None:
    run = [
        {"task_name": "t", "status": "Running", "task_id": "r"},
        {"task_name": "t", "status": "Completed", "task_id": "r"},
    ]
    made = shown("--count", "3", *map(json.dumps, run))
    assert [(each["task_id"], each["status"]) for each in made] == [
        (f"r-{number}", status) for number in (1, 2, 3) for status in ("Running", "Completed")
    ]
    ids = [each["task_id"] for _ in range(2) for each in shown("--count", "3", json.dumps(SMALLEST))]
    assert len(set(ids)) == 6


class Topic:
    """A deployment of which only task-events is looked at."""

    def __init__(self, kafka: EmbeddedKafka, name: str, directory: Path) -> None:
        self.deployment = Deployment(kafka, name, directory)

    def emit(self, *arguments: str) -> Result:
        """The result of ``streamnotify emit``."""
        return self.deployment("emit", *arguments)

    def records(self) -> list[tuple[int, int, str | None, bytes]]:
        """What lies on it: partition, offset, key, value."""
        with TopicReader(self.deployment.servers, [f"{self.deployment.prefix}task-events"]) as reader:
            return [
                (
                    each.partition() or 0,
                    each.offset() or 0,
                    key.decode() if (key := each.key()) else None,
                    each.value() or b"",
                )
                for each in reader.to_the_end()
            ]


@pytest.fixture
def topic(kafka: EmbeddedKafka, unique: str, tmp_path: Path) -> Topic:
    return Topic(kafka, unique, tmp_path)


def test_what_was_published_lies_there_with_its_key_where_kafka_puts_it(topic: Topic) -> None:
    bad = '{"task_name": "x"}'
    result = topic.emit("--json", "--keep-going", json.dumps(SMALLEST | {"task_id": 7}), bad, json.dumps(ENCLOSED))
    assert result.exit_code == 1  # for the bad one
    listed = json.loads(result.stdout)
    assert {(each["task_id"], each["partition"], each["offset"]) for each in listed} == {
        (key, partition, offset) for partition, offset, key, _ in topic.records()
    }
    assert {json.dumps(SMALLEST | {"task_id": 7}).encode(), json.dumps(ENCLOSED).encode()} == {
        value for *_, value in topic.records()
    }
    topic.deployment.publish("task-events", ("7", SMALLEST))
    assert len({partition for partition, _, key, _ in topic.records() if key == "7"}) == 1


def test_if_no_event_is_good_the_list_of_what_was_published_is_empty() -> None:
    result = emit("--json", "--keep-going", '{"task_name": "x"}')
    assert (result.exit_code, result.stdout) == (1, "[]\n")


def test_the_way_to_follow_up_names_the_run_as_workers_do(topic: Topic) -> None:
    result = topic.emit("--task", "t", "--status", "Completed")
    [(partition, offset, key, _)] = topic.records()
    assert key is None
    follow = result.stdout.splitlines()[-1]
    assert follow.startswith(f"What becomes of it: streamnotify why --task {partition}-{offset}-")
    why = topic.deployment("why", "--task", follow.rpartition(" ")[2])
    assert "it is a silent task" in why.output, why.output
    named = topic.emit("--task", "t", "--status", "Completed", "--task-id", "a b")
    assert named.stdout.startswith("published: t, run a b (partition ")
    assert named.stdout.endswith("What becomes of it: streamnotify why --task 'a b'\n")


def test_a_load_has_its_rate_and_its_distinct_runs(topic: Topic) -> None:
    began = time.monotonic()
    result = topic.emit("--count", "60", "--rate", "50", json.dumps(SMALLEST | {"task_id": "load"}))
    assert time.monotonic() - began >= 59 / 50
    assert result.exit_code == 0
    assert result.stdout.startswith("60 events published in ")
    assert {key for _, _, key, _ in topic.records()} == {f"load-{number}" for number in range(1, 61)}


def test_many_events_are_published_and_counted(topic: Topic) -> None:
    result = topic.emit("--count", "5000", json.dumps(SMALLEST))
    assert result.stdout.startswith("5,000 events published in ")
    assert len(topic.records()) == 5000


def test_a_pipe_works_as_a_person_uses_it(topic: Topic) -> None:
    """A process of its own, its standard input a pipe."""
    env = {"KAFKA_BOOTSTRAP_SERVERS": topic.deployment.servers, "STREAMNOTIFY_TOPIC_PREFIX": topic.deployment.prefix}
    run = subprocess.run(
        [sys.executable, "-m", "streamnotify", "emit", "-"],
        input=json.dumps(SMALLEST, indent=4),
        env={"PYTHONPATH": str(Path(__file__).parents[2]), **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert [json.loads(value) for *_, value in topic.records()] == [SMALLEST]


def test_a_topic_that_is_not_there_is_said(kafka: EmbeddedKafka, unique: str, tmp_path: Path) -> None:
    missing = {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers, "STREAMNOTIFY_TOPIC_PREFIX": f"none{unique}."}
    result = streamnotify("emit", json.dumps(SMALLEST), directory=tmp_path, **missing)
    assert result.exit_code == 75
    assert "Run: streamnotify topics apply (0 of 1 event is published)" in result.stderr
