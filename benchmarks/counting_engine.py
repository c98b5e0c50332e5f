"""Our engine with the same task as the others: one stateful station that counts per task name.

``python -m benchmarks.counting_engine BOOTSTRAP TOPIC ALIVE_FD DATA_DIR PARTITIONS HEALTH_PORT``
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import msgspec

from streamnotify.stations.context import Context, Record, Station
from streamnotify.stream.config import EngineConfig
from streamnotify.stream.supervisor import die_with_parent
from streamnotify.stream.worker import run
from streamnotify.wire.rows import Row
from streamnotify.wire.topics import Topic

APP_ID = "bench-engine"
STATION = "counter"
COUNT = Row(b"c", int)


class Named(msgspec.Struct):
    """The one field of an event that counts."""

    task_name: str


_decode = msgspec.json.Decoder(Named).decode


def count(record: Record, ctx: Context) -> None:
    """One more of its task name."""
    name = _decode(record.value or b"").task_name
    ctx.put(COUNT, name, (ctx.get(COUNT, name) or 0) + 1)


def changelog() -> str:
    """The topic its state is kept in."""
    return f"{APP_ID}-{STATION}-changelog"


def main(bootstrap_servers: str, topic: str, data_dir: str, partitions: int, health_port: int) -> int:
    """Run until SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    events = Topic(topic, internal=False, encode=msgspec.json.encode)
    config = EngineConfig(
        bootstrap_servers=bootstrap_servers,
        app_id=APP_ID,
        data_dir=Path(data_dir),
        partitions=partitions,
        health_bind=("127.0.0.1", health_port),
    )
    return run([Station(STATION, (events,), count, rows=(COUNT,))], config)


if __name__ == "__main__":
    die_with_parent(int(sys.argv[3]))
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[4], int(sys.argv[5]), int(sys.argv[6])))
