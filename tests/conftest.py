"""What tests share: brokers, names, and files of expected output."""

from __future__ import annotations

import gc
import math
import shutil
import socket
import subprocess
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import settings

from streamnotify.devtools.kafka import EmbeddedKafka

# How long an example may take says more about the machine than about the code: benchmarks/ measure that.
settings.register_profile("streamnotify", deadline=None)
settings.load_profile("streamnotify")


BROKERS = {"kafka", "own_kafka"}  # fixtures that start one


class OwnKafka(Protocol):
    """Makes a broker for one test; the arguments are those of :class:`EmbeddedKafka`."""

    def __call__(self, **arguments: Any) -> EmbeddedKafka: ...


class Golden(Protocol):
    """Compares bytes with the file of that name in tests/golden."""

    def __call__(self, name: str, actual: bytes) -> None: ...


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """No garbage collection meanwhile: in CPython 3.11 a finalizer that prints a traceback breaks the ``ast.parse``
    it interrupts ("AST constructor recursion depth mismatch", cpython issue 106905)."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with a broker come first: they mostly wait; the quick ones then keep every process busy to the end.

    Of the former those with the fewest tests come first, which are the longest by far.
    """
    tests = Counter(item.path for item in items)
    slow = {item.path for item in items if isinstance(item, pytest.Function) and BROKERS & set(item.fixturenames)}
    items.sort(key=lambda item: tests[item.path] if item.path in slow else math.inf)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--golden", action="store_true", help="write tests/golden anew instead of comparing with it")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Compares with a file of expected output, or with --golden writes it."""
    directory = Path(__file__).parent / "golden"

    def compare(name: str, actual: bytes) -> None:
        if request.config.getoption("--golden"):
            directory.mkdir(exist_ok=True)
            (directory / name).write_bytes(actual)
        assert actual == (directory / name).read_bytes(), f"{name} has changed: `make golden`, then review the diff"

    return compare


@pytest.fixture(scope="session")
def kafka() -> Iterator[EmbeddedKafka]:
    """The broker that all tests share, started for the first that asks. Names on it must be ``unique``."""
    with EmbeddedKafka() as broker:
        yield broker


@pytest.fixture
def own_kafka() -> Iterator[OwnKafka]:
    """Makes brokers that the test may break. They are not started yet, and closed when the test ends."""
    with ExitStack() as brokers:

        def make(**arguments: Any) -> EmbeddedKafka:
            broker = EmbeddedKafka(**arguments)
            brokers.callback(broker.close)
            return broker

        yield make


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis of this run's own, such as ``redis://127.0.0.1:40123/0``; without redis-server the test is skipped."""
    command = shutil.which("redis-server")
    if command is None:
        pytest.skip("needs redis-server (Debian: apt-get install redis-server)")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [command, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"],
        cwd=tmp_path_factory.mktemp("redis"),
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait_for_redis(server, port)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(10)


def _wait_for_redis(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.sendall(b"PING\r\n")
            if connection.recv(16).startswith(b"+PONG"):
                return
        assert server.poll() is None, f"redis-server ended with {server.returncode}"
        time.sleep(0.02)
    raise AssertionError("redis-server does not answer")


@pytest.fixture
def unique() -> str:
    """A suffix (or prefix) for names on the shared broker that no other test uses."""
    return uuid.uuid4().hex[:10]
