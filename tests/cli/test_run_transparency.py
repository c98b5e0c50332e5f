"""A command under ``streamnotify run`` is, to those around it, the command alone."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.stream.topic_admin import TopicAdmin
from streamnotify.wire.topic_layout import layouts
from tests.cli.with_and_without import ALONE, WRAPPED, environment, scripted, seen, start

BOTH = pytest.mark.parametrize("before", [ALONE, WRAPPED], ids=["alone", "wrapped"])
COUNTED = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGWINCH", "SIGCONT", "SIGRTMIN")


@pytest.fixture(scope="module")
def env(kafka: EmbeddedKafka) -> dict[str, str]:
    """With a topic for the events, so that nothing is ever said about them."""
    prefix = f"run{os.urandom(4).hex()}."
    TopicAdmin(kafka.bootstrap_servers).apply(layouts(prefix, "sn", 1, 1))
    return environment(kafka.bootstrap_servers, prefix)


def assert_same(command: list[str], env: dict[str, str], stdin: bytes = b"", **options: Any) -> None:
    """The command alone and the wrapped one are seen to do the same."""
    assert seen(WRAPPED, command, env, stdin, **options) == seen(ALONE, command, env, stdin, **options)


Step = Sequence[Any]

sizes = st.one_of(st.integers(0, 100), st.integers(60_000, 300_000))
seeds = st.integers(0, 2**32)
deadly = st.sampled_from(
    [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGHUP, signal.SIGINT, signal.SIGPIPE]
)
harmless = st.sampled_from([signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP, signal.SIGINT, signal.SIGCHLD])
steps: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("out"), sizes, seeds),
    st.tuples(st.just("err"), sizes, seeds),
    st.tuples(st.just("copy"), sizes),
    st.tuples(st.just("ignore"), harmless),
    st.tuples(st.just("count"), harmless),
    st.builds(lambda number, code: ("exit_on", number, code), harmless, st.integers(0, 255)),
    st.tuples(st.just("kill_self"), harmless),
)
# What is left behind writes at the same time as the command, so it is the last to write to that stream.
last_steps: st.SearchStrategy[Sequence[Step]] = st.sampled_from(
    [(), (("close", 0),), (("leave_behind", ("out", 200_000, 1), ("err", 10, 2)),)]
)
endings: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("end"), st.integers(0, 255)), st.tuples(st.just("kill_self"), deadly)
)


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(st.lists(steps, max_size=5), last_steps, endings, st.binary(max_size=1000))
def test_whatever_a_command_does_is_seen_as_without_us(
    env: dict[str, str], script: list[Step], last: Sequence[Step], ending: Step, stdin: bytes
) -> None:
    assert_same(scripted(*script, *last, ending), env, stdin * 300)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1])
def test_a_signal_from_outside_ends_the_command_as_without_us(env: dict[str, str], number: int) -> None:
    assert_same(scripted(("say", "ready"), ("pause",)), env, meanwhile=sending(number))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_command_may_exit_at_a_signal_or_ignore_it(env: dict[str, str], number: int) -> None:
    assert_same(scripted(("exit_on", number, 9), ("say", "ready"), ("pause",)), env, meanwhile=sending(number))
    ignoring = scripted(("ignore", number), ("exit_on", signal.SIGPWR, 3), ("say", "ready"), ("pause",))
    assert_same(ignoring, env, meanwhile=sending(number, signal.SIGPWR))


def test_a_command_gets_each_signal_once(env: dict[str, str]) -> None:
    numbers = [signal.Signals[name] for name in COUNTED]
    turns = [step for number in numbers for step in (("say", "ready"), ("wait_for", number), ("show_counts",))]

    def send(process: subprocess.Popen[bytes]) -> None:
        for number in numbers:
            sending(number)(process)
            assert process.stdout is not None
            process.stdout.readline()

    assert_same(scripted(("count", *numbers), *turns, ("end", 3)), env, meanwhile=send)


def sending(*numbers: int) -> Callable[[subprocess.Popen[bytes]], None]:
    """Sends signals to a command that has said it is ready."""

    def send(process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        for number in numbers:
            process.send_signal(number)

    return send


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGKILL"])
def test_killed_at_any_moment_of_its_start_it_is_dead(env: dict[str, str], name: str) -> None:
    number = signal.Signals[name]
    for hundredths in range(0, 20, 3):
        with start(WRAPPED, ["sleep", "1000"], env) as process:
            time.sleep(hundredths / 100)  # not for luck: any moment will do
            process.send_signal(number)
            assert process.wait(30) == -number
            wait_until_gone(process.pid)


@BOTH
def test_a_kill_that_cannot_be_caught_kills_the_command(before: tuple[str, ...], env: dict[str, str]) -> None:
    command = scripted(("say", "ready"), ("until_end",))
    with start(before, command, env) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.kill()
        assert process.stdout.read() == b""  # nobody is left to hold it
        assert process.wait(30) == -signal.SIGKILL


@BOTH
def test_what_a_command_leaves_behind_holds_its_streams_and_nobody_else(
    before: tuple[str, ...], env: dict[str, str]
) -> None:
    command = scripted(("leave_behind", ("until_end",), ("say", "late")), ("say", "now"), ("end", 3))
    with start(before, command, env) as process:
        assert process.wait(30) == 3
        assert process.stdin is not None
        process.stdin.close()
        assert process.stdout is not None
        assert sorted(process.stdout.read().splitlines()) == [b"late", b"now"]


@BOTH
def test_a_stream_that_the_command_closes_is_closed(before: tuple[str, ...], env: dict[str, str]) -> None:
    command = scripted(("close", 1), ("until_end",), ("end", 4))
    with start(before, command, env) as process:
        assert process.stdout is not None
        assert process.stdout.read() == b""  # while it runs
        assert process.poll() is None
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(30) == 4


def inheritances() -> dict[str, Callable[[], object]]:
    """What a process may hand on; called in the new process."""

    def ignoring(*numbers: int) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)

    return {
        "nothing special": lambda: None,
        "nohup": lambda: ignoring(signal.SIGHUP),
        "a shell's background job": lambda: ignoring(signal.SIGINT, signal.SIGQUIT),
        "children are not waited for": lambda: ignoring(signal.SIGCHLD),
        "blocked signals": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM}),
        "another umask": lambda: os.umask(0o077),
        "nice": lambda: os.nice(5),
        "limits": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200)),
        "no standard input": lambda: os.close(0),
        "no standard output": lambda: os.close(1),
        "no standard error": lambda: os.close(2),
        "no streams": lambda: os.closerange(0, 3),
    }


_STATUS = """
exec 9>"$1"; exec >&9 9>&-
for each in /proc/$$/fd/*; do echo "${each##*/}"; done; cat /proc/$$/limits; pwd; nice
exec grep -E '^(Umask|NSpgid|NSsid|Cap|NoNewPrivs|Seccomp)' /proc/self/status
"""


@pytest.mark.parametrize("what", inheritances())
def test_the_command_inherits_what_it_would_without_us(env: dict[str, str], tmp_path: Path, what: str) -> None:
    pipe = os.pipe()  # such as make's jobserver; the same for both, since its numbers are compared

    def status(before: tuple[str, ...], name: str) -> str:
        command = ["sh", "-c", _STATUS, "sh", str(tmp_path / name)]
        options: dict[str, Any] = {"preexec_fn": inheritances()[what], "process_group": None, "pass_fds": pipe}
        assert seen(before, command, env, cwd=tmp_path, **options).returncode == 0
        return (tmp_path / name).read_text()

    try:
        assert status(WRAPPED, "wrapped") == status(ALONE, "alone")
    finally:
        for end in pipe:
            os.close(end)


@pytest.mark.parametrize(
    "what", ["nothing special", "nohup", "a shell's background job", "children are not waited for", "blocked signals"]
)
def test_the_commands_signals_are_blocked_and_ignored_as_without_us(env: dict[str, str], what: str) -> None:
    # Without a shell, which has a mind of its own about them.
    assert_same(["grep", "-E", "^(SigBlk|SigIgn)", "/proc/self/status"], env, preexec_fn=inheritances()[what])


@pytest.mark.parametrize("given", [{}, {"LC_ALL": "C"}, {"LC_CTYPE": "C.UTF-8"}, {"LANG": "it_IT.UTF-8"}, {"X": ""}])
def test_the_environment_is_as_without_us_but_for_the_run(env: dict[str, str], given: dict[str, str]) -> None:
    ours = {name: env[name] for name in ("PATH", "PYTHONPATH", "KAFKA_BOOTSTRAP_SERVERS", "STREAMNOTIFY_TOPIC_PREFIX")}
    alone, wrapped = (
        dict(line.split(b"=", 1) for line in seen(before, ["env", "-0"], ours | given).stdout.split(b"\0") if line)
        for before in (ALONE, WRAPPED)
    )
    assert len(wrapped.pop(b"STREAMNOTIFY_TASK_ID")) == 36
    assert wrapped.pop(b"STREAMNOTIFY_TASK_NAME") == b"wrapped"
    assert wrapped == alone


def test_arguments_may_be_any_bytes(env: dict[str, str]) -> None:
    everything = [bytes(range(1, 256)), b"", b"--help", b"--", "\N{SNOWMAN}".encode()]
    shown = [seen(before, ["printf", "%s|", *everything], env).stdout for before in (ALONE, WRAPPED)]  # type: ignore[list-item]
    assert shown[1] == shown[0] == b"".join(each + b"|" for each in everything)


def test_sockets_of_systemd_are_the_commands(env: dict[str, str]) -> None:
    shown = [
        "sh",
        "-c",
        'for each in "$LISTEN_PID" "$WATCHDOG_PID" "$SYSTEMD_EXEC_PID"; do [ $each = $$ ] && echo y; done',
    ]
    # As systemd does: the ids are those of the process that is to be ours.
    activated = ["sh", "-c", 'export LISTEN_PID=$$ WATCHDOG_PID=$$ SYSTEMD_EXEC_PID=$$ LISTEN_FDS=1; exec "$@"', "sh"]
    assert seen([*activated, *WRAPPED], shown, env) == seen(activated, shown, env)
    assert seen([*activated, *WRAPPED], shown, env).stdout == b"y\ny\ny\n"


def test_systemd_ignores_sigpipe_for_the_command_too(env: dict[str, str]) -> None:
    shown = ["grep", "^SigIgn", "/proc/self/status"]
    activated = ["sh", "-c", 'export SYSTEMD_EXEC_PID=$$; trap "" PIPE; exec "$@"', "sh"]
    assert seen([*activated, *WRAPPED], shown, env) == seen(activated, shown, env)


def test_a_script_without_interpreter_is_the_shells(env: dict[str, str], tmp_path: Path) -> None:
    script = tmp_path / "job"
    script.write_text("echo $1\nexit 7\n")
    script.chmod(0o755)
    found = env | {"PATH": f"{tmp_path / 'none'}:{tmp_path}:{env['PATH']}"}
    for command in (str(script), "job"):
        shown = seen(WRAPPED, [command, "a b"], found)
        assert (shown.returncode, shown.stdout, shown.stderr) == (7, b"a b\n", b"")


def test_as_init_of_a_container_it_reaps_orphans_and_hands_signals_on(env: dict[str, str]) -> None:
    container = ["unshare", "--pid", "--fork", "--mount-proc"]
    if subprocess.run([*container, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to make a PID namespace")
    orphans = 'for each in 1 2 3; do (sh -c "exit 1" &) ; done; '
    orphans += "while grep -q -s '^State:.*zombie' /proc/[0-9]*/status; do :; done; "
    on_term = 'trap "exit 9" TERM; kill -TERM 1; while :; do :; done'
    assert seen([*container, *WRAPPED], ["sh", "-c", orphans + on_term], env).returncode == 9
    assert seen([*container, *WRAPPED], ["sh", "-c", "kill -KILL $$"], env).returncode == 128 + signal.SIGKILL


def wait_until_gone(pid: int) -> None:
    """Wait until no process has this one as its process group."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            os.killpg(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)
    raise AssertionError(f"process group {pid} lives on")
