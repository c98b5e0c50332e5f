"""Garbage on task-events (issue 3, "Must hold" 6): all of it in dead letters, nothing else held up or harmed."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer

from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.domain.runs import Details, Notify, Step, update_from_event
from streamnotify.domain.status import Rank, Status
from streamnotify.wire.commands import MergeRun
from streamnotify.wire.cuts import ERROR_BYTES, RESULT_BYTES
from streamnotify.wire.topics import TASKS
from tests.e2e.product import APP, MailServer, Product, a_running_product, text_of
from tests.records import headers_of
from tests.stream.raw_batches import send_with_unreadable_names

GOOD = {"task_name": "nightly-report", "status": "Completed", "notify": {"email": "ann@example.com"}}
OUR_HEADERS = ("sn-", "__streams.")


def event(**fields: Any) -> bytes:
    return json.dumps(GOOD | fields).encode()


# What is published: the field named by its dead letter, and a part of the reason.
GARBAGE: dict[str, tuple[bytes | None, str | None, str]] = {
    "null value": (None, None, "the record is empty"),
    "empty": (b"", None, "the record is empty"),
    "spaces": (b"   ", None, "one event per line"),
    "not UTF-8": (b'{"task_name": "\xff", "status": "Completed"}', None, "not UTF-8 at byte 15"),
    "UTF-16": (event().decode().encode("utf-16"), None, "not UTF-8"),
    "two megabytes": (b"x" * 2_000_000, None, "one event per line"),
    "over two megabytes": (b"[" + b"1," * (1 << 20) + b"1]", None, "at most 2097152"),
    "nested": (b"[" * 10_000 + b"]" * 10_000, None, "nested too deeply"),
    "nested result": (event()[:-1] + b', "result": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001, None, "nested too"),
    "two on a line": (event() + event(), None, "one event per line"),
    "two lines": (event() + b"\n" + event(), None, "one event per line"),
    "a pretty-printed event's first line": (b"{", None, "one event per line"),
    "array": (b"[" + event() + b"]", None, "one JSON object"),
    "number": (b"7", None, "one JSON object"),
    "no name": (b'{"status": "Completed"}', "task_name", "required field missing"),
    "misspelt name": (b'{"task_nam": "x", "status": "Completed"}', "task_name", "did you mean task_name"),
    "no status": (b'{"task_name": "x"}', "status", "required field missing"),
    "unknown status": (event(status="Done"), "status", "'Pending', 'Queued', 'Running'"),
    "empty name": (event(task_name=""), "task_name", "1 to 255 characters"),
    "long name": (event(task_name="x" * 256), "task_name", "1 to 255 characters"),
    "huge integer": (b'{"status": "Completed", "task_name": 1' + b"0" * 255 + b"}", "task_name", "255 characters"),
    "no address": (event(notify={"email": "ann"}), "notify.email", "@-sign"),
    "two addresses": (event(notify={"email": "ann@example.com, eve@example.com"}), "notify.email", "no e-mail address"),
    "address with a header": (event(notify={"email": "ann@example.com\r\nBcc: eve@example.com"}), "notify.email", "no"),
    "address without a user": (event(notify={"email": "@example.com"}), "notify.email", "no e-mail address"),
    "unknown outcome": (event(notify={"on": ["always"]}), "notify.on[0]", "'success', 'failure'"),
    "long text": (event(notify={"subject_template": "x" * 4097}), "notify.subject_template", "4096"),
    "no instant": (event(occurred_at="yesterday"), "occurred_at", "datetime"),
    "outside time": (event(occurred_at="9999-12-31T23:59:59-14:00"), "occurred_at", "UTC"),
    "endless": (b'{"task_name": "x", "status": "Completed", "duration_s": Infinity}', "duration_s", "finite"),
    "attempt 0": (event(attempt=0), "attempt", "greater than or equal to 1"),
    "CloudEvent without data": (b'{"specversion": "1.0", "data": {"status": "Completed"}}', "task_name", "missing"),
}
WRONG_TYPES: dict[str, Any] = {
    "task_id": 1.5, "event_id": True, "occurred_at": 5, "attempt": "2", "max_attempts": "3", "final": "yes",
    "submitted_at": [], "queued_at": {}, "started_at": True, "finished_at": 1, "duration_s": "9", "interrupted": 1,
    "redelivery_s": "x", "display_name": 5, "context": "x", "organization_id": [], "user_id": {}, "notify": "x",
    "error": 5, "source": 5, "producer": 5, "progress": [],
}  # fmt: skip
GARBAGE |= {f"wrong type of {name}": (event(**{name: value}), name, "") for name, value in WRONG_TYPES.items()}


@pytest.fixture(scope="module")
def product(
    kafka: EmbeddedKafka, shared_mail_server: MailServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Product]:
    """One running worker for all tests here: what one test does to it must not show in the next."""
    with a_running_product(kafka, tmp_path_factory.mktemp("garbage"), shared_mail_server.port) as running:
        yield running


class Letter(NamedTuple):
    """A dead letter: the record's own headers, and ours."""

    key: bytes | None
    value: bytes | None
    own: list[tuple[str, bytes | None]]
    ours: dict[str, str]


