"""When a chunk is complete."""

from __future__ import annotations

import time
from typing import Any

from streamnotify.stations.context import Context, Station
from streamnotify.stream.chunk import TURN_SECONDS
from streamnotify.stream.processor import Processor
from streamnotify.testing.memory import MemoryRecord, MemoryStore
from tests.stream.pipeline import COUNT, COUNTS, Add


def test_slow_handlers_make_small_chunks_so_that_the_event_loop_gets_its_turn() -> None:
    """Else thousands of records of half a millisecond hold up the pulse until the lease is lost."""

    def slowly(_command: Any, _ctx: Context) -> None:
        until = time.perf_counter() + TURN_SECONDS
        while time.perf_counter() < until:
            pass

    station = Station("slow", (COUNTS,), slowly, rows=(COUNT,))
    value = COUNTS.encode(Add("k"))
    records = [MemoryRecord("counts", offset, offset, None, value) for offset in range(3)]
    chunks = list(Processor(station, b"slow/t/0/0/", MemoryStore()).chunks(records))
    assert [chunk.records for chunk in chunks] == [1, 1, 1]


class CountingStore(MemoryStore):
    """Notes which keys are asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[bytes] = []

    def read(self, key: bytes) -> bytes | None:
        self.asked.append(key)
        return super().read(key)


def test_the_store_is_asked_once_for_a_row_and_what_a_chunk_has_changed_is_what_its_later_records_see() -> None:
    seen: list[tuple[int | None, int | None]] = []

    def look(_command: Any, ctx: Context) -> None:
        before = ctx.get(COUNT, "changed")
        seen.append((before, ctx.get(COUNT, "missing")))
        if before == 1:
            ctx.delete(COUNT, "changed")
        else:
            ctx.put(COUNT, "changed", 1 if before is None else before + 1)

    store = CountingStore()
    store.rows[COUNT.key("changed")] = COUNT.encode(0)
    records = [MemoryRecord("counts", offset, offset, None, COUNTS.encode(Add("k"))) for offset in range(4)]
    chunks = list(Processor(Station("looks", (COUNTS,), look, rows=(COUNT,)), b"looks/t/0/0/", store).chunks(records))
    assert seen == [(0, None), (1, None), (None, None), (1, None)]
    assert chunks[-1].rows[COUNT.key("changed")] is None
    asked = [key for key in store.asked if key[:1] == COUNT.kind]
    assert sorted(asked) == [COUNT.key("changed"), COUNT.key("missing")]
