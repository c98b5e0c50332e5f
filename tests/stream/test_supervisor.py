"""The supervisor with real child processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from streamnotify.stream.supervisor import REFUSED, STOPPED, Backoff

_SUPERVISOR = """
    import logging, sys
    from datetime import timedelta
    from streamnotify.stream.supervisor import Backoff, supervise
    logging.basicConfig(stream=sys.stderr, format="%(message)s")
    quick = Backoff(timedelta(milliseconds=50), timedelta(milliseconds=200), timedelta(seconds=60))
    sys.exit(supervise([sys.executable, "-u", "-c", sys.argv[1], sys.argv[2]], quick))
"""
# What every child of these tests begins with: its pid becomes a line of the file `starts`.
_CHILD = """
    import os, pathlib, signal, sys, time
    from streamnotify.stream.supervisor import die_with_parent
    from datetime import timedelta
    starts = pathlib.Path(sys.argv[1])
    def started():
        with starts.open("a") as lines: lines.write(f"{os.getpid()}\\n")
"""


def _until(condition: Callable[[], bool], what: str, within: float = 15) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"waited {within} s in vain: {what}"
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


class Supervised:
    """A supervisor process whose child runs ``body``."""

    def __init__(self, directory: Path, body: str) -> None:
        self._starts = directory / "starts"
        child = textwrap.dedent(_CHILD) + textwrap.dedent(body)
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(_SUPERVISOR), child, str(self._starts)],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    @property
    def pids(self) -> list[int]:
        """The children's pids so far, in the order of their starts."""
        return [int(line) for line in self._starts.read_text().splitlines()] if self._starts.exists() else []

    def wait_for_starts(self, number: int) -> None:
        _until(lambda: len(self.pids) >= number, f"{number} starts")

    def end(self) -> str:
        """Wait for the end; what the supervisor has logged."""
        return self.process.communicate(timeout=15)[1]


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Callable[[str], Supervised]]:
    begun: list[Supervised] = []

    def begin(body: str) -> Supervised:
        begun.append(Supervised(tmp_path, body))
        return begun[-1]

    yield begin
    for each in begun:
        each.process.kill()
        for pid in each.pids:
            if _alive(pid):
                os.kill(pid, signal.SIGKILL)
        each.process.communicate()


_OBEDIENT = """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    started()
    while True: time.sleep(60)
"""


def test_a_child_that_ends_is_started_again_with_one_line_each(supervised: Callable[[str], Supervised]) -> None:
    running = supervised("started(); sys.exit(3)")
    running.wait_for_starts(3)
    running.process.terminate()
    log = running.end().splitlines()
    assert running.process.returncode == STOPPED
    assert log[:2] == [
        "The engine process ended with exit code 3; starting it again in 0.05 s",
        "The engine process ended with exit code 3; starting it again in 0.1 s",
    ]


def test_a_child_after_one_that_ended_is_told_so(supervised: Callable[[str], Supervised]) -> None:
    running = supervised("""
        before = len(starts.read_text().splitlines()) if starts.exists() else 0
        if ("--after-failure" in sys.argv) != (before > 0):
            sys.exit(78)
        started()
        if before < 2:
            sys.exit((70, 3)[before])
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        while True: time.sleep(60)
    """)
    running.wait_for_starts(3)
    running.process.terminate()
    running.end()
    assert running.process.returncode == STOPPED


def test_a_child_killed_from_outside_is_started_again(supervised: Callable[[str], Supervised]) -> None:
    running = supervised(_OBEDIENT)
    running.wait_for_starts(1)
    os.kill(running.pids[0], signal.SIGKILL)
    running.wait_for_starts(2)
    running.process.terminate()
    assert "was ended by SIGKILL" in running.end()


def test_a_child_that_ends_well_without_being_told_to_is_started_again(supervised: Callable[[str], Supervised]) -> None:
    running = supervised("started(); sys.exit(0)")
    running.wait_for_starts(2)


def test_a_refused_start_ends_the_supervisor_with_the_same_code(supervised: Callable[[str], Supervised]) -> None:
    running = supervised(f"started(); sys.exit({REFUSED})")
    assert running.end() == ""
    assert running.process.returncode == REFUSED
    assert len(running.pids) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_stops_the_child_and_is_not_followed_by_a_start(
    supervised: Callable[[str], Supervised], number: signal.Signals
) -> None:
    running = supervised(f"    signal.signal({int(number)}, lambda *_: sys.exit(0))" + _OBEDIENT)
    running.wait_for_starts(1)
    running.process.send_signal(number)
    running.end()
    assert running.process.returncode == STOPPED
    assert len(running.pids) == 1
    assert not _alive(running.pids[0])


def test_the_second_signal_kills_a_child_that_does_not_stop(supervised: Callable[[str], Supervised]) -> None:
    running = supervised("""
        def stay(*_): started()
        signal.signal(signal.SIGTERM, stay)
        started()
        while True: time.sleep(60)
    """)
    running.wait_for_starts(1)
    running.process.terminate()
    running.wait_for_starts(2)  # it has had the first signal and goes on
    assert running.process.poll() is None
    running.process.terminate()
    running.end()
    assert running.process.returncode == STOPPED
    assert not _alive(running.pids[0])


def test_a_stop_while_waiting_to_start_again_is_obeyed_at_once(supervised: Callable[[str], Supervised]) -> None:
    running = supervised("started(); sys.exit(3)")
    running.wait_for_starts(1)
    running.process.send_signal(signal.SIGINT)
    running.end()
    assert running.process.returncode == STOPPED


def test_the_child_stops_when_its_supervisor_is_killed(supervised: Callable[[str], Supervised]) -> None:
    running = supervised("    die_with_parent(int(sys.argv[2].removeprefix('--parent-fd=')))" + _OBEDIENT)
    running.wait_for_starts(1)
    running.process.kill()
    _until(lambda: not _alive(running.pids[0]), "the child's end")


def test_a_child_deaf_to_sigterm_is_gone_after_its_grace(supervised: Callable[[str], Supervised]) -> None:
    running = supervised("""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        die_with_parent(int(sys.argv[2].removeprefix('--parent-fd=')), grace=timedelta(milliseconds=200))
        started()
        while True: time.sleep(60)
    """)
    running.wait_for_starts(1)
    running.process.kill()
    _until(lambda: not _alive(running.pids[0]), "the child's end")


def test_waits_double_up_to_the_longest_and_begin_afresh_after_a_stable_run() -> None:
    backoff = Backoff()
    waits = [backoff.after(None, timedelta(0))]
    while len(waits) < 8:
        waits.append(backoff.after(waits[-1], timedelta(seconds=59)))
    assert [wait.total_seconds() for wait in waits] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert backoff.after(waits[-1], timedelta(seconds=60)) == timedelta(seconds=1)
