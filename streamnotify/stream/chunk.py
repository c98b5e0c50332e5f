"""A chunk: what a run of records of one partition changes, persisted at once or not at all (DESIGN 3.5)."""

from __future__ import annotations

import time
from collections.abc import Hashable

from streamnotify.stations.context import Folding
from streamnotify.stream import engine_rows
from streamnotify.stream.layers import CHUNK_BYTES, Emission, Layer, Store

Identity = tuple[int, int, int]  # deployment epoch, input offset, index: grows along one source

# The event loop gets its turn between two chunks: after so many records, or so many seconds of slow handlers.
CHUNK_RECORDS = 2_000
TURN_SECONDS = 0.02


class Chunk(Layer):
    """The layer that is persisted.

    Args:
        store: the partition's persisted rows.
        stateful: whether the station keeps rows, and with them its position.
        folding: how the station's commands are folded, if they are.
    """

    def __init__(self, store: Store, *, stateful: bool, folding: Folding | None) -> None:
        super().__init__(store)
        self._store = store
        self._stateful = stateful
        self._folding = folding
        self._folded: dict[Hashable, int] = {}
        self._seen: dict[bytes, Identity] = {}
        self._stored: dict[bytes, bytes | None] = {}  # what was read: nobody else writes while the chunk grows
        self.position = engine_rows.decode_position(store.read(engine_rows.POSITION) if stateful else None)
        self.records = 0
        self._began = time.perf_counter()

    def read(self, key: bytes) -> bytes | None:
        """As Layer's; the store is asked once for each row."""
        if key in self.rows:
            return self.rows[key]
        if key not in self._stored:
            self._stored[key] = self._store.read(key)
        return self._stored[key]

    def has_applied(self, source: bytes, identity: Identity) -> bool:
        """Whether an emission was applied before (DESIGN 3.7), by this chunk or an earlier one."""
        highest = self._seen.get(source)
        if highest is None:
            highest = engine_rows.decode_seen(self._store.read(engine_rows.SEEN + source))
        return highest is not None and identity <= highest

    @property
    def full(self) -> bool:
        """Whether the chunk should be persisted before another record is looked at."""
        return (
            self.records >= CHUNK_RECORDS
            or self.size >= CHUNK_BYTES
            or time.perf_counter() - self._began > TURN_SECONDS
        )

    def take(self, offset: int, now_ms: int, seen: tuple[bytes, Identity] | None) -> None:
        """Count a record as applied, whatever became of it; ``seen`` is the emission it was, if it is a new one."""
        self.records += 1
        self.position.applied, self.position.clock_ms = offset, now_ms
        if seen is not None:
            self._seen[seen[0]] = seen[1]

    def add_emissions(self, emissions: list[Emission]) -> None:
        """Append emissions, folding their commands into those already there."""
        if self._folding is None:
            self.emissions += emissions
            return
        for emission in emissions:
            self._fold(self._folding, emission)

    def finish(self) -> Chunk:
        """Add the position and the identities seen, and encode what was folded; nothing may follow."""
        self.emissions = [
            emission if emission.command is None else emission._replace(value=emission.topic.encode(emission.command))
            for emission in self.emissions
        ]
        if self._stateful:
            for source, identity in self._seen.items():
                self.rows[engine_rows.SEEN + source] = engine_rows.encode_seen(identity)
            self.rows[engine_rows.POSITION] = self.position.encode()
        return self

    def _fold(self, folding: Folding, emission: Emission) -> None:
        if emission.command is None:
            self.emissions.append(emission)
            return
        identity = folding.identity(emission.command)
        at = self._folded.get(identity)
        if at is not None and self.emissions[at].everywhere == emission.everywhere:
            both = folding.combine(self.emissions[at].command, emission.command)
            if both is not None:
                self.emissions[at] = self.emissions[at]._replace(command=both)
                return
        self._folded[identity] = len(self.emissions)
        self.emissions.append(emission)
