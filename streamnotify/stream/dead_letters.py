"""Dead letters: records that could not be used, with bytes and headers untouched (DESIGN 3.12, SPEC 2.4)."""

from __future__ import annotations

from datetime import UTC, datetime

from faust.types import TP

from streamnotify.errors import BadRecord
from streamnotify.stations.context import Record, Station
from streamnotify.stream.layers import RECORD_ID, Emission
from streamnotify.stream.metrics import DEAD_LETTERS as COUNTED
from streamnotify.wire.dead_letter import ERROR_CLASS, REPLAY_COUNT, dead_letter_headers
from streamnotify.wire.topic_layout import DEAD_LETTER_BYTES
from streamnotify.wire.topics import DEAD_LETTERS

LARGEST = DEAD_LETTER_BYTES - (256 << 10)  # bytes of a value, with room for key and headers
NOT_KEPT = "sn-value-not-kept"  # header: a compressed record may be larger than its topic's limit once unpacked
_LARGEST_REST = 192 << 10  # bytes of key and headers
_KEY_KEPT = 1024
_LAST_MS = 253_402_300_799_000  # the last second of the year 9999


def emission(
    station: Station, record: Record, failure: Exception, attempts: int, identity: bytes, wake: bytes = b""
) -> Emission:
    """The dead letter of a record.

    Args:
        station: which could not use it.
        record: as it lies in the log.
        failure: why; a BadRecord names the field.
        attempts: how often it was handled.
        identity: of the record, so that a repetition of the dead letter can be told.
        wake: key of the row whose wake failed, where the record is a tick.
    """
    headers = dead_letter_headers(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        stage=station.name,
        error=failure,
        attempts=attempts,
        failed_at=_instant(record.timestamp),  # the record's: no handler reads a clock
        replay_count=_replays(record),
    )
    COUNTED.labels(station.name, dict(headers)[ERROR_CLASS].decode()).inc()
    key, value = record.key, record.value
    own = [(name, content) for name, content in record.headers if name != REPLAY_COUNT]
    if len(value or b"") > LARGEST:
        headers.append((NOT_KEPT, _why_not_kept(value)))
        value = None
    if len(key or b"") + sum(len(name) * 4 + len(content or b"") for name, content in own) > _LARGEST_REST:
        headers.append((NOT_KEPT, b"nor were its headers and the rest of its key"))
        key, own = key and key[:_KEY_KEPT], []
    record_id = (RECORD_ID, b"%s%d/dead%s" % (identity, record.offset, b"/" + wake if wake else b""))
    return Emission(DEAD_LETTERS, key, value, [*own, *headers, record_id])


def _why_not_kept(value: bytes | None) -> bytes:
    return f"{len(value or b'')} bytes are too many for this topic; they lie where it says".encode()


def _replays(record: Record) -> int:
    """How often a record has been replayed, if its header says so; anybody may write anything there."""
    said = next((value for name, value in record.headers if name == REPLAY_COUNT), None) or b""
    return int(said) if said.isdigit() and len(said) <= 9 else 0


def _instant(timestamp_ms: int) -> datetime:
    """A record's timestamp, which its producer may have made up: the nearest instant there is."""
    return datetime.fromtimestamp(min(max(timestamp_ms, 0), _LAST_MS) / 1000, UTC)


class Expired:
    """Stands for records that are gone, from offset ``first`` on."""

    key = None
    value = None
    headers = ()
    timestamp = 0

    def __init__(self, tp: TP, first: int) -> None:
        self.topic, self.partition, self.offset = tp.topic, tp.partition, first


def expired(station: Station, tp: TP, first: int, last: int) -> Emission:
    """The dead letter that says which records of a public topic expired before they were read (DESIGN 3.2)."""
    lost = BadRecord(f"lost {first}..{last}: these records expired before they were read")
    identity = f"{station.name}/{tp.topic}/{tp.partition}/".encode()
    return emission(station, Expired(tp, first), lost, 0, identity)
