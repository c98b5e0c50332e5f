"""``streamnotify spool``: what applications could not publish is seen, and reaches Kafka as it was."""

from __future__ import annotations

import json
import os
from pathlib import Path

from click.testing import Result

from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.sdk.spool import Spool
from tests.cli.running import streamnotify
from tests.sdk import topics

VALUE = b'{"task_name":"a","status":"Completed","task_id":"%d","event_id":"e%d"}'


def spool(
    directory: Path, topic: str = "task-events", *, host: str = "host-1", pid: int = 42, events: int = 3
) -> Spool:
    made = Spool(directory, host, pid)
    for number in range(events):
        made.append(topic, b"%d" % number, VALUE % (number, number))
    return made


def run(*arguments: str, directory: Path, **environment: str) -> Result:
    given = {"KAFKA_BOOTSTRAP_SERVERS": topics.NOWHERE, **environment}
    return streamnotify("spool", *arguments, directory=directory, **given)


def test_the_files_are_listed_with_whose_they_are(tmp_path: Path) -> None:
    spool(tmp_path, pid=42).release()
    living = spool(tmp_path, pid=43, events=1)
    listed = run("list", str(tmp_path), directory=tmp_path)
    assert listed.exit_code == 1
    assert "3 events  left behind" in listed.output
    assert "1 events  in use" in listed.output
    assert listed.output.endswith("4 events in 2 files\n")
    as_json = json.loads(run("list", "--json", directory=tmp_path, STREAMNOTIFY_SPOOL_DIR=str(tmp_path)).output)
    told = [(file["host"], file["pid"], file["events"], file["in_use"]) for file in as_json]
    assert told == [("host-1", 42, 3, False), ("host-1", 43, 1, True)]
    living.release()


def test_an_empty_spool_is_well(tmp_path: Path) -> None:
    listed = run("list", str(tmp_path), directory=tmp_path)
    assert (listed.exit_code, listed.output) == (0, "0 events in 0 files\n")
    assert run("replay", str(tmp_path), directory=tmp_path).exit_code == 0


def test_a_replay_publishes_the_bytes_as_they_were_and_leaves_the_files_of_living_processes(
    kafka: EmbeddedKafka, unique: str, tmp_path: Path
) -> None:
    topic = topics.create(kafka.bootstrap_servers, f"{unique}.task-events")
    spool(tmp_path, topic).release()
    living = spool(tmp_path, topic, pid=os.getpid())
    (tmp_path / "torn-7.jsonl").write_text('{"topic":')
    servers = {"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers}
    replayed = run("replay", "--json", str(tmp_path), directory=tmp_path, **servers)
    in_use = f"host-1-{os.getpid()}.jsonl"
    assert replayed.exit_code == 0
    assert json.loads(replayed.stdout) == {"taken": 3, "left": 0, "dropped": 1, "unusable": 0, "in_use": [in_use]}
    found = {record.key(): record.value() for record in topics.records(kafka.bootstrap_servers, topic)}
    assert found == {b"%d" % number: VALUE % (number, number) for number in range(3)}
    assert {path.name for path in tmp_path.iterdir()} == {in_use, "torn-7.unreadable"}
    living.release()
    assert "3 events published" in run("replay", str(tmp_path), directory=tmp_path, **servers).output


def test_a_file_that_cannot_be_used_and_a_topic_that_is_not_there_keep_no_other_waiting(
    kafka: EmbeddedKafka, unique: str, tmp_path: Path
) -> None:
    """Such as what is left of a topic prefix that has been changed; whether Kafka is there, it does not tell."""
    topic = topics.create(kafka.bootstrap_servers, f"{unique}.task-events")
    spool(tmp_path, "a topic/that cannot be", pid=1).release()
    spool(tmp_path, topic, pid=2).release()
    spool(tmp_path, topic, pid=3).release()
    (tmp_path / "torn-4.jsonl").write_text('{"topic":')
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "torn-4.unreadable").symlink_to(victim)
    for age, path in enumerate(sorted(tmp_path.glob("*.jsonl"), reverse=True)):
        os.utime(path, (2_000_000_000 - age,) * 2)
    replayed = run(
        "replay", "--json", str(tmp_path), directory=tmp_path, KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap_servers
    )
    assert json.loads(replayed.stdout) == {"taken": 6, "left": 3, "dropped": 1, "unusable": 1, "in_use": []}
    assert replayed.exit_code == 75
    assert {path.name for path in tmp_path.glob("*.jsonl")} == {"host-1-1.jsonl", "torn-4.jsonl"}
    assert victim.read_text() == "precious"


def test_with_kafka_down_everything_is_kept(tmp_path: Path) -> None:
    spool(tmp_path).release()
    before = (tmp_path / "host-1-42.jsonl").read_bytes()
    replayed = run("replay", str(tmp_path), directory=tmp_path)
    assert replayed.exit_code == 75
    assert "they are kept" in replayed.stderr
    assert (tmp_path / "host-1-42.jsonl").read_bytes() == before


def test_without_a_directory_it_is_the_one_that_commands_use(tmp_path: Path) -> None:
    """What `streamnotify run` tells its user to type works as it stands."""
    spool(tmp_path / "streamnotify" / "spool").release()
    listed = run("list", directory=tmp_path, XDG_STATE_HOME=str(tmp_path), STATE_DIRECTORY="")
    assert listed.output.endswith("3 events in 1 files\n")


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    nowhere = dict.fromkeys(("STATE_DIRECTORY", "XDG_STATE_HOME", "HOME"), "")
    assert "STREAMNOTIFY_SPOOL_DIR" in run("list", directory=tmp_path, **nowhere).stderr
    unset = run("replay", str(tmp_path), directory=tmp_path, KAFKA_BOOTSTRAP_SERVERS="")
    assert (unset.exit_code, unset.stderr) == (78, "Error: KAFKA_BOOTSTRAP_SERVERS is not set\n")
    wrong = run("replay", str(tmp_path), directory=tmp_path, KAFKA_SECURITY_PROTOCOL="TLS")
    assert wrong.exit_code == 78
    assert "KAFKA_SECURITY_PROTOCOL" in wrong.stderr
