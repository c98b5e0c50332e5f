"""``streamnotify monitor``: files, the topic, and a running product."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from streamnotify.cli.monitor_run import is_file
from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.stream.topic_admin import TopicAdmin
from streamnotify.stream.topic_reader import TopicReader
from streamnotify.stream.topic_writer import publish
from streamnotify.wire.topic_layout import layouts
from tests.cli.running import streamnotify

TASKS = {"hourly_data_sync": {"expected_statuses": ["Completed"], "notify_to": ["ops@example.com"]}}
HOURLY = {"name": "Hourly", "crontab": "5 * * * *", "args": [TASKS]}
NIGHTLY = {"name": "Nightly", "interval": {"every": 1, "period": "days"}, "tasks": TASKS}


def a_monitor(**changed: Any) -> dict[str, Any]:
    """Hourly, with some fields otherwise; None leaves one out."""
    return {field: value for field, value in {**HOURLY, **changed}.items() if value is not None}


def a_task(**changed: Any) -> dict[str, Any]:
    """Hourly, with its task otherwise."""
    return a_monitor(args=[{"hourly_data_sync": {**TASKS["hourly_data_sync"], **changed}}])


class Offline:
    """The command in a directory of files, without Kafka."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write(self, file: str, content: Any) -> None:
        text = content if isinstance(content, str) else json.dumps(content)
        (self.directory / file).write_text(text, encoding="utf-8")

    def __call__(self, *arguments: str) -> Result:
        return streamnotify("monitor", *arguments, directory=self.directory, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")


@pytest.fixture
def offline(tmp_path: Path) -> Offline:
    return Offline(tmp_path)


# Nine lines that stand for a billion values.
ALIASES = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)


@pytest.mark.parametrize(
    ("file", "content", "number"),
    [
        ("one.json", HOURLY, 1),
        ("list.json", [HOURLY, NIGHTLY], 2),
        ("by-name.json", {"Hourly": a_monitor(name=None), "Nightly": NIGHTLY}, 2),
        ("one.yaml", "name: Hourly\ncrontab: 5 * * * *\ntasks: {a: {expected_statuses: [Completed]}}\n", 1),
        (
            "documents.yml",
            (
                "# ours\nname: A\ncrontab: '*/5 * * * *'\ntasks: &tasks {a: {expected_statuses: [Completed]}}\n"
                "---\n---\nB:\n  crontab: 5 * * * *\n  tasks: {b: {expected_statuses: [completed]}}\n"
                "C:\n  crontab: 5 * * * *\n  tasks:\n    c:\n      expected_statuses: [completed]\n"
                "      silence_until: 2026-01-01T00:00:00Z\n"
            ),
            3,
        ),
        ("nothing.yaml", "# not yet\n", 0),
    ],
    ids=lambda given: given if isinstance(given, str) and "." in given and "\n" not in given else "",
)
def test_a_file_holds_monitors_in_every_usual_shape(offline: Offline, file: str, content: Any, number: int) -> None:
    offline.write(file, content)
    result = offline("lint", file)
    assert (result.exit_code, result.output) == (0, f"{number} monitor{'s' * (number != 1)}, 0 warnings\n")


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("m.json", a_task(expected_statuses=["Done"]), "m.json, Hourly: args[0].hourly_data_sync.expected_statuses"),
        ("m.json", a_task(notify_to=["nobody"]), "m.json, Hourly: args[0].hourly_data_sync.notify_to"),
        ("m.json", [HOURLY, a_monitor(name="Odd", crontab="5 * * *")], "m.json, [1], Odd: crontab"),
        ("m.json", [HOURLY, HOURLY], "m.json, [1]: Hourly is also in m.json, [0]"),
        ("m.json", a_monitor(name=None), "m.json: name: "),
        ("m.json", {"Hourly": a_monitor(name="Other")}, "m.json, Hourly: name: "),
        ("m.json", TASKS, "this is what a task is checked for, not a monitor"),
        ("m.json", [TASKS], "m.json, [0]: name: a monitor in a file needs one, and a crontab"),
        ("m.json", '{"name": "a",}', "m.json, line 1: no JSON: "),
        ("m.json", '{"a": 1, "a": 2}', "m.json: a is there twice"),
        ("m.json", '{"name": "a", "crontab": "\\ud800"}', "m.json, a: not UTF-8 at byte "),
        ("m.json", '{"a": NaN}', "m.json: NaN is no number"),
        ("m.json", "[" * 100_000, "m.json: nested too deeply"),
        ("m.json", "3", "m.json: a monitor, a list of monitors or a mapping by name is allowed"),
        ("m.yaml", "a: 1\nb: [\n", "m.yaml, line 3: no YAML: "),
        ("m.yaml", "name: a\ncrontab: */5 * * * *\n", "a value that begins with * needs quotes"),
        ("m.yaml", "a: 1\na: 2\n", "m.yaml, line 2: no YAML: found duplicate key"),
        ("m.yaml", "a: .inf\n", "m.yaml: inf is no number"),
        ("m.yaml", "a: !!python/object:os.system x\n", "m.yaml, line 1: no YAML: could not determine a constructor"),
        ("m.yaml", "[" * 100_000, "m.yaml: nested too deeply"),
        ("m.yaml", ALIASES, "m.yaml: more than 1,000,000 values"),
        ("m.yaml", "name: a\nenabled: on\ncrontab: 5 * * * *\ntasks: {}\n", "m.yaml, a: enabled: "),
    ],
)
def test_what_is_wrong_is_said_with_file_monitor_and_path(offline: Offline, file: str, content: Any, said: str) -> None:
    offline.write(file, content)
    result = offline("lint", file)
    assert result.exit_code == 1
    assert f"Error: {said}" in result.output or said in result.output


