"""Rows and positions are written together; nothing that lies on a topic stops the writing."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamnotify.web.read_model import schema
from streamnotify.web.read_model.queries import ReadModel
from streamnotify.web.read_model.records import RawRecord
from streamnotify.web.read_model.store import Store
from streamnotify.web.read_model.tables import TABLES
from streamnotify.wire.examples import EXAMPLES
from tests.web.read_model.a_file import IDS, NOON, event, positions_behind, record, rows, step, write


def test_killed_within_a_batch_neither_its_rows_nor_its_positions_are_there(tmp_path: Path) -> None:
    """The file is copied as it lies on the disk at every step of SQLite's, which is what a killed process leaves."""
    path, seen = tmp_path / "x.sqlite3", set()
    first, second = [step("accepted", 0), event("Running", 0)], [step("sent", 1), event("Completed", 1)]
    write(path, first)
    with Store(path) as store:
        store.follow(IDS)
        connection = store._connection

        def look() -> int:
            for name in ("x.sqlite3", "x.sqlite3-wal"):
                (tmp_path / f"killed-{name}").write_bytes((tmp_path / name).read_bytes())
            with closing(sqlite3.connect(tmp_path / "killed-x.sqlite3")) as left:
                status = left.execute("SELECT status FROM notifications").fetchone()[0]
                run = left.execute("SELECT status FROM runs").fetchone()[0]
                positions = dict(left.execute("SELECT topic, next FROM positions").fetchall())
            seen.add((status, run, positions["notification-status"], positions["task-events"]))
            return 0

        connection.set_progress_handler(look, 20)
        store.write(second, positions_behind(second), NOON)
        connection.set_progress_handler(None, 0)
        look()
    assert seen == {("accepted", "Running", 1, 1), ("sent", "Completed", 2, 2)}


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"null",
        b"[]",
        b"{" * 100_000,
        b'{"a":' * 50_000,
        b"\xff\xfe",
        b'{"notification_id": "n", "status": "sent", "at": "yesterday"}',
        b'{"notification_id": "n", "status": "sent", "at": "2026-01-05T12:00:00"}',
        b'{"notification_id": "n", "status": "sent", "at": "0001-01-01T00:00:00+14:00", "count": 1}',
        b'{"notification_id": "n", "status": "sent", "at": "2026-01-05T12:00:00Z", "attempt": 99999999999999999999}',
        b'{"notification_id": "n", "status": "sent", "at": "2026-01-05T12:00:00Z", "to": "\\ud800"}',
        b'{"notification_id": "n\\u0000", "status": "sent", "at": "2026-01-05T12:00:00Z"}',
        b'{"notification_id": "' + b"n" * 300 + b'", "status": "sent", "at": "2026-01-05T12:00:00Z"}',
        b'{"task_name": "t", "status": "Running", "duration_s": 1e308, "finished_at": "9999-12-31T23:59:59Z"}',
        b'{"task_name": "t", "status": "Completed", "occurred_at": "0001-01-01T00:00:00Z", "duration_s": 1e300}',
        b'{"task_name": "t\\u0000", "task_id": "\\u0000", "status": "Completed", "result": {"a": 1e400}}',
        b'{"task_name": "t", "status": "Completed", "result": ' + b"[" * 150 + b"]" * 150 + b"}",
        b'{"task_name": 99999999999999999999999, "status": "Completed", "attempt": 2147483648}',
        b'{"monitor": "m", "verdict": "ok", "check_time": 7, "evaluated_at": 1}',
    ],
    ids=lambda value: value[-40:],
)
def test_whatever_lies_on_a_topic_the_records_after_it_are_read(tmp_path: Path, value: bytes) -> None:
    path = tmp_path / "x.sqlite3"
    strange = [record(topic, value, key="k", headers={"sn-failed-at": "\x00"}) for topic in TABLES]
    after = [record("users", {"user_id": "u9"}, offset=1, key="u9"), step("sent", 1, "n9"), event("Running", 1, "r9")]
    write(path, [*strange, *after])
    model = ReadModel(path)
    assert model.user("u9") is not None
    assert model.notification("n9", organization=None) is not None
    assert model.run("r9", organization=None) is not None
    for found in (model.notifications, model.runs, model.monitor_results, model.dead_letters, model.monitors):
        assert found(organization=None).items is not None
    with Store(path) as store:
        assert store.positions()["notification-status", 0] == 2