def letters(product: Product, wanted: Callable[[Letter], bool]) -> list[Letter]:
    """The distinct dead letters, by their sn-id, that a test wants to see."""
    found: dict[str, Letter] = {}
    for record in product.records("dead-letters"):
        headers: Any = record.headers() or []
        own = [header for header in headers if not header[0].startswith(OUR_HEADERS)]
        letter = Letter(record.key(), record.value(), own, headers_of(record))
        found[letter.ours["sn-id"]] = letter
    return [letter for letter in found.values() if wanted(letter)]


def of_garbage(letter: Letter) -> bool:
    return (letter.key or b"").decode() in GARBAGE


def good_mail_arrives(product: Product, shared_mail_server: MailServer, seconds: float) -> float:
    """Publish a good event on every partition and wait for its mail; the seconds that took."""
    began, before = time.monotonic(), len(shared_mail_server.deliveries)
    for number in range(8):
        product.publish(GOOD, key=f"good-{number}")
    product.flush()
    product.wait_for(lambda: len(shared_mail_server.deliveries) >= before + 8, seconds, pause=0.05)
    return time.monotonic() - began


def test_every_kind_of_garbage_becomes_one_dead_letter_that_names_the_field(
    product: Product, shared_mail_server: MailServer
) -> None:
    for name, (value, _, _) in GARBAGE.items():
        product.publish(value, key=name, headers=[("trace", b"\x00\xff"), ("name", name.encode()), ("null", None)])
    assert good_mail_arrives(product, shared_mail_server, 60) < 60
    product.wait_for(lambda: len(letters(product, of_garbage)) >= len(GARBAGE))
    found = letters(product, of_garbage)
    by_name = {(letter.key or b"").decode(): letter for letter in found}
    assert len(found) == len(by_name) == len(GARBAGE)
    for name, (value, field, reason) in GARBAGE.items():
        _, kept, own, ours = by_name[name]
        assert kept == value, name
        assert own == [("trace", b"\x00\xff"), ("name", name.encode()), ("null", None)], name
        assert ours.get("sn-field") == field, (name, ours)
        assert reason in ours["sn-reason"], (name, ours)
        assert (ours["sn-stage"], ours["sn-error-class"], ours["sn-attempts"]) == ("ingest", "poison", "1"), name
        assert ours["__streams.errors.topic"] == f"{product.prefix}task-events"


def test_a_good_mail_arrives_after_10000_poison_records(product: Product, shared_mail_server: MailServer) -> None:
    for number in range(10_000):
        product.publish(b"poison %d" % number, key=str(number % 97))
    took = good_mail_arrives(product, shared_mail_server, 60)
    print(f"the good mail took {took:.1f} s behind 10,000 poison records")
    assert took < 30

    def poison() -> list[bytes | None]:
        return [letter.value for letter in letters(product, lambda letter: b"poison " in (letter.value or b""))]

    product.wait_for(lambda: len(poison()) >= 10_000)
    assert sorted(poison(), key=str) == sorted((b"poison %d" % number for number in range(10_000)), key=str)


def test_a_huge_legal_event_is_cut_and_mailed(product: Product, shared_mail_server: MailServer) -> None:
    message = "disk full \U0001f4be " * 30_000
    product.publish(
        {
            "task_name": "import", "task_id": "big", "status": "Stopped", "notify": {"email": "big@example.com"},
            "error": {"type": "OSError", "message": message, "traceback": "line\n" * 60_000, "cause": {"a": "b"}},
            "result": {"rows": list(range(100_000)), "test_run_id": "42"},
        }
    )  # fmt: skip
    good_mail_arrives(product, shared_mail_server, 60)
    product.wait_for(lambda: shared_mail_server.mails_to("big@example.com") != [])
    [mail] = shared_mail_server.mails_to("big@example.com")
    text = text_of(mail)
    assert mail["Subject"] == "Task Completed: import - Failed"
    assert "disk full" in text
    assert "Test Run ID: 42" in text
    assert len(bytes(mail)) < 100_000
    [details] = product.runs()["import", "big"].facts.details
    assert details.error is not None
    assert sum(len((part or "").encode()) for part in details.error) <= ERROR_BYTES
    assert details.error.message is not None
    assert details.error.message.startswith("disk full")
    assert len((details.result or "").encode()) <= RESULT_BYTES
    assert json.loads(details.result or "")["test_run_id"] == "42"


