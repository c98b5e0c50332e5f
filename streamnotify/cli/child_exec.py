"""The moment in which a fork of ours becomes the command, as a shell's fork does."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path
from typing import NoReturn

EXIT_CANNOT_RUN = 126
EXIT_NOT_FOUND = 127

_SHELL = "/bin/sh"
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
# What systemd says to one process alone: it holds the id of that process, which we were and the command now is.
_MEANT_FOR = ("LISTEN_PID", "WATCHDOG_PID", "SYSTEMD_EXEC_PID")

# Blocked or not, some systems (macOS) drop them unless somebody handles them.
DROPPED_BY_DEFAULT = (signal.SIGCHLD, signal.SIGCONT, signal.SIGWINCH, signal.SIGURG)

prctl = getattr(ctypes.CDLL(None), "prctl", None)  # Linux has it


@dataclass(frozen=True, slots=True)
class Inherited:
    """What a command is to find as if we were not there.

    Args:
        blocked: the signal mask.
        ignored: the signals that are ignored.
        environment: without ``_MEANT_FOR`` put right, since the new process has no id yet.
    """

    blocked: frozenset[int]
    ignored: frozenset[int]
    environment: dict[str, str]


def inherited(blocked: Iterable[int]) -> Inherited:
    """As it was when this process started; ``blocked`` is the signal mask that it had then."""
    ignored = {number for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN}
    ignored -= {signal.SIGPIPE, signal.SIGXFSZ}  # that was Python
    if os.environ.get("SYSTEMD_EXEC_PID") == str(os.getpid()):  # noqa: TID251 - the command's, not our settings
        ignored.add(signal.SIGPIPE)  # systemd ignores it for its services, unless IgnoreSIGPIPE=no
    return Inherited(frozenset(blocked), frozenset(ignored), _environment())


def become(command: list[str], given: Inherited, parent: int, failure: mmap) -> NoReturn:
    """Turn this process, a fresh fork, into ``command``; if that fails, say so as a shell does and end.

    Args:
        command: its name, looked up in PATH unless it has a slash, and arguments.
        parent: the process we are a fork of.
        failure: shared with it; gets the reason, in UTF-8, before this process ends with 126 or 127.
    """
    code = EXIT_CANNOT_RUN
    try:
        _die_with(parent)
        for number in (
            signal.SIGINT,
            signal.SIGPIPE,
            signal.SIGXFSZ,
            *DROPPED_BY_DEFAULT,
        ):  # all that Python or we changed
            signal.signal(number, signal.SIG_IGN if number in given.ignored else signal.SIG_DFL)
        environment = dict(given.environment)
        for name in _MEANT_FOR:
            if environment.get(name) == str(parent):
                environment[name] = str(os.getpid())
        signal.pthread_sigmask(signal.SIG_SETMASK, given.blocked)
        error = _execute(command, environment)
        why = os.strerror(error.errno or 0)
        if error.errno == errno.ENOENT:
            code = EXIT_NOT_FOUND
            why = why if "/" in command[0] else "command not found"
        reason = os.fsencode(f"{command[0]}: {why}")
        failure.write(reason[: len(failure)])
        os.write(2, b"streamnotify: " + reason + b"\n")
    finally:
        os._exit(code)


def _execute(command: list[str], environment: dict[str, str]) -> OSError:
    """As execvp(3), which Python's is not quite: a script without ``#!`` is the shell's.

    Returns:
        why it could not be; if it could, this process is something else now.
    """
    name = command[0]
    refused: OSError = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    if not name:
        return refused
    for path in [name] if "/" in name else [f"{place or '.'}/{name}" for place in os.get_exec_path(environment)]:
        error = _replaced_by(path, command, environment)
        if error.errno == errno.ENOEXEC:
            error = _replaced_by(_SHELL, [_SHELL, path, *command[1:]], environment)
        if error.errno == errno.EACCES or "/" in name:
            refused = error  # another place in PATH may have one that can be run
        elif error.errno not in {errno.ENOENT, errno.ENOTDIR}:
            return error
    return refused


def _replaced_by(path: str, arguments: list[str], environment: dict[str, str]) -> OSError:
    try:
        os.execve(path, arguments, environment)  # noqa: S606 - without a shell, as asked for
    except OSError as error:
        return error


def _environment() -> dict[str, str]:
    """This process's, without the LC_CTYPE that Python sets itself in the C locale, such as cron's (PEP 538)."""
    environment = dict(os.environ)  # noqa: TID251 - the command's, not our settings
    try:
        at_start = Path("/proc/self/environ").read_bytes()
    except OSError:
        return environment
    if b"\0LC_CTYPE=" not in b"\0" + at_start:
        environment.pop("LC_CTYPE", None)
    return environment


def _die_with(parent: int) -> None:
    """Whoever kills us with SIGKILL, as Python's and Go's time limits do, means the command (prctl(2))."""
    if prctl is None:
        return
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it was faster
        os.kill(os.getpid(), signal.SIGKILL)
