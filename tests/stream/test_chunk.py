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