def test_every_error_is_said_at_once_and_nothing_of_it_can_write_to_the_terminal(offline: Offline) -> None:
    offline.write("m.json", [a_monitor(name="A\x1b[2J", crontab="x"), a_monitor(name="B", crontab="x")])
    result = offline("lint", "m.json")
    assert len(result.output.splitlines()) == 2
    assert "\x1b" not in result.output


def test_files_are_all_looked_at_whatever_is_wrong_with_the_first(offline: Offline) -> None:
    offline.write("bad.json", "{")
    offline.write("odd.json", a_monitor(crontab="x"))
    offline.write("again.json", HOURLY)
    offline.write("good.json", HOURLY)
    said = offline("lint", "bad.json", "odd.json", "again.json", "good.json").output.splitlines()
    assert [line.split(":")[1].split(",")[0] for line in said] == [" bad.json", " odd.json", " good.json"]
    assert said[-1] == "Error: good.json: Hourly is also in again.json"


def test_a_file_that_is_not_there_or_not_text_is_named(offline: Offline) -> None:
    (offline.directory / "bytes.json").write_bytes(b"\xff{}")
    assert "Error: nowhere.json: No such file" in offline("lint", "nowhere.json").output
    assert "Error: bytes.json: not UTF-8 at byte 0" in offline("lint", "bytes.json").output


def test_an_unknown_parameter_is_a_warning_and_with_strict_an_error(offline: Offline) -> None:
    offline.write("m.json", a_task(lookback_hour=3))
    result = offline("lint", "m.json")
    assert result.exit_code == 0
    assert "Warning: m.json, Hourly: " in result.output
    assert "lookback_hour" in result.output
    assert result.output.endswith("1 monitor, 1 warning\n")
    assert offline("lint", "--strict", "m.json").exit_code == 1


def test_files_with_an_error_are_refused_before_kafka_is_asked(offline: Offline) -> None:
    offline.write("good.json", HOURLY)
    offline.write("bad.json", a_monitor(name="Bad", crontab="x"))
    assert offline("apply", "good.json", "bad.json").exit_code == 2
    assert offline("run", "bad.json").exit_code == 2


def test_what_can_be_no_file_is_a_name(offline: Offline) -> None:
    offline.write("Nightly", NIGHTLY)
    given = [
        "-",
        "x.yaml",
        "x.json",
        str(offline.directory / "Nightly"),
        "Hourly",
        "täglich " * 30,
        str(offline.directory),
    ]
    assert [is_file(each) for each in given] == [True, True, True, True, False, False, False]


def test_only_one_monitor_looks_at_a_time(offline: Offline) -> None:
    for content in ([HOURLY, NIGHTLY], {"A": a_monitor(name=None), "B": a_monitor(name=None)}):
        offline.write("many.json", content)
        result = offline("run", "many.json")
        assert (result.exit_code, "there are 2 monitors in the file" in result.output) == (2, True)
    offline.write("none.yaml", "")
    assert "none.yaml: one monitor is allowed, not 0" in offline("run", "none.yaml").output


def test_pruning_with_files_without_any_monitor_is_refused(offline: Offline) -> None:
    offline.write("empty.yaml", "")
    result = offline("apply", "--prune", "empty.yaml")
    assert (result.exit_code, "would delete all" in result.output) == (2, True)


class Deployment:
    """Topics of its own on the shared broker, no worker, and the command told where they are."""

    def __init__(self, kafka: EmbeddedKafka, prefix: str, directory: Path) -> None:
        self.servers = kafka.bootstrap_servers
        self.prefix = prefix
        self.directory = directory
        TopicAdmin(self.servers).apply(layouts(prefix, "streamnotify", 2, 1))

    def __call__(self, *arguments: str) -> Result:
        given = {"KAFKA_BOOTSTRAP_SERVERS": self.servers, "STREAMNOTIFY_TOPIC_PREFIX": self.prefix}
        return streamnotify("monitor", *arguments, directory=self.directory, **given)

    def apply(self, content: Any, *options: str) -> Result:
        """Apply one file with this content."""
        (self.directory / "m.json").write_text(json.dumps(content), encoding="utf-8")
        return self("apply", *options, "m.json")

    def put(self, name: str, value: bytes | None) -> None:
        """Publish as anybody may."""
        publish(self.servers, f"{self.prefix}monitor-configs", [(name, value)])

    def records(self) -> list[tuple[str, Any]]:
        """All that was ever published, as long as nothing was compacted."""
        with TopicReader(self.servers, [f"{self.prefix}monitor-configs"]) as reader:
            return [((each.key() or b"").decode(), json.loads(each.value() or b"null")) for each in reader.to_the_end()]


