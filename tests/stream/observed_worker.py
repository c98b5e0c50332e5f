"""The engine with an ear on the private parts it touches: ``python -m tests.stream.observed_worker CONFIG_JSON``.

Runs the test pipeline; once the engine is ready, what was heard is written as JSON to ``report`` of the configuration.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from faust.tables.recovery import Recovery
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP

from streamnotify.stream import store
from streamnotify.stream.config import EngineConfig
from streamnotify.stream.consumer import OrderedCommitConsumer
from streamnotify.stream.engine import Engine
from streamnotify.stream.fence import Fence
from streamnotify.stream.lanes import Lanes
from streamnotify.stream.takeover import Takeover
from tests.stream import pipeline

heard: dict[str, Any] = {"steps": [], "subscriptions": [], "heartbeats": 0, "opened": [], "caches": set()}


def listen(owner: Any, name: str, note: Any) -> None:
    """Have ``note(*arguments)`` called before a coroutine method."""
    method = getattr(owner, name)

    async def noted(self: Any, *args: Any, **kwargs: Any) -> Any:
        note(*args, **kwargs)
        return await method(self, *args, **kwargs)

    setattr(owner, name, noted)


def listen_to_the_recovery() -> None:
    """The order of steps between an assignment and the first record."""
    steps: list[str] = heard["steps"]
    listen(OrderedCommitConsumer, "subscribe", lambda topics: heard["subscriptions"].append(sorted(topics)))
    listen(Takeover, "run", lambda *args: steps.append("take over"))
    listen(Takeover, "run", lambda consumer, _: heard.update(fetched_meanwhile=fetched(consumer)))
    listen(Recovery, "_build_highwaters", lambda *args: steps.append(f"build highwaters {args[3]}"))
    listen(Recovery, "_build_offsets", lambda *args: steps.append(f"build offsets {args[3]}"))
    listen(Recovery, "_seek_offsets", lambda *args: steps.append(f"seek offsets {args[3]}"))
    listen(Recovery, "on_recovery_completed", lambda *args: steps.append("recovery completed"))
    listen(AIOKafkaConsumerThread, "highwaters", lambda *args: steps.append("read end offsets"))
    need_recovery = Recovery.need_recovery

    def needed(self: Any) -> bool:
        answer = need_recovery(self)
        steps.append(f"rows for Faust to recover: {answer}")
        return answer

    Recovery.need_recovery = needed  # type: ignore[method-assign]
    stamp = Fence.stamp

    def stamped(self: Any, *args: Any) -> None:
        if "recovery completed" not in steps:
            steps.append("append a fenced batch")
        stamp(self, *args)

    Fence.stamp = stamped  # type: ignore[method-assign, assignment]


def fetched(consumer: Any) -> list[str]:
    """The topics of the partitions that aiokafka fetches now."""
    assignment = consumer._thread._ensure_consumer()._subscription.subscription.assignment
    return sorted(tp.topic for tp in assignment.tps if not assignment.state_value(tp).paused)


def let_the_stations_read_late() -> None:
    """Long after Faust has started its tables, as on a slow machine."""
    run = Lanes.run

    async def late(self: Lanes, stream: Any) -> None:
        await asyncio.sleep(0.5)
        await run(self, stream)

    Lanes.run = late  # type: ignore[method-assign]


def listen_to_the_store() -> None:
    """Which databases are opened, and with whose options."""
    open_ = store.SharedOptions.open

    def opened(self: store.SharedOptions, path: Any, **more: Any) -> Any:
        heard["opened"].append(Path(path).name)
        heard["caches"].add(id(self._cache))
        return open_(self, path, **more)

    store.SharedOptions.open = opened  # type: ignore[method-assign]


def look_at(engine: Engine) -> dict[str, Any]:
    """The state of things once records flow."""
    consumer: Any = engine.app.consumer
    client = consumer._thread._ensure_consumer()
    assignment = client._subscription.subscription.assignment
    tables = {partition.station.name: cast(Any, partition.store)._data for partition in engine.ownership}
    return {
        "app": engine.app.conf.id,
        "consumer": type(consumer).__name__,
        "thread": type(consumer._thread).__name__,
        "tables": type(engine.app.tables).__name__,
        "isolation": client._isolation_level,
        "fetch_wait_ms": client._fetch_max_wait_ms,
        "paused": sorted(tp.topic for tp in assignment.tps if assignment.state_value(tp).paused),
        "flowing": fetched(consumer),
        "hooked": [client._coordinator._do_heartbeat.__name__, client._fetcher._proc_fetch_request.__name__],
        "databases": {name: sorted(data._dbs) for name, data in tables.items()},
        "offsets_agree": all(
            partition.store.offset == partition.store._data.persisted_offset(_changelog(partition))
            and partition.store._db is partition.store._data._db_for_partition(partition.number)
            for partition in engine.ownership
        ),
        "heartbeat_age": engine.lease.heartbeat_age,
    }


def _changelog(partition: Any) -> Any:
    return TP(partition.store.changelog, partition.number)


async def run(config: EngineConfig, report: Path) -> None:
    """Run until killed."""
    engine = Engine(pipeline.stations(), config)
    answered = engine.lease.heartbeat_answered

    def heartbeat() -> None:
        heard["heartbeats"] += 1
        answered()

    engine.lease.heartbeat_answered = heartbeat  # type: ignore[method-assign]
    running = asyncio.ensure_future(engine.run(asyncio.Event()))
    while not running.done():
        await asyncio.sleep(0.1)
        if engine.flowing and heard["heartbeats"] >= 2:
            seen = {**heard, "caches": len(heard["caches"]), **look_at(engine)}
            await asyncio.to_thread(report.write_text, json.dumps(seen))
            heard["heartbeats"] = -1_000_000
    running.result()


def main() -> None:
    """Read the configuration and run."""
    told = json.loads(sys.argv[1])
    listen_to_the_recovery()
    listen_to_the_store()
    let_the_stations_read_late()
    config = EngineConfig(
        bootstrap_servers=told["bootstrap_servers"],
        app_id=told["app_id"],
        data_dir=Path(told["data_dir"]),
        topic_prefix=told["app_id"] + ".",
        partitions=told["partitions"],
        session_timeout=timedelta(seconds=6),
        heartbeat=timedelta(seconds=0.5),
    )
    asyncio.run(run(config, Path(told["report"])))


if __name__ == "__main__":
    main()
