"""A worker of the test pipeline as a process of its own: ``python -m tests.stream.worker_process CONFIG_JSON``."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiokafka.conn
import aiokafka.consumer.group_coordinator as group

from streamnotify.stream import fence, lease, static_member, topic_ids, writer
from streamnotify.stream.config import EngineConfig
from streamnotify.stream.takeover import Takeover
from streamnotify.stream.worker import run

HOLDABLE = (group.CoordinatorGroupRebalance, group.GroupCoordinator, Takeover)


def _through_proxy(real: int, proxy: int) -> None:
    """Send every connection to the broker through a proxy; the broker advertises its own port."""
    connection: Any = aiokafka.conn.AIOKafkaConnection
    init = connection.__init__

    def init_through_proxy(self: object, host: str, port: int, *args: object, **kwargs: object) -> None:
        init(self, host, proxy if port == real else port, *args, **kwargs)

    connection.__init__ = init_through_proxy


def _wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.05)


def _hold(step: str, path: Path) -> None:
    """Hold a step of a rebalance (a method of aiokafka's, or of ours) until a file is there.

    ``.held`` says that it waits, or did so before.
    """
    owner: Any = next(owner for owner in HOLDABLE if hasattr(owner, step))
    go_on = getattr(owner, step)

    async def held(self: object, *args: object) -> object:
        await asyncio.to_thread(path.with_suffix(".held").touch)
        await asyncio.to_thread(_wait_for, path)
        return await go_on(self, *args)

    setattr(owner, step, held)


def main() -> None:
    """Run until SIGTERM."""
    told = json.loads(sys.argv[1])
    line = "%(asctime)s %(levelname)s %(name)s: %(message)s"
    logging.basicConfig(level=os.environ.get("LEVEL", "INFO"), format=line, stream=sys.stderr)
    logging.getLogger("aiokafka").setLevel(logging.INFO)
    if told.get("proxy"):
        _through_proxy(int(told["bootstrap_servers"].rsplit(":", 1)[1]), told["proxy"])
    for step, path in told.get("held", {}).items():
        _hold(step, Path(path))
    writer.REQUEST_TIMEOUT_MS = told.get("send_timeout_ms", writer.REQUEST_TIMEOUT_MS)  # 30 s are long in a test
    fence.RENEW_AFTER = told.get("renew_after", fence.RENEW_AFTER)  # so is a day
    lease.UNHEARD_LIMIT = told.get("unheard_limit", lease.UNHEARD_LIMIT)  # or three minutes
    static_member.GRACE = told.get("grace", static_member.GRACE)
    topic_ids.LOOK_EVERY = told.get("look_every", topic_ids.LOOK_EVERY)
    module = importlib.import_module(told.get("stations", "tests.stream.pipeline"))
    config = EngineConfig(
        bootstrap_servers=told["bootstrap_servers"],
        app_id=told["app_id"],
        data_dir=Path(told["data_dir"]),
        topic_prefix=told["app_id"] + ".",
        partitions=told["partitions"],
        deployment_epoch=told.get("epoch", 0),
        health_bind=tuple(told["health"]) if told.get("health") else None,
        session_timeout=timedelta(seconds=told.get("session_timeout", 6)),
        heartbeat=timedelta(seconds=1),
        settle=timedelta(seconds=told.get("settle", 2)),
        frontier_topic="numbers",
        instance_id=told.get("instance_id"),
    )
    run(module.stations(), config)


if __name__ == "__main__":
    main()
