"""Lets a broker live only as long as its user: ``python guard.py USER_PID LOCK_FD COMMAND...``.

A process of its own, because only that still acts when the user is killed with SIGKILL. Standard input is a pipe
whose other end the user holds and never writes to: it ends when the user does. A process the user forked may hold
that end too, so the parent's id is watched as well. Standard output gets the command's process id, standard error
is the command's log. Only the standard library is imported, so that it starts at once.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading

WATCH_INTERVAL_S = 1.0
STOP_GRACE_S = 10.0


def main(user_pid: int, lock_fd: int, command: list[str]) -> int:
    """Run the command until it ends or the user does; returns its exit code.

    ``lock_fd`` is handed on to the command: the lock on it is held for as long as the command runs, and no longer.
    """
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=sys.stderr, stderr=sys.stderr, pass_fds=(lock_fd,)
    )
    os.close(lock_fd)
    threading.Thread(target=_end_with_user, args=(process, user_pid), daemon=True).start()
    sys.stdout.write(f"{process.pid}\n")
    sys.stdout.flush()
    return process.wait()


def _end_with_user(process: subprocess.Popen[bytes], user_pid: int) -> None:
    while os.getppid() == user_pid:
        readable, _, _ = select.select([sys.stdin], [], [], WATCH_INTERVAL_S)
        if readable:
            break
    process.send_signal(signal.SIGCONT)  # the user may have paused it
    process.terminate()
    try:
        process.wait(STOP_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
