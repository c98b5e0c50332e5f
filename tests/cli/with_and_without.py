"""Runs a command alone and under ``streamnotify run``, to compare what can be seen of the two."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ALONE: tuple[str, ...] = ()
WRAPPED = (sys.executable, "-m", "streamnotify", "run", "--task", "wrapped", "--")
ROOT = Path(__file__).parents[2]
TIMEOUT_S = 60


@dataclass(frozen=True)
class Seen:
    """What whoever started a command sees; a negative returncode is a signal's number."""

    returncode: int
    stdout: bytes
    stderr: bytes


def scripted(*steps: Sequence[Any]) -> list[str]:
    """The command that does these steps; see scripted_command.py."""
    return [sys.executable, "-I", "-S", str(Path(__file__).with_name("scripted_command.py")), json.dumps(steps)]


def environment(bootstrap_servers: str, prefix: str) -> dict[str, str]:
    """For commands under ``streamnotify run``."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
        "STREAMNOTIFY_TOPIC_PREFIX": prefix,
    }


def start(
    before: Sequence[str], command: Sequence[str], env: dict[str, str], **options: Any
) -> subprocess.Popen[bytes]:
    """Start a command, with pipes for its streams and in a process group of its own unless ``options`` differ."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "process_group": 0}
    return subprocess.Popen([*before, *command], env=env, **{**pipes, **options})


def seen(
    before: Sequence[str],
    command: Sequence[str],
    env: dict[str, str],
    stdin: bytes = b"",
    meanwhile: Callable[[subprocess.Popen[bytes]], object] = lambda _: None,
    **options: Any,
) -> Seen:
    """Run a command to its end; ``meanwhile`` is called with it once it runs."""
    with start(before, command, env, **options) as process:
        try:
            meanwhile(process)
            stdout, stderr = process.communicate(stdin, timeout=TIMEOUT_S)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        return Seen(process.returncode, stdout, stderr)