@settings(max_examples=60)
@given(data=st.data())
def test_no_record_can_stop_the_writing(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Published examples with random bytes in them, under random keys, headers and times."""
    path = tmp_path_factory.mktemp("fuzz") / "x.sqlite3"
    records = []
    for offset in range(6):
        topic = data.draw(st.sampled_from(sorted(TABLES)))
        value = bytearray(json.dumps(data.draw(st.sampled_from(EXAMPLES[topic])).value).encode())
        for _ in range(data.draw(st.integers(0, 3))):
            value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
        key = data.draw(st.none() | st.binary(max_size=8))
        headers = [(data.draw(st.text(max_size=5)), data.draw(st.binary(max_size=5)))]
        records.append(RawRecord(topic, 0, offset, data.draw(st.integers(-1, 2**62)), key, bytes(value), headers))
    write(path, records)
    model = ReadModel(path)
    assert model.runs(organization=None).next is None
    assert model.notifications(organization=None).next is None
    with Store(path) as store:
        assert max(store.positions().values()) == 6


def test_a_record_that_cannot_be_stored_is_passed_over_and_those_beside_it_are_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Kafka has no such partition; it stands for whatever nobody has thought of."""
    letters = [record("dead-letters", b"x", offset=offset) for offset in range(9)]
    letters[4] = letters[4]._replace(partition=2**70)
    with Store(tmp_path / "x.sqlite3") as store:
        store.follow(IDS)
        store.write(letters, {("dead-letters", 0): 9}, NOON)
        assert store.positions() == {("dead-letters", 0): 9}
    assert len(rows(tmp_path / "x.sqlite3")["dead_letters"]) == 8
    assert "cannot be kept" in caplog.text


def test_of_large_texts_the_beginning_is_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "x.sqlite3", [step("sent", subject="x" * 60_000), step("sent", 1, subject="y" * 99_000)])
    found = ReadModel(path).notification("n1", organization=None)
    assert found is not None
    assert found.subject == "x" * 1000


def test_of_very_many_steps_the_last_ones_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "x.sqlite3", [step("deferred", number, attempt=number) for number in range(1000)])
    steps = ReadModel(path).steps_of("n1", organization=None)
    assert [each.attempt for each in steps] == [*range(700, 1000)]


def test_a_run_of_which_there_is_too_much_is_left_as_it_is(tmp_path: Path) -> None:
    """A publisher that invalidates a million attempts."""
    many = [event("Invalidated", number, attempt=1_000_000_000 + number) for number in range(3_000)]
    path = write(tmp_path / "x.sqlite3", many)
    [row] = rows(path)["runs"]
    assert len(dict(row)["facts"]) < 1_100_000


def test_a_file_of_another_version_is_another_file_and_goes_when_it_is_not_used(tmp_path: Path) -> None:
    assert f"-{schema.VERSION}." in schema.file_in(tmp_path).name


def test_a_topic_with_another_id_takes_its_rows_with_it_and_no_others(tmp_path: Path) -> None:
    path = write(tmp_path / "x.sqlite3", [step("sent"), event("Running")])
    with Store(path) as store:
        assert store.follow(IDS) == []
        assert store.follow(IDS | {"task-events": "the second one"}) == ["task-events"]
        assert store.positions() == {("notification-status", 0): 1}
    found = rows(path)
    assert (found["runs"], len(found["notifications"])) == ([], 1)


def test_reading_needs_no_writer_and_cannot_write(tmp_path: Path) -> None:
    path = write(tmp_path / "x.sqlite3", [step("sent")])
    connection = schema.open_to_read(path)
    assert connection is not None
    with closing(connection), pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM notifications")
