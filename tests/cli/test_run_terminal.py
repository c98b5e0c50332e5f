"""``streamnotify run`` on a terminal: what the keyboard sends, stopping and going on, hanging up."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.terminal import Terminal
from tests.cli.with_and_without import ALONE, WRAPPED, environment, scripted

CTRL_C, CTRL_Z, CTRL_BACKSLASH = b"\x03", b"\x1a", b"\x1c"
BOTH = pytest.mark.parametrize("before", [ALONE, WRAPPED], ids=["alone", "wrapped"])


@pytest.fixture
def env() -> dict[str, str]:
    """No Kafka, which is said at the end."""
    return environment("", "")


@BOTH
def test_a_terminal_stays_one(before: tuple[str, ...], env: dict[str, str]) -> None:
    command = ["sh", "-c", "test -t 0 && test -t 1 && test -t 2 && stty size >/dev/null && exit 5"]
    with Terminal([*before, *command], env) as terminal:
        assert os.waitstatus_to_exitcode(terminal.status()) == 5


@BOTH
@pytest.mark.parametrize("key", [CTRL_C, CTRL_BACKSLASH], ids=["ctrl-c", "ctrl-backslash"])
def test_a_key_that_kills_the_command_ends_us_the_same_way(
    before: tuple[str, ...], key: bytes, env: dict[str, str]
) -> None:
    with Terminal([*before, *scripted(("say", "ready"), ("pause",))], env) as terminal:
        terminal.read_until(b"ready")
        terminal.press(key)
        assert os.WTERMSIG(terminal.status()) == (signal.SIGINT if key == CTRL_C else signal.SIGQUIT)


@BOTH
def test_ctrl_c_reaches_the_command_once(before: tuple[str, ...], env: dict[str, str]) -> None:
    counting = scripted(
        ("count", signal.SIGINT, signal.SIGTERM), ("say", "ready"), ("wait_for", signal.SIGINT), ("say", "seen"),
        ("wait_for", signal.SIGTERM), ("show_counts",), ("end", 3),
    )  # fmt: skip
    with Terminal([*before, *counting], env) as terminal:
        terminal.read_until(b"ready")
        terminal.press(CTRL_C)
        terminal.read_until(b"seen")
        os.kill(terminal.pid, signal.SIGTERM)  # handed on after the other, if that were
        terminal.read_until(b"\n.*\n")
        assert b"SIGINT=1" in terminal.shown
        assert os.waitstatus_to_exitcode(terminal.status()) == 3


@pytest.mark.parametrize("go_on", ["fg", "bg; wait %1"])
def test_a_shell_stops_it_and_lets_it_go_on_as_without_us(go_on: str, env: dict[str, str]) -> None:
    stops = 8 if go_on == "fg" else 1
    went_on = [
        step for time in range(1, stops + 1) for step in (("wait_for", signal.SIGCONT, time), ("say", f"on {time}"))
    ]
    command = scripted(
        ("count", signal.SIGCONT), ("say", "on 0"), *went_on, ("linger", 0.2), ("show_counts",), ("end", 3)
    )
    # Behind the same words, so that the shell says the same about its job.
    shell = '"$@"; ' + f"echo stopped $?; {go_on}; " * stops + "echo ended $?"

    def shown(before: tuple[str, ...]) -> bytes:
        with Terminal(["sh", "-m", "-c", shell, "sh", *before, *command], env) as terminal:
            for time in range(stops):
                terminal.read_until(b"on %d\r\n" % time)
                terminal.press(CTRL_Z)
            terminal.read_until(b"ended [0-9]+")
            terminal.status()
            return re.sub(b"streamnotify: nobody is told .*\r\n", b"", terminal.shown)

    alone = shown(ALONE)
    assert b"stopped 148" in alone  # 128 + SIGTSTP
    assert b"SIGCONT=%d" % stops in alone
    assert b"ended 3" in alone
    assert shown(WRAPPED) == alone


@BOTH
def test_hanging_up_reaches_the_command_once(before: tuple[str, ...], env: dict[str, str], tmp_path: Path) -> None:
    noted = tmp_path / "noted"
    script = f'trap "echo hup >> {noted}; exit 6" HUP; echo ready; while :; do read line || sleep 0.01; done'
    with Terminal([*before, "sh", "-c", script], env) as terminal:
        terminal.read_until(b"ready")
        terminal.hang_up()
        assert os.waitstatus_to_exitcode(terminal.status()) == 6
    assert noted.read_text() == "hup\n"


@BOTH
def test_a_command_that_stops_itself_is_seen_to_stop(before: tuple[str, ...], env: dict[str, str]) -> None:
    with subprocess.Popen([*before, *scripted(("kill_self", signal.SIGSTOP), ("end", 3))], env=env) as process:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        assert os.WSTOPSIG(status) == signal.SIGSTOP
        process.send_signal(signal.SIGCONT)
        assert process.wait(60) == 3
