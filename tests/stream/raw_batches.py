"""Record batches as only a client of one's own would write them."""

from __future__ import annotations

import struct
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.record.util import calc_crc32c

STAND_IN = "unreadable-name"  # header name whose bytes are replaced
UNREADABLE = b"\xff\xfe" + b"x" * (len(STAND_IN) - 2)

_CRC_AT, _CRC_FROM = 17, 21  # where a batch keeps its checksum, and from where on it counts


def with_unreadable_name(batch: Any) -> None:
    """Give the closed, uncompressed batch header names that are no UTF-8 in the place of STAND_IN."""
    buffer = bytearray(bytes(batch._build()).replace(STAND_IN.encode(), UNREADABLE))
    assert UNREADABLE in buffer
    struct.pack_into(">I", buffer, _CRC_AT, calc_crc32c(bytes(buffer[_CRC_FROM:])))
    batch._buffer = buffer


async def send_with_unreadable_names(servers: str, topic: str, partition: int, values: list[bytes]) -> None:
    """Send values in one batch, every second one with such a header."""
    async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
        batch = producer.create_batch()
        for number, value in enumerate(values):
            headers = [("readable", b"1"), *([(STAND_IN, b"2")] if number % 2 else [])]
            batch.append(key=None, value=value, timestamp=None, headers=headers)
        batch.close()
        with_unreadable_name(batch)
        await (await producer.send_batch(batch, topic, partition=partition))
