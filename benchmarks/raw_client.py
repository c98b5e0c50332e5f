"""The ceiling: aiokafka's consumer, every record parsed, nothing kept.

``python -m benchmarks.raw_client BOOTSTRAP TOPIC COUNT_FILE ALIVE_FD``
"""

from __future__ import annotations

import os
import sys

import orjson
import uvloop
from aiokafka import AIOKafkaConsumer

from streamnotify.stream.supervisor import die_with_parent


async def main(bootstrap_servers: str, topic: str, count_file: str) -> None:
    """Read from the start until killed, writing how many records were parsed."""
    counts = os.open(count_file, os.O_WRONLY | os.O_CREAT, 0o600)
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap_servers, group_id="bench-raw", auto_offset_reset="earliest"
    )
    await consumer.start()
    done = 0
    while True:
        for records in (await consumer.getmany(timeout_ms=1000)).values():
            for record in records:
                orjson.loads(record.value)
            done += len(records)
        os.pwrite(counts, b"%012d" % done, 0)


if __name__ == "__main__":
    die_with_parent(int(sys.argv[4]))
    uvloop.run(main(sys.argv[1], sys.argv[2], sys.argv[3]))
