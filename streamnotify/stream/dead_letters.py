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


def emission(station: Station, record: Record, failure: Exception, attempts: int, identity: bytes) -> Emission:
    """The dead letter of a record.

    Args:
        station: which could not use it.
        record: as it lies in the log.
        failure: why; a BadRecord names the field.
        attempts: how often it was handled.
        identity: of the record, so that a repetition of the dead letter can be told.
    """
    replayed = next((int(value) for name, value in record.headers if name == REPLAY_COUNT and value.isdigit()), 0)
    headers = dead_letter_headers(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        stage=station.name,
        error=failure,
        attempts=attempts,
        failed_at=datetime.fromtimestamp(record.timestamp / 1000, UTC),  # the record's: no handler reads a clock
        replay_count=replayed,
    )
    value = record.value
    if value is not None and len(value) > LARGEST:
        headers.append((NOT_KEPT, f"{len(value)} bytes are too many for this topic; they lie where it says".encode()))
        value = None
    COUNTED.labels(station.name, dict(headers)[ERROR_CLASS].decode()).inc()
    own = [(name, value) for name, value in record.headers if name != REPLAY_COUNT]
    record_id = (RECORD_ID, b"%s%d/dead" % (identity, record.offset))
    return Emission(DEAD_LETTERS, record.key, value, [*own, *headers, record_id])


class Expired:
    """Stands for records that are gone: offsets ``first`` to ``last`` of a partition."""

    key = None
    value = None
    headers = ()
    timestamp = 0

    def __init__(self, tp: TP, first: int, last: int) -> None:
        self.topic, self.partition, self.offset, self.last = tp.topic, tp.partition, first, last


def expired(station: Station, tp: TP, first: int, last: int) -> Emission:
    """The dead letter that says which records of a public topic expired before they were read (DESIGN 3.2)."""
    lost = BadRecord(f"lost {first}..{last}: these records expired before they were read")
    identity = f"{station.name}/{tp.topic}/{tp.partition}/".encode()
    return emission(station, Expired(tp, first, last), lost, 0, identity)
