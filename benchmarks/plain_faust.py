"""What one writes after reading Faust's tutorial: an agent that counts in a RocksDB table.

``python -m benchmarks.plain_faust BOOTSTRAP TOPIC COUNT_FILE ALIVE_FD DATA_DIR PARTITIONS``
"""

from __future__ import annotations

import os
import sys
from typing import Any

import faust

from streamnotify.stream.supervisor import die_with_parent

WRITE_EVERY = 200  # records


def main(bootstrap_servers: str, topic_name: str, count_file: str, data_dir: str, partitions: int) -> None:
    """Count per task name until killed, writing how many records were counted."""
    counts_fd = os.open(count_file, os.O_WRONLY | os.O_CREAT, 0o600)
    app = faust.App(
        "bench-faust",
        broker=f"kafka://{bootstrap_servers}",
        store="rocksdb://?driver=rocksdict",
        datadir=data_dir,
        topic_partitions=partitions,
        web_enabled=False,  # it would listen on all addresses
    )
    events = app.topic(topic_name, key_type=bytes, value_serializer="json")
    counts = app.Table("counts", default=int)
    done = 0

    async def count(stream: Any) -> None:
        nonlocal done
        async for event in stream:
            counts[event["task_name"]] += 1
            done += 1
            if done % WRITE_EVERY == 0:
                os.pwrite(counts_fd, b"%012d" % done, 0)

    app.agent(events, name="count")(count)
    faust.Worker(app, loglevel="info").execute_from_commandline()


if __name__ == "__main__":
    die_with_parent(int(sys.argv[4]))
    main(sys.argv[1], sys.argv[2], sys.argv[3], data_dir=sys.argv[5], partitions=int(sys.argv[6]))
