"""Events for the tests of encoding, and values that are hard to encode."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from hypothesis import strategies as st

from streamnotify.domain.status import Status
from streamnotify.sdk import TaskEvent
from streamnotify.sdk.encoding import encode
from streamnotify.wire import task_event as wire


class Mute:
    """An object that cannot be told anything about."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__


class Hostile(dict[Any, Any]):
    """A mapping that cannot be read."""

    def items(self) -> Any:
        raise OSError("the database is gone")


def completed(**said: Any) -> TaskEvent:
    return TaskEvent(task_name="report", status=Status.COMPLETED, task_id="7", **said)


def sent(**said: Any) -> dict[str, Any]:
    """The fields of an event that was sent, as JSON; ingest takes it."""
    encoded = encode(completed(**said))
    wire.parse(encoded)
    found: dict[str, Any] = json.loads(encoded)
    return found


def circular() -> dict[str, Any]:
    value: dict[str, Any] = {"total_tests": 10}
    value["self"] = [value]
    return value


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def exploding() -> list[Any]:
    """Few objects that would be billions of values in JSON."""
    value: list[Any] = [1]
    for _ in range(30):
        value = [value, value]
    return value


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())  # surrogates too
    | st.binary()
    | st.datetimes(timezones=st.none() | st.timezones())
    | st.dates()
    | st.timedeltas()
    | st.uuids()
    | st.decimals()
    | st.fractions()
    | st.complex_numbers()
    | st.builds(Mute)
    | st.builds(object)
    | st.builds(pow, st.just(10), st.just(5000))
    | st.sampled_from([Status.STOPPED, PurePosixPath("/x"), ValueError("no"), Hostile(a=1), ..., int, range(3)])
)
KEYS = st.text() | st.sampled_from(["password", "api-key", "total_tests"]) | SCALARS.filter(_hashable)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner) | st.tuples(inner, inner) | st.sets(st.integers()),
    max_leaves=20,
)


HARD: dict[str, Callable[[], Any]] = {
    "circular": circular,
    "deep": lambda: nested(5000),
    "exploding": exploding,
    "one large key": lambda: {"big": "x" * 1_000_000, "total_tests": 10},
    "one large text": lambda: ["x" * 1_000_000],
    "many long controls": lambda: {f"key{number}": "\x00" * 1000 for number in range(1000)},
    "many keys": lambda: {str(number): None for number in range(100_000)},
    "hostile": Hostile,
}
