"""Fetched records are ours, and a header name that is no UTF-8 does not stop its partition."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from confluent_kafka.admin import AdminClient, NewTopic
from hypothesis import example, given
from hypothesis import strategies as st

from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.stream.fetched import FetchedRecord, _KeptRecords, _Records, replace_aiokafkas_records
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
    for name in ("MemoryRecords", "PartitionRecords", "FetchResult"):
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


AiokafkasRecords = _Records.__base__  # in the fetcher ours may stand by now
PARTITION = TopicPartition("t", 0)
ABORT, COMMIT = b"\x00\x00\x00\x00", b"\x00\x00\x00\x01"  # keys of the records that end transactions
CONTROL = 0x20  # of a batch's attributes


class Log:
    """Record batches as a broker would send them."""

    def __init__(self) -> None:
        self.data = b""
        self.end = 0

    def append(
        self, offsets: list[int], *, producer: int = -1, control: bytes | None = None, compression: int = 0
    ) -> None:
        """A batch with records at these offsets from its start; the one before its last may be compacted away."""
        builder = DefaultRecordBatchBuilder(2, compression, int(producer >= 0), producer, 0, 0, 1 << 20)
        for at in offsets:
            key = b"%d" % (self.end + at) if control is None else control
            builder.append(at, 1_700_000_000_000 + at, key, b"value", [("h", b"%d" % at)])
        batch = bytearray(builder.build())
        batch[0:8] = self.end.to_bytes(8, "big")
        if control is not None:
            batch[22] |= CONTROL
            batch[17:21] = calc_crc32c(bytes(batch[21:])).to_bytes(4, "big")
        self.data += bytes(batch)
        self.end += offsets[-1] + 1

    def corrupt(self) -> None:
        """Damage the last byte."""
        self.data = self.data[:-1] + bytes([self.data[-1] ^ 1])


def reader(
    records: type, partition: type | None, log: Log, start: int = 0, aborted: list[tuple[int, int]] | None = None
) -> Any:
    """What reads a fetched answer, aiokafka's or ours."""
    assert partition is not None
    return partition(PARTITION, records(log.data), aborted, start, None, None, True, fetcher.READ_COMMITTED)


BATCH = st.tuples(
    st.lists(st.integers(0, 9), min_size=1, max_size=5, unique=True).map(sorted),
    st.sampled_from([-1, 7, 8]),
    st.sampled_from([0, 1]),
)


@given(
    st.lists(st.one_of(BATCH, st.sampled_from([(7, ABORT), (8, COMMIT)])), max_size=8),
    st.integers(0, 40),
    st.sampled_from([None, 1, 2, 7]),
)
@example([([0], 7, 0), (7, ABORT), ([0], 7, 0)], 0, None)  # one that is not aborted after one that was
def test_batches_are_unpacked_as_aiokafka_unpacks_records(batches: list[Any], start: int, most: int | None) -> None:
    log, aborted, begun = Log(), [], None
    for batch in batches:
        if len(batch) == 2:
            producer, mark = batch
            if mark == ABORT and begun is not None:
                aborted.append((7, begun))
                begun = None
            log.append([0], producer=producer, control=mark)
        else:
            offsets, producer, compression = batch
            if producer == 7 and begun is None:
                begun = log.end
            log.append(offsets, producer=producer, compression=compression)
    theirs = reader(MemoryRecords, AiokafkasRecords, log, start, list(aborted))
    ours = reader(_KeptRecords, _Records, log, start, list(aborted))
    expected = list(theirs)
    read: list[FetchedRecord] = []
    while part := ours.take(most):
        assert most is None or len(part) <= most
        read += part
        if most is not None and len(read) < len(expected):
            assert part[-1].offset < ours.next_fetch_offset <= expected[len(read)].offset
    assert [(r.offset, r.timestamp, r.key, r.value, r.headers) for r in read] == [
        (r.offset, r.timestamp, r.key, r.value, r.headers) for r in expected
    ]
    assert ours.next_fetch_offset == theirs.next_fetch_offset


def test_a_damaged_batch_is_fetched_again_with_all_that_was_not_handed_over() -> None:
    log = Log()
    log.append([0, 1])
    log.append([0, 1])
    log.corrupt()
    ours = reader(_KeptRecords, _Records, log)
    assert [record.offset for record in ours.take(1)] == [0]
    with pytest.raises(CorruptRecordException):
        ours.take(None)
    assert ours.take(None) == []
    assert ours.next_fetch_offset == 1


def test_records_are_handed_out_one_by_one_to_who_asks_for_one() -> None:
    log = Log()
    log.append([0, 2])
    ours = reader(_KeptRecords, _Records, log)
    assert ([record.offset for record in ours], ours.next_fetch_offset) == ([0, 2], 3)
