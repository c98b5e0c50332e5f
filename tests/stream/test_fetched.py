"""Fetched records are ours, and a header name that is no UTF-8 does not stop its partition."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.consumer import fetcher
from confluent_kafka.admin import AdminClient, NewTopic

from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.stream.fetched import FetchedRecord, replace_aiokafkas_records
from tests.stream.raw_batches import send_with_unreadable_names

VALUES = [b"%d" % number for number in range(20)]


async def _read(servers: str, topic: str, count: int) -> list[Any]:
    consumer = AIOKafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        records: list[Any] = []
        while len(records) < count:
            for polled in (await consumer.getmany(timeout_ms=5000, max_records=7)).values():
                records += polled
        return records
    finally:
        await consumer.stop()


async def _send(servers: str, topic: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=servers, compression_type="gzip") as producer:
        await producer.send_and_wait(topic, b"before", partition=0, headers=[("h", b"v")])
        await send_with_unreadable_names(servers, topic, 0, VALUES)
        await producer.send_and_wait(topic, b"after", partition=0, headers=[("h", None)])


def test_records_with_unreadable_header_names_are_read_all_the_same(
    kafka: EmbeddedKafka, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = f"names-{unique}"
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    admin.create_topics([NewTopic(topic, 1)])[topic].result(30)
    asyncio.run(_send(kafka.bootstrap_servers, topic))
    for name in ("MemoryRecords", "PartitionRecords"):
        monkeypatch.setattr(fetcher, name, getattr(fetcher, name))  # put back at the end
    with pytest.raises(UnicodeDecodeError):  # else fetched.py is not needed any more
        asyncio.run(_read(kafka.bootstrap_servers, topic, len(VALUES) + 2))

    replace_aiokafkas_records()
    records = asyncio.run(_read(kafka.bootstrap_servers, topic, len(VALUES) + 2))
    assert {type(record) for record in records} == {FetchedRecord}
    assert [record.value for record in records] == [b"before", *VALUES, b"after"]
    assert [record.offset for record in records] == list(range(len(VALUES) + 2))
    assert records[1].headers == (("readable", b"1"),)
    assert records[2].headers == (("readable", b"1"), ("\ufffd\ufffd" + "x" * 13, b"2"))
    assert (records[0].headers, records[-1].headers) == ((("h", b"v"),), (("h", None),))
