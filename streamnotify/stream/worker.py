"""The engine process: one engine, its health server, and an end that never waits for what cannot be written."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import os
import signal
from collections.abc import Sequence
from typing import NoReturn

import uvloop

from streamnotify.errors import SettingsError, StateError
from streamnotify.stations.context import Station
from streamnotify.stream.closed_connections import make_closed_connections_known
from streamnotify.stream.config import EngineConfig
from streamnotify.stream.engine import Engine
from streamnotify.stream.health import HealthServer
from streamnotify.stream.supervisor import REFUSED, STOPPED

logger = logging.getLogger(__name__)

EXIT_OK = STOPPED
EXIT_FAILED = 70  # sysexits EX_SOFTWARE: the supervisor starts the engine again
EXIT_REFUSED = REFUSED
# Polls make tens of thousands of objects that live until their chunk is persisted; with Python's 700 the collector
# looks at them all over and over (a fifth of the whole path's CPU, docs/performance.md).
GC_THRESHOLD = (50_000, 20, 100)
STOP_WITHIN = 30.0  # seconds for a graceful stop; after that the process just ends, which loses nothing


def run(stations: Sequence[Station], config: EngineConfig) -> NoReturn:
    """Run the engine in this process until SIGTERM or SIGINT; topics exist and are right.

    The process then ends at once, without another look at what is still in memory: with EXIT_OK after a graceful stop,
    else with EXIT_FAILED or EXIT_REFUSED.
    """
    gc.set_threshold(*GC_THRESHOLD)
    gc.collect()
    gc.freeze()  # what is imported stays; to look at it takes 70 ms each time
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    make_closed_connections_known()
    try:
        asyncio.run(_run(stations, config))
    except BaseException as failure:  # noqa: BLE001 - it is logged, and the process ends with the code that fits it
        _leave(failure)


async def _run(stations: Sequence[Station], config: EngineConfig) -> NoReturn:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    engine = Engine(stations, config)
    if config.health_bind is not None:
        remarks = functools.partial(_remarks, stations)
        HealthServer(lambda: engine.live, lambda: engine.unready, *config.health_bind, remarks=remarks).start()
    running = asyncio.ensure_future(engine.run(stop))
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not running.done():
        await asyncio.wait({running}, timeout=STOP_WITHIN)
    if not running.done():
        logger.warning("the engine did not stop within %.0f s; ending the process", STOP_WITHIN)
        _end_at_once(EXIT_OK)
    _leave(running.exception())


def _remarks(stations: Sequence[Station]) -> list[str]:
    """What the stations' performers have to say."""
    return [remark for each in stations if each.performer is not None for remark in each.performer.remarks()]


def _leave(failure: BaseException | None) -> NoReturn:
    """End without asyncio's clean-up: tasks of a failed engine must not get another turn, nor threads hold it up."""
    if failure is None:
        _end_at_once(EXIT_OK)
    if isinstance(failure, StateError | SettingsError):
        logger.error("refused to start: %s", failure)
        _end_at_once(EXIT_REFUSED)
    logger.critical("the engine failed: %r", failure, exc_info=failure)
    _end_at_once(EXIT_FAILED)


def _end_at_once(code: int) -> NoReturn:
    logging.shutdown()
    os._exit(code)
