"""An engine that takes as long for each record of ingest's as a file says: ``python -m tests.e2e.slow_ingest_engine``.

The file is named by SLOW_INGEST and holds seconds; once it is gone, ingest is as fast as ever.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from faust.types import TP

from streamnotify.cli.engine import main
from streamnotify.stations.context import Record
from streamnotify.stream.lanes import Lanes

_apply = Lanes._apply


async def _slowly(self: Lanes, source: TP, records: Sequence[Record]) -> None:
    if source.topic.endswith("task-events"):
        for _ in records:
            await asyncio.sleep(_seconds())
    await _apply(self, source, records)


def _seconds() -> float:
    try:
        return float(Path(os.environ["SLOW_INGEST"]).read_text())
    except FileNotFoundError:
        return 0.0


if __name__ == "__main__":
    Lanes._apply = _slowly  # type: ignore[method-assign]  # the seam that this needs
    main()
