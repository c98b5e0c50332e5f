"""Final events that Kafka did not take lie in files that are whole, private, bounded and of one owner each."""

from __future__ import annotations

import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from streamnotify.sdk.spool import Spool, SpooledEvent, SpooledLine, SpoolFile, name_of_host, spool_files, spooled_lines
from tests.sdk import topics

VALUE = '{"task_name":"ä","status":"Completed","event_id":"1"}'.encode()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "a" / "spool"


def spool(directory: Path, **changed: int) -> Spool:
    return Spool(directory, "host", changed.pop("pid", os.getpid()), **changed)


def kept(path: Path) -> list[SpooledEvent | None]:
    """The events in a file that nobody has."""
    file = SpoolFile.claim(path)
    assert file is not None
    found = [line.event for line in spooled_lines(path)]
    file.close()
    return found


def test_events_lie_in_a_private_file_in_the_order_they_came_and_unchanged(directory: Path) -> None:
    ours = spool(directory, pid=42)
    for key in (b"run-1", None):
        assert ours.append("task-events", key, VALUE)
    ours.release()
    (path,) = spool_files(directory)
    assert path.name == "host-42.jsonl"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert kept(path) == [SpooledEvent("task-events", key, VALUE.decode()) for key in ("run-1", None)]


def test_a_file_is_its_owners_until_that_one_releases_it(directory: Path) -> None:
    ours = spool(directory)
    ours.append("task-events", None, VALUE)
    (path,) = spool_files(directory)
    assert SpoolFile.claim(path) is None
    ours.release()
    assert len(kept(path)) == 1


def test_while_a_file_is_replayed_its_process_writes_another(directory: Path) -> None:
    ours = spool(directory, pid=42)
    ours.append("task-events", None, VALUE)
    ours.release()
    replayed = SpoolFile.claim(spool_files(directory)[0])
    assert replayed is not None
    ours.append("task-events", None, VALUE)
    assert {path.name for path in spool_files(directory)} == {"host-42.jsonl", "host-42.1.jsonl"}
    replayed.keep_only(())
    replayed.close()
    assert [path.name for path in spool_files(directory)] == ["host-42.1.jsonl"]


def test_the_file_of_a_dead_process_is_free_though_its_children_live(directory: Path) -> None:
    script = (
        "from streamnotify.sdk.spool import Spool\n"
        "Spool(Path(sys.argv[1]), 'host', 1).append('task-events', None, b'{}')\n"
        "if os.fork(): os.kill(os.getpid(), 9)\n"
        "sys.stdin.readline()"
    )
    process = topics.python(script, str(directory))
    process.wait(topics.DEADLINE_S)
    (path,) = spool_files(directory)
    topics.until(lambda: len(_claimed(path)) == 1, "the child holds its parent's file")
    process.communicate()  # the child's end, too: it has the same pipes


def _claimed(path: Path) -> list[SpooledEvent | None]:
    file = SpoolFile.claim(path)
    if file is None:
        return []
    file.close()
    return kept(path)


def test_a_file_that_was_removed_before_it_was_locked_is_not_written_to(directory: Path) -> None:
    ours = spool(directory)
    ours.append("task-events", None, VALUE)
    ours.release()
    (path,) = spool_files(directory)
    path.unlink()
    assert SpoolFile.claim(path) is None
    assert ours.append("task-events", None, VALUE)
    assert len(spool_files(directory)) == 1


def test_no_event_is_lost_between_one_who_writes_and_one_who_replays(directory: Path) -> None:
    ours, count = spool(directory), 3000
    replayed: list[SpooledLine] = []
    is_over = threading.Event()

    def replay() -> None:
        while not is_over.is_set() or spool_files(directory):
            for path in spool_files(directory):
                file = SpoolFile.claim(path)
                if file is not None:
                    replayed.extend(spooled_lines(path))
                    file.keep_only(())
                    file.close()

    with ThreadPoolExecutor() as pool:
        replaying = pool.submit(replay)
        try:
            for number in range(count):
                assert ours.append("task-events", str(number).encode(), VALUE)
                ours.release()
        finally:
            is_over.set()
        replaying.result()
    assert sorted(int(line.event.key) for line in replayed if line.event and line.event.key) == list(range(count))


