"""The test pipeline with attempts that take long and are written down.

Environment: ``SLOW_LOG`` is the file in which each attempt is noted; ``SLOW_SECONDS`` how long one takes.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from streamnotify.stations.context import Attempt, Performer, Station
from tests.stream import pipeline


async def perform(attempt: Attempt) -> pipeline.Performed:
    """Take long; note how it begins and ends."""
    _note("begin", attempt)
    try:
        await asyncio.sleep(float(os.environ["SLOW_SECONDS"]))
    except asyncio.CancelledError:
        _note("abort", attempt)
        raise
    attempt.check_lease()
    _note("done", attempt)
    return pipeline.Performed(attempt.key, attempt.number)


def _note(what: str, attempt: Attempt) -> None:
    with Path(os.environ["SLOW_LOG"]).open("a") as log:
        log.write(f"{os.getpid()} {what} {attempt.key}\n")


def stations() -> tuple[Station, ...]:
    """The pipeline's stations with these attempts."""
    return pipeline.stations(Performer(perform, at_once=8))