def huge_update(run: str, size: int) -> bytes:
    """What ingest would never tell the tasks station: an end with a result of so many bytes."""
    at = datetime.now(UTC)
    step = Step(1, int(Rank.ENDED), Status.COMPLETED, at, run, at)
    details = Details(at, run, Notify(email="huge@example.com"), result=json.dumps({"x": "y" * size}))
    return TASKS.encode(MergeRun(update_from_event("huge", run, step, details=(details,))))


def test_a_row_or_an_emission_too_large_for_its_chunk_dead_letters_one_record(
    product: Product, shared_mail_server: MailServer
) -> None:
    for run, size in (("row", 900_000), ("row and mail", 600_000), ("small", 1000)):
        product.publish(huge_update(run, size), key="huge", topic=f"{APP}-tasks")
    good_mail_arrives(product, shared_mail_server, 60)
    product.wait_for(lambda: shared_mail_server.mails_to("huge@example.com") != [])
    found = letters(product, lambda letter: letter.ours["sn-stage"] == "tasks")
    assert [letter.key for letter in found] == [b"huge"] * 2
    for letter in found:
        assert letter.ours["sn-error-class"] == "poison"
        assert "more than 800000 bytes" in letter.ours["sn-reason"]
    assert [run for name, run in product.runs() if name == "huge"] == ["small"]


async def publish_in_a_transaction(servers: str, topic: str, value: bytes, *, commit: bool) -> None:
    async with AIOKafkaProducer(bootstrap_servers=servers, transactional_id=f"{topic}-{commit}") as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, value)
        await (producer.commit_transaction() if commit else producer.abort_transaction())


def test_what_only_a_producer_of_ones_own_can_write_does_no_harm(
    product: Product, shared_mail_server: MailServer, kafka: EmbeddedKafka
) -> None:
    """Compressed records far over the limit, made-up timestamps, null and nonsensical headers, header names that are no
    UTF-8, aborted transactions."""
    topic = f"{product.prefix}task-events"
    zipping = Producer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "compression.type": "gzip",
            "message.max.bytes": 64 << 20,
            "queue.buffering.max.kbytes": 1 << 20,
        }
    )
    mine = b"producer of one's own"
    zipping.produce(topic, b"[" + b" " * (20 << 20), key=mine)
    zipping.produce(topic, b"x", key=mine * (1 << 18), headers=[("h", b"h" * (2 << 20))])
    zipping.produce(topic, b"before 1970", key=mine, timestamp=-62_200_000_000_000)
    for name in ("sn-replay-count", "content-type", "ce_specversion", "sn-from", "sn-tick", "sn-id"):
        for content in (None, b"", b"\xff", b"9" * 5000):
            zipping.produce(topic, b"nonsense", key=mine, headers=[(name, content)])
    assert zipping.flush(60) == 0
    for name, commit in (("aborted", False), ("committed", True)):
        asyncio.run(publish_in_a_transaction(kafka.bootstrap_servers, topic, event(task_name=name), commit=commit))
    unreadable = [event(notify={"email": f"name{number}@example.com"}) for number in range(4)]
    asyncio.run(send_with_unreadable_names(kafka.bootstrap_servers, topic, 1, unreadable))
    good_mail_arrives(product, shared_mail_server, 60)

    def found() -> list[Letter]:
        return letters(product, lambda letter: (letter.key or b"").startswith(mine))

    product.wait_for(lambda: len(found()) >= 27)
    assert len(found()) == 27
    assert {letter.value for letter in found()} == {None, b"x", b"before 1970", b"nonsense"}
    assert {letter.ours["sn-error-class"] for letter in found()} == {"poison"}
    subjects = {str(mail["Subject"]) for mail in shared_mail_server.mails_to("ann@example.com")}
    assert "Task Completed: committed - Success" in subjects
    assert "Task Completed: aborted - Success" not in subjects
    assert {f"name{number}@example.com" for number in range(4)} <= set(shared_mail_server.recipients.values())


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_events_may_be_compressed_in_any_way(
    product: Product, shared_mail_server: MailServer, kafka: EmbeddedKafka, codec: str
) -> None:
    """A codec the consumer lacks would stop the engine at that record for good."""
    publisher = Producer({"bootstrap.servers": kafka.bootstrap_servers, "compression.type": codec, "linger.ms": 100})
    for _ in range(50):
        publisher.produce(
            f"{product.prefix}task-events", event(task_id=codec, notify={"email": f"{codec}@example.com"})
        )
    assert publisher.flush(30) == 0
    product.wait_for(lambda: shared_mail_server.mails_to(f"{codec}@example.com") != [])
