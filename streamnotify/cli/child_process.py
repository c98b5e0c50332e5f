"""A command as our child, such that whoever started us and whoever signals us deal with the command itself.

We stay in one process group and session with it, so a terminal reaches both of us. Every signal is blocked here from
before the fork and taken by one thread, one by one: none is lost before the command runs, and none goes to a process
that has its id after it, because the same thread reaps it.
"""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from mmap import PAGESIZE, mmap
from types import FrameType
from typing import NoReturn

from streamnotify.cli.child_exec import DROPPED_BY_DEFAULT, become, inherited, prctl

# They are about the process that gets them: faults of ours, and what became of the command.
_OWN = {
    signal.SIGSEGV,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGTRAP,
    signal.SIGABRT,
    signal.SIGSYS,
    signal.SIGPIPE,
}
_HANDLED = signal.valid_signals() - _OWN - {signal.SIGKILL, signal.SIGSTOP}
# The kernel sends these to the whole process group of a terminal: the command has them already.
_OF_A_TERMINAL = {signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGWINCH}
# These, too, but when the terminal is gone the leader of the session gets them alone.
_OF_A_LOST_TERMINAL = {signal.SIGHUP, signal.SIGCONT}
_SI_KERNEL = 0x80  # asm-generic/siginfo.h; sigaction(2)
_PR_SET_DUMPABLE = 4  # linux/prctl.h


@dataclass(frozen=True, slots=True)
class Ending:
    """How a command ended; exactly one of the first two is there.

    Args:
        exit_code: what it returned.
        signal: the number of the signal that killed it.
        dumped_core: it left a core dump.
        never_ran: why it could not be run, such as ``x: command not found``; the exit code is then 126 or 127.
    """

    exit_code: int | None
    signal: int | None = None
    dumped_core: bool = False
    never_ran: str | None = None


class ChildProcess:
    """A running command.

    Args:
        command: its name, looked up in PATH unless it has a slash, and arguments.
        added: what is put into its environment.
    """

    def __init__(self, command: list[str], added: Mapping[str, str]) -> None:
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
        given = inherited(blocked)
        given.environment.update(added)
        for number in DROPPED_BY_DEFAULT:
            signal.signal(number, _note)
        self._failure = mmap(-1, PAGESIZE)
        self._was_continued = False  # the last we heard of it, after a stop
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            become(command, given, parent, self._failure)
        _let_go_of_streams()

    def wait(self) -> Ending:
        """Stand in for the command until it ends: hand signals on to it, stop and go on with it."""
        while True:
            number, is_from_kernel = _next_signal()
            if number in {signal.SIGCHLD, signal.SIGCONT} and (status := self._news()) is not None:
                return self._ending(status)
            if not self._has_it_already(number, is_from_kernel):
                self._hand_on(number)

    def _has_it_already(self, number: int, is_from_kernel: bool) -> bool:
        if number == signal.SIGCHLD:
            return True
        if number == signal.SIGCONT and self._was_continued:
            self._was_continued = False
            return True
        if not is_from_kernel:
            return False
        return number in _OF_A_TERMINAL or (number in _OF_A_LOST_TERMINAL and os.getsid(0) != os.getpid())

    def _hand_on(self, number: int) -> None:
        with suppress(PermissionError):  # it runs as somebody else now; the sender could not have signalled it either
            os.kill(self._pid, number)

    def _news(self) -> int | None:
        """What became of the command meanwhile: its wait status if it has ended. If it has stopped, so have we."""
        stopped_by = None
        while (reaped := os.waitpid(-1, os.WNOHANG | os.WUNTRACED | os.WCONTINUED))[0]:
            pid, status = reaped
            if pid != self._pid:  # where we are init, orphans are ours to reap
                continue
            if os.WIFSTOPPED(status):
                stopped_by, self._was_continued = os.WSTOPSIG(status), False
            elif os.WIFCONTINUED(status):
                stopped_by, self._was_continued = None, True
            else:
                return status
        if stopped_by is not None:
            _stop(stopped_by)
        return None

    def _ending(self, status: int) -> Ending:
        if os.WIFSIGNALED(status):
            return Ending(None, os.WTERMSIG(status), os.WCOREDUMP(status))
        why = self._failure[:].rstrip(b"\0")
        return Ending(os.WEXITSTATUS(status), never_ran=os.fsdecode(why) if why else None)


def end_as(ending: Ending) -> NoReturn:
    """End this process as the command ended: with its exit code, or by its signal."""
    if ending.signal is None:
        raise SystemExit(ending.exit_code)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if prctl is not None:
        prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)  # where core dumps are piped to a program, the limit is not asked
    _raise(ending.signal)
    raise SystemExit(128 + ending.signal)  # init of a container does not die by a signal; shells say it like this


def _stop(number: int) -> None:
    """Stop as the command did, and return when somebody lets us go on."""
    _raise(number)
    signal.pthread_sigmask(signal.SIG_BLOCK, {number} & _HANDLED)


def _raise(number: int) -> None:
    if number not in {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)  # blocked still, so it is one with one that is waiting already
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})


def _note(number: int, _: FrameType | None) -> None:
    """Never called, since the signals are blocked; but now there is somebody to wait for them."""


def _next_signal() -> tuple[int, bool]:
    """Wait for one; its number, and whether the kernel sent it, as it does for a terminal."""
    if hasattr(signal, "sigwaitinfo"):
        arrived = signal.sigwaitinfo(_HANDLED)
        return arrived.si_signo, arrived.si_code == _SI_KERNEL
    number = signal.sigwait(_HANDLED)
    return number, number in _OF_A_TERMINAL and _is_in_the_foreground()


def _is_in_the_foreground() -> bool:
    """Where nobody says who sent a signal (macOS): what the keyboard can send has come from there."""
    try:
        terminal = os.open(os.ctermid(), os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    finally:
        os.close(terminal)


def _let_go_of_streams() -> None:
    """Hold neither end of a pipe that is the command's alone. Standard error stays, for a warning at the end; none of
    ours may be taken by a socket."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(null, stream)
    try:
        os.fstat(2)
    except OSError:
        os.dup2(null, 2)
    if null > 2:
        os.close(null)
