"""Keeps the engine process running: starts it again when it ends, and lets it die with us.

The engine crashes on purpose when the ground under it is gone (DESIGN 3.12); this process starts it again.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta

REFUSED = 78  # EX_CONFIG: settings, topics or state are wrong; starting again would not help
STOPPED = 0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before each start: ``first``, doubled up to ``longest``; afresh after a run of ``stable``."""

    first: timedelta = timedelta(seconds=1)
    longest: timedelta = timedelta(seconds=60)
    stable: timedelta = timedelta(seconds=60)

    def after(self, previous: timedelta | None, ran: timedelta) -> timedelta:
        """The wait after a run that lasted ``ran`` and was itself started after a wait of ``previous``."""
        if previous is None or ran >= self.stable:
            return self.first
        return min(previous * 2, self.longest)


def supervise(
    argv: Sequence[str],
    backoff: Backoff | None = None,
    meanwhile: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> int:
    """Run ``argv`` as a child process until told to stop, starting it again whenever it ends.

    The child gets the argument ``--parent-fd=N`` to give to :func:`die_with_parent`, and ``--after-failure`` if one
    before it has ended. SIGTERM and SIGINT are passed on, a second one kills the child. Must run in the main
    thread.

    Args:
        argv: the child.
        backoff: how long to wait before it is started again.
        meanwhile: entered for each such wait.

    Returns:
        STOPPED after a signal, REFUSED if the child ended with that.
    """
    backoff = backoff or Backoff()
    wait: timedelta | None = None
    after: list[str] = []
    alive, lifeline = os.pipe()  # we hold `lifeline` and never write: the child reads EOF when we are gone
    try:
        with _signals() as signals:
            while True:
                started = time.monotonic()
                child = subprocess.Popen([*argv, f"--parent-fd={alive}", *after], pass_fds=[alive], process_group=0)
                stopping = _watch(child, signals)
                if stopping:
                    return STOPPED
                if child.returncode == REFUSED:
                    return REFUSED
                after = ["--after-failure"]
                wait = backoff.after(wait, timedelta(seconds=time.monotonic() - started))
                logger.error(
                    "The engine process %s; starting it again in %g s", _ending(child.returncode), wait.total_seconds()
                )
                with meanwhile():
                    if signals.stop_requested(within=wait):
                        return STOPPED
    finally:
        os.close(alive)
        os.close(lifeline)


def die_with_parent(fd: int, *, grace: timedelta = timedelta(seconds=35)) -> None:
    """Have this process stop (SIGTERM, after ``grace`` SIGKILL) as soon as its supervisor is gone, however it went.

    Args:
        fd: read end of a pipe whose only write end the supervisor holds, as passed by :func:`supervise`.
        grace: time for a graceful stop, longer than the engine gives itself for it.
    """

    def wait_for_end() -> None:
        os.read(fd, 1)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace.total_seconds())
        os.kill(os.getpid(), signal.SIGKILL)

    os.set_inheritable(fd, False)
    threading.Thread(target=wait_for_end, name="die-with-parent", daemon=True).start()


class _Signals:
    """Signals as things to wait for; SIGCHLD among them only wakes the wait."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def next(self, within: float | None = None) -> signal.Signals | None:
        """The next signal, or None after ``within`` seconds without one."""
        ready, _, _ = select.select([self._fd], [], [], within)
        return signal.Signals(os.read(self._fd, 1)[0]) if ready else None

    def stop_requested(self, within: timedelta) -> bool:
        """True as soon as we are told to stop; False if that has not happened in time."""
        deadline = time.monotonic() + within.total_seconds()
        while (left := deadline - time.monotonic()) > 0:
            if self.next(left) in _STOPS:
                return True
        return False


_STOPS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def _signals() -> Iterator[_Signals]:
    """Collect signals in a pipe, so that waiting for one and for the child is the same and nothing can be missed."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    caught = (*_STOPS, signal.SIGCHLD)
    before = {number: signal.signal(number, lambda *_: None) for number in caught}
    before_fd = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield _Signals(reader)
    finally:
        signal.set_wakeup_fd(before_fd)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)


def _watch(child: subprocess.Popen[bytes], signals: _Signals) -> bool:
    """Wait for the child's end, passing signals on; True if it was told to stop."""
    stopping = False
    while child.poll() is None:
        received = signals.next()
        if received not in _STOPS:
            continue
        if stopping:
            child.kill()
        else:
            child.send_signal(received)
        stopping = True
    return stopping


def _ending(returncode: int) -> str:
    if returncode < 0:
        return f"was ended by {signal.Signals(-returncode).name}"
    return f"ended with exit code {returncode}"
