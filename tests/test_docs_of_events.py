"""docs/events.md: every snippet is run as it stands, on a real broker, and the event it sends is read."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.devtools.kafka.download import default_distribution
from streamnotify.domain.status import Status
from streamnotify.stations.written_events import WrittenEvent, look_at
from streamnotify.stream.topic_reader import TopicReader
from streamnotify.wire.task_event import parse
from tests.cli.deployments import Deployment

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
KEY = "nightly-report-2026-01-05"
BLOCKS = [
    (heading, language, text)
    for heading, section in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
]
SHELL = [
    pytest.param(text, id=f"{heading} {number}")
    for number, (heading, language, text) in enumerate(BLOCKS)
    if language == "sh" and "--validate" not in text
]
RUNS = [{"id": KEY, "state": "Running", "owner": "u1"}, {"id": KEY, "state": "SUCCESS", "owner": "u1"}]
WRONG = ['{"task_name": "a", "status": "Done", "notfy": true}', '{"status": "Running"}']


def block(heading: str, language: str) -> str:
    """The one block of a section in a language."""
    [found] = [text for name, kind, text in BLOCKS if (name, kind) == (heading, language)]
    return str(found)


class Events:
    """A deployment of its own, a directory with the files that the page speaks of, and its commands on the PATH."""

    def __init__(self, kafka: EmbeddedKafka, directory: Path) -> None:
        self._deployment = Deployment(kafka, f"docs{uuid.uuid4().hex[:10]}", directory)
        self._topic = f"{self._deployment.prefix}task-events"
        self._directory = directory
        self._seen: set[tuple[int, int]] = set()
        self._libs = default_distribution().libs()
        self._program("bin/streamnotify", f'exec "{sys.executable}" -m streamnotify "$@"')
        console = 'org.apache.kafka.tools.ConsoleProducer "$@"'  # as Kafka's own script does
        self._program("bin/kafka-console-producer.sh", f'exec java -cp "{self._libs}/*" {console}')
        self._program("report.sh", "exit 3")
        (directory / "runs.json").write_text("\n".join(map(json.dumps, RUNS)), encoding="utf-8")
        (directory / "events.jsonl").write_text("\n".join(WRONG), encoding="utf-8")
        self._deployment.publish("task-events", (KEY, {"task_name": "a", "status": "Running"}))
        [self._place] = [partition for partition, *_ in self._records()]

    @property
    def environment(self) -> dict[str, str]:
        """What the snippets find around them."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "STREAMNOTIFY_"))},
            "PATH": f"{self._directory / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "KAFKA_BOOTSTRAP_SERVERS": self._deployment.servers,
            "STREAMNOTIFY_TOPIC_PREFIX": self._deployment.prefix,
            "KAFKA_HOME": str(self._libs.parent),
            "JDK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",  # starts in half the time
        }

    def run(self, *command: str, exit_code: int = 0, directory: Path | None = None) -> str:
        """Run a command; what it printed."""
        ran = subprocess.run(
            command,
            cwd=directory or self._directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert ran.returncode == exit_code, ran.stdout
        return ran.stdout

    def here(self, text: str) -> str:
        """A snippet with the topic's name in this deployment, for clients that know of no prefix."""
        return text.replace("task-events", self._topic)

    def sent(self) -> list[WrittenEvent]:
        """The events that have come since last asked, each looked at, keyed by its task_id and in its place."""
        found = []
        for partition, key, value in self._records():
            event = look_at("the topic", json.loads(value))
            assert (event.problems, event.warnings) == ([], [])
            assert key is None or key == event.task_id
            assert key != KEY or partition == self._place
            found.append(event)
        return found

    def _records(self) -> list[tuple[int, str | None, bytes]]:
        found = []
        with TopicReader(self._deployment.servers, [self._topic]) as reader:
            for each in reader.to_the_end():
                position = (each.partition() or 0, each.offset() or 0)
                if position not in self._seen:
                    self._seen.add(position)
                    key, value = each.key(), each.value()
                    found.append((position[0], key.decode() if isinstance(key, bytes) else None, bytes(value or b"")))
        return found

    def _program(self, name: str, text: str) -> None:
        path = self._directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(0o755)


@pytest.fixture(scope="module")
def events(kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> Events:
    return Events(kafka, tmp_path_factory.mktemp("events"))


def statuses(found: list[WrittenEvent]) -> set[Status]:
    """The statuses of events, all of which are about the page's task."""
    assert {each.task_name for each in found} <= {"nightly-report", "load"}
    return {parse(each.value).status for each in found}


@pytest.mark.parametrize("text", SHELL)
def test_a_shell_snippet_sends_its_event(events: Events, text: str) -> None:
    for tool in ("kcat", "jq"):
        if re.search(rf"^\s*{tool} ", text, re.MULTILINE) and shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    events.run("bash", "-euo", "pipefail", "-c", events.here(text), exit_code=3 if "report.sh" in text else 0)
    found = events.sent()
    if "streamnotify run" in text:
        assert statuses(found) == {Status.RUNNING, Status.STOPPED}
    elif "jq" in text:
        assert statuses(found) == {Status.RUNNING, Status.COMPLETED}
    else:
        assert len(statuses(found)) == 1
        assert len(found) == (200 if "--count 200" in text else 1)
    if KEY in text:
        assert {each.task_id for each in found} == {KEY}


def test_what_validating_says_is_what_the_page_shows(events: Events) -> None:
    [command] = [text for _, language, text in BLOCKS if language == "sh" and "--validate" in text]
    assert events.run("bash", "-c", command, exit_code=1) == block("streamnotify emit", "text")


def test_the_python_snippet_sends_its_events(events: Events) -> None:
    events.run(sys.executable, "-c", block("Python", "python"))
    assert statuses(found := events.sent()) == {Status.RUNNING, Status.COMPLETED}
    assert {each.task_id for each in found} == {KEY}


def test_the_java_program_sends_its_event(events: Events, tmp_path: Path) -> None:
    java = shutil.which("java")
    assert java is not None
    if (
        "jdk.compiler"
        not in subprocess.run([java, "--list-modules"], capture_output=True, text=True, check=True).stdout
    ):
        pytest.skip("this Java has no compiler")
    (tmp_path / "SendEvent.java").write_text(events.here(block("Java", "java")), encoding="utf-8")
    command = re.search(r"`(java .*?)`", PAGE)
    assert command is not None
    events.run("sh", "-c", command[1], directory=tmp_path)
    assert statuses(found := events.sent()) == {Status.COMPLETED}
    assert [each.task_id for each in found] == [KEY]


def test_the_node_program_sends_its_event(events: Events, tmp_path: Path) -> None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not installed")
    install = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(tmp_path), "kafkajs"]
    try:
        installed = subprocess.run(install, capture_output=True, check=False, timeout=120)
    except subprocess.TimeoutExpired:
        pytest.skip("npm cannot fetch kafkajs here")
    if installed.returncode != 0:
        pytest.skip("npm cannot fetch kafkajs here")
    (tmp_path / "send-event.mjs").write_text(events.here(block("Node", "js")), encoding="utf-8")
    events.run(node, "send-event.mjs", directory=tmp_path)
    assert statuses(found := events.sent()) == {Status.COMPLETED}
    assert [each.task_id for each in found] == [KEY]


def test_the_cloudevent_is_read() -> None:
    event = look_at("the page", json.loads(block("CloudEvents", "json")))
    assert (event.problems, event.warnings, event.in_cloudevent, event.task_id) == ([], [], True, KEY)


def test_nothing_on_the_page_is_left_untested() -> None:
    kinds = [(heading, language) for heading, language, _ in BLOCKS if language != "sh"]
    assert kinds == [
        ("streamnotify emit", "text"),
        ("Python", "python"),
        ("Java", "java"),
        ("Node", "js"),
        ("CloudEvents", "json"),
    ]
