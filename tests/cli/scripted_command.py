"""A command that does what its argument says: a JSON list of steps, each the name of a function below and arguments.

It is run by the tests of ``streamnotify run``, alone and under it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from types import FrameType

_counts: dict[int, int] = {}


def out(size: int, seed: int) -> None:
    """Write random bytes to standard output."""
    _write(1, random.Random(seed).randbytes(size))


def err(size: int, seed: int) -> None:
    """Write random bytes to standard error."""
    _write(2, random.Random(seed).randbytes(size))


def say(text: str) -> None:
    """Write a line to standard output."""
    _write(1, text.encode() + b"\n")


def copy(size: int) -> None:
    """Write so many bytes of standard input to standard output, or what there is."""
    while size > 0 and (read := os.read(0, min(size, 65536))):
        _write(1, read)
        size -= len(read)


def until_end() -> None:
    """Read standard input to its end."""
    while True:
        try:
            if not os.read(0, 65536):
                return
        except InterruptedError:
            pass


def close(stream: int) -> None:
    """Close a stream."""
    os.close(stream)


def count(*numbers: int) -> None:
    """Count these signals from now on."""
    for number in numbers:
        _counts[number] = 0
        signal.signal(number, _counted)


def ignore(number: int) -> None:
    """Ignore a signal."""
    signal.signal(number, signal.SIG_IGN)


def default(number: int) -> None:
    """Have a signal do what it does."""
    signal.signal(number, signal.SIG_DFL)


def exit_on(number: int, code: int) -> None:
    """End with an exit code at a signal."""
    signal.signal(number, lambda *_: os._exit(code))


def wait_for(number: int, times: int = 1) -> None:
    """Wait until a counted signal has come so often."""
    while _counts[number] < times:
        time.sleep(0.005)


def linger(seconds: float) -> None:
    """Give what should not come time to come."""
    time.sleep(seconds)


def pause() -> None:
    """Wait for a signal that ends us."""
    while True:
        signal.pause()


def show_counts() -> None:
    """Write how often each counted signal came."""
    say(" ".join(f"{signal.Signals(number).name}={times}" for number, times in sorted(_counts.items())))


def kill_self(number: int) -> None:
    """Send ourselves a signal."""
    os.kill(os.getpid(), number)


def leave_behind(*steps: list[object]) -> None:
    """Have a process do this that has all our streams and outlives us."""
    if os.fork() == 0:
        act(list(steps))
        os._exit(0)


def end(code: int) -> None:
    """End with an exit code."""
    os._exit(code)


def act(steps: list[list[object]]) -> None:
    """Do these steps in order."""
    for name, *arguments in steps:
        globals()[str(name)](*arguments)


def _write(stream: int, data: bytes) -> None:
    while data:
        data = data[os.write(stream, data) :]


def _counted(number: int, _: FrameType | None) -> None:
    _counts[number] += 1


if __name__ == "__main__":
    # As in any program that is not Python's.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    act(json.loads(sys.argv[1]))