@pytest.fixture
def deployment(kafka: EmbeddedKafka, unique: str, tmp_path: Path) -> Deployment:
    return Deployment(kafka, f"{unique}.", tmp_path)


def test_a_monitor_is_published_as_it_was_written_once(deployment: Deployment) -> None:
    first = deployment.apply([HOURLY, NIGHTLY])
    assert (first.exit_code, first.output) == (
        0,
        "created: Hourly\ncreated: Nightly\n2 changes, 0 unchanged; they count once a worker has read them\n",
    )
    assert deployment.apply([HOURLY, NIGHTLY]).output == "0 changes, 2 unchanged; nothing was sent\n"
    assert deployment.apply([a_monitor(enabled=False), NIGHTLY]).output.startswith("changed: Hourly\n1 change, 1 unch")
    assert deployment.records() == [("Hourly", HOURLY), ("Nightly", NIGHTLY), ("Hourly", a_monitor(enabled=False))]


def test_a_monitor_that_came_as_a_cloudevent_is_known_again(deployment: Deployment) -> None:
    event = {"specversion": "1.0", "type": "monitor", "source": "ours", "id": "1", "data": HOURLY}
    deployment.put("Hourly", json.dumps(event).encode())
    assert deployment.apply(HOURLY).output == "0 changes, 1 unchanged; nothing was sent\n"


def test_a_dry_run_shows_what_would_change_and_sends_nothing(deployment: Deployment) -> None:
    deployment.apply([HOURLY, {**NIGHTLY, "name": "Gone"}])
    before = deployment.records()
    shown = deployment.apply([a_monitor(crontab="10 * * * *"), NIGHTLY], "--dry-run", "--prune")
    assert shown.exit_code == 0
    assert "would be changed: Hourly\n" in shown.output
    assert '  -  "crontab": "5 * * * *",\n  +  "crontab": "10 * * * *",\n' in shown.output
    assert "would be created: Nightly\n" in shown.output
    assert "would be deleted: Gone\n" in shown.output
    assert shown.output.endswith("3 changes, 0 unchanged; nothing was sent\n")
    assert deployment.records() == before


def test_pruning_deletes_what_is_in_none_of_the_files(deployment: Deployment) -> None:
    deployment.apply([HOURLY, NIGHTLY])
    deployment.put("Odd", b"no JSON")
    assert deployment.apply(HOURLY).output == "0 changes, 1 unchanged; nothing was sent\n"
    pruned = deployment.apply(HOURLY, "--prune")
    assert (pruned.exit_code, pruned.output.splitlines()[:2]) == (0, ["deleted: Nightly", "deleted: Odd"])
    with TopicReader(deployment.servers, [f"{deployment.prefix}monitor-configs"]) as reader:
        latest = {each.key(): each.value() for each in reader.to_the_end()}
    assert {key for key, value in latest.items() if value is not None} == {b"Hourly"}


def test_what_is_deleted_must_be_there(deployment: Deployment) -> None:
    deployment.apply([HOURLY, NIGHTLY])
    before = deployment.records()
    refused = deployment("delete", "Nightly", "Hourli")
    assert (refused.exit_code, refused.output) == (1, "Error: there is no monitor Hourli; did you mean Hourly?\n")
    assert deployment.records() == before
    assert deployment("delete", "Nightly", "Hourly").output == "2 monitors deleted\n"
    assert dict(deployment.records()) == {"Hourly": None, "Nightly": None}
    assert deployment("list").output == "0 monitors\n"


def test_without_a_worker_the_definitions_are_listed_and_it_is_said(deployment: Deployment) -> None:
    deployment.apply([a_task(display_name="Sync"), {**NIGHTLY, "enabled": False}])
    listed = deployment("list")
    assert listed.exit_code == 0
    assert "Only definitions: no worker answered within 10 s: is `streamnotify worker` running?\n" in listed.output
    assert "Hourly  5 * * * * UTC\n  hourly_data_sync (Sync)\n" in listed.output
    assert "Nightly  every 1d  disabled\n" in listed.output
    assert listed.output.endswith("2 monitors\n")


def test_without_a_worker_nobody_looks_and_scripts_can_tell(deployment: Deployment) -> None:
    deployment.apply(HOURLY)
    for monitor in ("m.json", "Hourly"):
        looked = deployment("run", monitor)
        assert (looked.exit_code, "no worker answered within 10 s" in looked.output) == (75, True)
