"""What tests share: brokers, names, and files of expected output."""

from __future__ import annotations

import gc
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import settings

from streamnotify.devtools.kafka import EmbeddedKafka

# How long an example may take says more about the machine than about the code: benchmarks/ measure that.
settings.register_profile("streamnotify", deadline=None)
settings.load_profile("streamnotify")


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


@pytest.fixture
def unique() -> str:
    """A suffix (or prefix) for names on the shared broker that no other test uses."""
    return uuid.uuid4().hex[:10]
