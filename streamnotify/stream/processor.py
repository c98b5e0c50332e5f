"""Records in, chunks out: how a partition's records are applied. Knows nothing of Kafka; both engines use it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from itertools import islice

from streamnotify.errors import BadRecord, EngineFailure
from streamnotify.stations.context import Due, Record, Station, WaitsFor
from streamnotify.stream import dead_letters, wakes
from streamnotify.stream.chunk import Chunk, Identity
from streamnotify.stream.engine_rows import OPEN
from streamnotify.stream.layers import IDENTITY, Origin, RecordContext, Store

logger = logging.getLogger(__name__)

TICK = "sn-tick"  # header of a tick; its value is the frontier in milliseconds, empty if there is none
RESULT = "sn-result"  # header of an attempt's result; its value is the attempt's number
MARKS = frozenset({IDENTITY, TICK, RESULT})
NO_MARK = ("", b"")
TRIES = (1, 2, 3)  # of a record whose handler fails unexpectedly, before it is dead-lettered (DESIGN 3.3)
WAKES_PER_TICK = 500
SCANNED_PER_TICK = 20_000  # rows; a tick must not hold up the lease, and a limit by time would not be the same twice


class Processor:
    """Applies one partition's records to its state, one chunk after another.

    Args:
        station: whose handler is called.
        identity: where this partition's emissions come from, ``station/topic id/partition/epoch/``.
        store: the partition's persisted rows.
    """

    def __init__(self, station: Station, identity: bytes, store: Store) -> None:
        self._station = station
        self._identity = identity
        self._store = store
        self._stateful = bool(station.rows)
        self._has_clock = station.has_clock
        self._folds = station.folding is not None
        self._decode = station.inputs[0].decode
        self._rows = {row.kind: row for row in station.rows}

    def chunks(self, records: Sequence[Record]) -> Iterator[Chunk]:
        """The chunks of a micro-batch, each to be persisted before the next is asked for.

        Args:
            records: of one partition, in offset order; those applied before are passed over.

        Raises:
            EngineFailure: if the store cannot be read.
        """
        chunk, context = self._new_chunk()
        for record in records:
            if record.offset <= chunk.position.applied and self._stateful:
                continue
            mark, value = _mark(record) if self._has_clock else NO_MARK
            if mark == TICK and chunk.records:  # a tick looks for due wakes in the store
                yield chunk.finish()
                chunk, context = self._new_chunk()
            now_ms = max(chunk.position.clock_ms, record.timestamp)
            seen = _parse_identity(value) if mark == IDENTITY else None
            verdict_stands = True
            if seen is not None and chunk.has_applied(*seen):
                seen = None  # a repetition: the highest identity seen stays what it is
            else:
                verdict_stands = self._apply(record, mark, value, context, now_ms)
                if not chunk.absorb(context):
                    yield chunk.finish()
                    done = context
                    chunk, context = self._new_chunk()
                    chunk.absorb(done)
                chunk.position.fired = context.origin.fired
            chunk.take(record.offset, now_ms, seen)
            if chunk.full or not verdict_stands:
                yield chunk.finish()
                chunk, context = self._new_chunk()
        if chunk.records:
            yield chunk.finish()

    def _new_chunk(self) -> tuple[Chunk, RecordContext]:
        chunk = Chunk(self._store, stateful=self._stateful, folding=self._station.folding)
        origin = Origin(self._identity, -1, None, chunk.position.fired, folds=self._folds)
        return chunk, RecordContext(chunk, origin)

    def _apply(self, record: Record, mark: str, value: bytes, context: RecordContext, now_ms: int) -> bool:
        """Lay the record's changes on ``context``; whether the verdict would be the same another time.

        Where it might not, because handling failed at every try, the verdict is persisted before any later record
        emits (DESIGN 3.3): else a repetition after a crash could emit in another order.
        """
        fired = context.origin.fired
        for attempt in TRIES:
            context.begin(record.offset, now_ms if self._has_clock else None)
            context.origin.fired = fired
            try:
                if mark == TICK:
                    return self._handle_tick(record, value, context)
                if mark == RESULT:
                    self._handle_result(record, int(value), context)
                elif self._decode is None:
                    self._station.handle(record, context)
                else:
                    self._station.handle(self._decode(record.value or b""), context)
                return True
            except Exception as exc:  # noqa: BLE001 - judged by _tries_again
                failure = exc
                if not self._tries_again(exc, attempt, _position(record)):
                    break
        context.origin.fired = fired
        self._dead_letter(record, failure, attempt, context)
        return isinstance(failure, BadRecord)

    def _tries_again(self, failure: Exception, attempt: int, what: str) -> bool:
        """Whether a handler that failed is worth another try; raises what is no verdict about what it handled."""
        if isinstance(failure, EngineFailure):
            raise failure
        if isinstance(failure, BadRecord):
            return False
        logger.error("%s failed on %s, try %d", self._station.name, what, attempt, exc_info=failure)
        return attempt < TRIES[-1]

    def _handle_result(self, record: Record, number: int, context: RecordContext) -> None:
        """Close the attempt and handle its result, unless it has ended already."""
        key = OPEN + (record.key or b"")
        if context.read(key) == number.to_bytes(8, "big") and self._decode is not None:
            context.write(key, None)
            self._station.handle(self._decode(record.value or b""), context)

    def _handle_tick(self, record: Record, frontier: bytes, tick: RecordContext) -> bool:
        """Handle due wakes in order until a number, a size or an effort is reached; another tick follows for the rest.

        It also ends with a wake that fails unexpectedly: that verdict is persisted before the next one is handled.
        """
        now_ms, fired = tick.origin.now_ms or 0, dict(tick.origin.fired)
        until = {WaitsFor.BROKER: now_ms, WaitsFor.FRONTIER: min(int(frontier or b"-1"), now_ms)}
        due = (
            (clock, key) for clock, ms in until.items() for key in wakes.due(self._store, clock, ms, fired.get(clock))
        )
        # What handling a wake puts to sleep comes after this tick, which looks only at what was due when it began.
        tick.origin.fired = {clock: wakes.last_key(clock, ms) for clock, ms in until.items()}
        stands = True
        for clock, key in islice(due, WAKES_PER_TICK):
            layer, stands = self._fire(record, key, until[clock], tick)
            if not tick.absorb(layer):
                break
            fired[clock] = key
            if not stands or tick.origin.scanned > SCANNED_PER_TICK:
                break
        tick.origin.fired = fired
        return stands

    def _fire(self, record: Record, key: bytes, reached_ms: int, tick: RecordContext) -> tuple[RecordContext, bool]:
        """The layer of one due wake, and whether its verdict would be the same another time."""
        layer = RecordContext(tick, tick.origin)
        if tick.rows.get(key, b"") is None:  # a chunk begins with the tick, so nothing else has touched it
            return layer, True  # an earlier wake of this tick has moved or cancelled it
        at_ms, row_key = wakes.parse_due_key(key)
        emitted, scanned = tick.origin.emitted, tick.origin.scanned
        for attempt in TRIES:
            layer = RecordContext(tick, tick.origin)
            # Which try succeeds must not be seen in the identities of what follows, nor in where the tick ends.
            tick.origin.emitted, tick.origin.scanned = emitted, scanned
            wakes.clear_wake(layer, key, row_key)
            if layer.read(row_key) is None:
                return layer, True
            try:
                row, key_of_row = self._rows[row_key[:1]], row_key[1:].decode()
                self._station.handle(Due(row, key_of_row, wakes.instant(at_ms), wakes.instant(reached_ms)), layer)
                return layer, True
            except Exception as exc:  # noqa: BLE001 - judged by _tries_again
                failure = exc
                if not self._tries_again(exc, attempt, f"the wake of {row_key!r}"):
                    break
        logger.warning("%s dead-letters the wake of %r: %s", self._station.name, row_key, failure)
        layer = RecordContext(tick, tick.origin)
        wakes.clear_wake(layer, key, row_key)
        letter = dead_letters.emission(self._station, record, failure, attempt, self._identity, row_key)
        layer.emissions.append(letter)
        return layer, isinstance(failure, BadRecord)

    def _dead_letter(self, record: Record, failure: Exception, attempts: int, context: RecordContext) -> None:
        """Throw away what the record has changed and emit it as a dead letter."""
        logger.warning("%s dead-letters %s: %s", self._station.name, _position(record), failure)
        context.begin(record.offset, context.origin.now_ms)
        context.emissions.append(dead_letters.emission(self._station, record, failure, attempts, self._identity))
        for topic, key, told in failure.told if isinstance(failure, BadRecord) else ():
            context.emit(topic, key, told)


def _mark(record: Record) -> tuple[str, bytes]:
    """The header by which the engine knows an emission, a tick or a result; there is at most one."""
    for header in record.headers:
        if header[0] in MARKS:
            return header
    return NO_MARK


def _parse_identity(value: bytes) -> tuple[bytes, Identity] | None:
    """The source of an emission, and its place among those from there; None for a header that is not ours."""
    try:
        source, epoch, offset, index = value.rsplit(b"/", 3)
        return source, (int(epoch), int(offset), int(index))
    except ValueError:
        return None


def _position(record: Record) -> str:
    return f"{record.topic}[{record.partition}]@{record.offset}"