def test_what_is_left_after_a_replay_replaces_the_file_at_once(directory: Path) -> None:
    ours = spool(directory)
    for number in range(4):
        ours.append("task-events", str(number).encode(), VALUE)
    ours.release()
    (path,) = spool_files(directory)
    file = SpoolFile.claim(path)
    assert file is not None
    offsets = [line.offset for line in spooled_lines(path)]
    file.keep_only({offsets[1], offsets[3]})
    file.close()
    assert [event and event.key for event in kept(path)] == ["1", "3"]
    assert [each.name for each in directory.iterdir()] == [path.name]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_line_torn_by_a_power_cut_costs_no_other(directory: Path) -> None:
    directory.mkdir(parents=True)
    path = directory / "host-42.jsonl"
    path.write_bytes(b'{"topic":"task-events","key":null,"va')
    ours = spool(directory, pid=42)
    ours.append("task-events", b"run-1", VALUE)
    ours.release()
    assert [event and event.key for event in kept(path)] == [None, "run-1"]


def test_the_directory_takes_no_more_than_it_may_and_that_is_said_once(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    another = spool(directory, pid=1)
    another.append("task-events", None, VALUE)
    ours = spool(directory, pid=2, most=1000)
    taken = [ours.append("task-events", None, VALUE) for _ in range(20)]
    assert 0 < taken.count(True) < 10
    assert taken == sorted(taken, reverse=True)
    assert sum(path.stat().st_size for path in spool_files(directory)) <= 1000
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_a_directory_that_cannot_be_used_is_said_once_and_raises_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    ours = spool(blocked / "spool")
    assert [ours.append("task-events", None, VALUE) for _ in range(3)] == [False] * 3
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_only_spool_files_are_looked_at_and_of_one_host_if_asked(directory: Path) -> None:
    directory.mkdir(parents=True)
    for name in ("a-1.jsonl", "a-b-2.jsonl", "a-b-2.1.jsonl", "notes.jsonl", "a-1.unreadable", "a-1.part"):
        (directory / name).write_text("")
    assert {path.name for path in spool_files(directory)} == {"a-1.jsonl", "a-b-2.jsonl", "a-b-2.1.jsonl"}
    assert {path.name for path in spool_files(directory, "a-b")} == {"a-b-2.jsonl", "a-b-2.1.jsonl"}
    assert spool_files(directory / "none") == []


def test_what_is_no_file_is_none_of_ours_and_a_link_is_not_followed(directory: Path, tmp_path: Path) -> None:
    """Others may write to the directory: ours is not to write or wait where they like."""
    ours = spool(directory, pid=42)
    ours.append("task-events", b"1", VALUE)
    ours.append("task-events", b"2", VALUE)
    ours.release()
    (path,) = spool_files(directory)
    theirs = tmp_path / "theirs"
    theirs.write_text("precious")
    for name in ("host-1.jsonl", "host-42.part"):
        (directory / name).symlink_to(theirs)
    (directory / "host-2.jsonl").mkdir()
    os.mkfifo(directory / "host-3.jsonl")
    assert spool_files(directory) == [path]
    file = SpoolFile.claim(path)
    assert file is not None
    file.keep_only({0})
    file.close()
    assert [event and event.key for event in kept(path)] == ["1"]
    assert theirs.read_text() == "precious"


def test_a_host_has_a_name_that_may_stand_in_a_files() -> None:
    assert name_of_host("web-1.example") == "web-1.example"
    assert name_of_host("../a b") == ".._a_b"
    assert name_of_host("") == "_"
