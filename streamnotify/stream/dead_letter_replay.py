"""A dead letter's record as it is put back where it came from (research/kafka-ops.md section 3, dead letters)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from confluent_kafka import Message

from streamnotify.stream.dead_letters import NOT_KEPT
from streamnotify.stream.layers import IDENTITY
from streamnotify.stream.processor import TICK
from streamnotify.stream.topic_reader import header_pairs
from streamnotify.wire import dead_letter

REPLAY_OF = "sn-replay-of"  # header of a record that was put back: the dead letter it was, <partition>-<offset>
MOST_REPLAYS = 3  # kafka-ops: "refused above 3"; what failed so often will fail again


class NotReplayable(Exception):
    """This dead letter cannot be put back; says why."""


@dataclass(frozen=True, slots=True)
class Replay:
    """The record to publish.

    Args:
        letter: which dead letter it was, ``<partition>-<offset>``.
        topic, partition, offset: where it lay; its name on the broker.
        headers: its own, without where an emission of ours came from: it is a new record to whoever reads it
            (DESIGN 3.12), and one that is known to have come from there would be dropped as a repetition.
        timestamp_ms: the record's own, so that an event without ``occurred_at`` keeps its time.
        replays: how often it had been put back before.
    """

    letter: str
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    timestamp_ms: int
    replays: int


def letter_id(message: Message) -> str:
    """What the commands call a dead letter."""
    return f"{message.partition()}-{message.offset()}"


def replay_of(message: Message) -> Replay:
    """The record that a dead letter holds.

    Raises:
        NotReplayable: if it does not hold one whole.
    """
    own, ours = _parted(message)
    if dead_letter.TOPIC not in ours:
        raise NotReplayable("its headers do not say where it came from")
    if any(name == NOT_KEPT for name, _ in own) or NOT_KEPT in ours:
        raise NotReplayable("it was too large to be kept whole; it lies where its headers say, until it expires there")
    if ours.get(dead_letter.ATTEMPTS) == "0":
        raise NotReplayable("it stands for records that expired before they were read")
    if any(name == TICK for name, _ in own):
        raise NotReplayable("it is a tick of the engine's own, not a record of anybody's")
    try:
        return _replay(message, own, ours)
    except (KeyError, ValueError, OverflowError):
        raise NotReplayable("its headers are none of ours: they do not say where it lay and when") from None


def _replay(message: Message, own: list[tuple[str, bytes | None]], ours: dict[str, str]) -> Replay:
    replays = int(ours.get(dead_letter.REPLAY_COUNT) or 0)
    headers = [(name, value) for name, value in own if name not in (IDENTITY, REPLAY_OF)]
    letter = letter_id(message)
    headers += [(dead_letter.REPLAY_COUNT, str(replays + 1).encode()), (REPLAY_OF, letter.encode())]
    return Replay(
        letter=letter,
        topic=ours[dead_letter.TOPIC],
        partition=int(ours[dead_letter.PARTITION]),
        offset=int(ours[dead_letter.OFFSET]),
        key=message.key(),
        value=message.value(),
        headers=headers,
        timestamp_ms=max(0, int(datetime.fromisoformat(ours[dead_letter.FAILED_AT]).timestamp() * 1000)),
        replays=replays,
    )


def _parted(message: Message) -> tuple[list[tuple[str, bytes | None]], dict[str, str]]:
    """The record's own headers, and ours, which stand behind them: anybody may have written some of the same names."""
    headers = header_pairs(message)
    start = max((at for at, (name, _) in enumerate(headers) if name == dead_letter.TOPIC), default=len(headers))
    return headers[:start], {name: (value or b"").decode(errors="replace") for name, value in headers[start:]}
