"""The test pipeline with attempts that take long and are written down, and a way to forget a sleeping key.

Environment: ``SLOW_LOG`` is the file in which each attempt is noted; ``SLOW_SECONDS`` how long one takes.
A number with ``poison="forget"`` deletes the key's sleeping row and is not counted.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
from pathlib import Path
from typing import Any

from streamnotify.stations.context import Attempt, Context, Performer, Station
from tests.stream import pipeline


def count_or_forget(command: Any, ctx: Context) -> None:
    """Count as the pipeline does, or forget."""
    if isinstance(command, pipeline.Add) and command.poison == "forget":
        ctx.delete(pipeline.SLEEP, command.key)
        return
    pipeline.count(command, ctx)


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
    splitter, counter, summer = pipeline.stations(Performer(perform, at_once=8))
    return splitter, dataclasses.replace(counter, handle=count_or_forget), summer
