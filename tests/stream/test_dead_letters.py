"""Dead letters of records that nobody but an attacker writes: making the letter must never fail."""

from __future__ import annotations

from typing import Any

import pytest

from streamnotify.errors import BadRecord
from streamnotify.stations.context import Station
from streamnotify.stream import dead_letters
from streamnotify.stream.dead_letters import NOT_KEPT
from streamnotify.stream.layers import Emission
from streamnotify.testing.memory import MemoryRecord
from streamnotify.wire import dead_letter
from streamnotify.wire.topic_layout import DEAD_LETTER_BYTES
from streamnotify.wire.topics import TASK_EVENTS

STATION = Station("ingest", (TASK_EVENTS,), lambda command, ctx: None)


def letter(**fields: Any) -> Emission:
    plain: dict[str, Any] = {"topic": "t", "offset": 7, "timestamp": 0, "key": b"k", "value": b"v"}
    record = MemoryRecord(**(plain | fields))
    return dead_letters.emission(STATION, record, BadRecord("no"), 1, b"ingest/x/0/0/")


@pytest.mark.parametrize(
    ("timestamp", "failed_at"),
    [
        (1_705_329_030_000, "2024-01-15T14:30:30+00:00"),
        (-1, "1970-01-01T00:00:00+00:00"),
        (-(2**63), "1970-01-01T00:00:00+00:00"),
        (2**63 - 1, "9999-12-31T23:59:59+00:00"),
    ],
)
def test_any_timestamp_becomes_the_nearest_instant(timestamp: int, failed_at: str) -> None:
    assert dict(letter(timestamp=timestamp).headers)[dead_letter.FAILED_AT].decode() == failed_at


@pytest.mark.parametrize(
    ("said", "understood"), [(b"3", b"3"), (None, b"0"), (b"", b"0"), (b"many", b"0"), (b"9" * 5000, b"0")]
)
def test_a_replay_count_that_is_none_counts_as_never(said: bytes | None, understood: bytes) -> None:
    headers = letter(headers=[("sn-replay-count", said)]).headers
    assert [value for name, value in headers if name == dead_letter.REPLAY_COUNT] == [understood]


@pytest.mark.parametrize(
    "fields",
    [
        {"value": b"x" * (20 << 20)},
        {"key": b"x" * (20 << 20)},
        {"headers": [("h", b"x" * (20 << 20))]},
        {"headers": [("\U0001f600" * 100, None)] * 10_000},
        {"key": b"x" * (2 << 20), "value": b"x" * (2 << 20), "headers": [("h", b"x" * (2 << 20))]},
    ],
    ids=["value", "key", "header", "headers", "all"],
)
def test_what_is_too_large_for_the_topic_is_left_out_and_said_so(fields: dict[str, Any]) -> None:
    made = letter(**fields)
    size = sum(len(name.encode()) + len(value or b"") + 10 for name, value in made.headers)
    assert size + len(made.key or b"") + len(made.value or b"") < DEAD_LETTER_BYTES - 1000
    assert NOT_KEPT in dict(made.headers)
    assert dict(made.headers)[dead_letter.OFFSET] == b"7"


def test_a_record_within_the_topics_limit_is_kept_whole() -> None:
    own = [("trace", b"\x00\xff"), ("null", None)]
    made = letter(key=b"k" * 50_000, value=b"v" * (2 << 20), headers=own)
    assert (made.key, made.value, made.headers[:2]) == (b"k" * 50_000, b"v" * (2 << 20), own)
    assert NOT_KEPT not in dict(made.headers)
