"""Garbage on task-events (issue 3, "Must hold" 6): all of it in dead letters, nothing else held up or harmed."""

from __future__ import annotations

import asyncio
import email
import email.policy
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer

from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.domain.runs import Details, Notify, Step, update_from_event
from streamnotify.domain.status import Rank, Status
from streamnotify.wire.commands import MergeRun
from streamnotify.wire.cuts import ERROR_BYTES, RESULT_BYTES
from streamnotify.wire.topics import TASKS
from tests.e2e.product import APP, MailServer, Product

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


def parsed(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def mails_to(mail_server: MailServer, address: str) -> list[EmailMessage]:
    """The distinct mails to an address."""
    ids = [message_id for message_id, to in mail_server.recipients.items() if to == address]
    return [parsed(mail_server.deliveries[message_id][0]) for message_id in ids]


def letters(product: Product) -> Iterator[tuple[bytes | None, bytes | None, list[Any], dict[str, str]]]:
    """Each record on dead-letters: key, value, its own headers, and ours."""
    for record in product.records("dead-letters"):
        headers: Any = record.headers() or []
        ours = {name: value.decode() for name, value in headers if name.startswith(OUR_HEADERS)}
        yield record.key(), record.value(), [h for h in headers if not h[0].startswith(OUR_HEADERS)], ours


def good_mail_arrives(product: Product, mail_server: MailServer, seconds: float) -> float:
    """Publish a good event on every partition and wait for its mail; the seconds that took."""
    began, before = time.monotonic(), len(mail_server.deliveries)
    for number in range(8):
        product.publish(GOOD, key=f"good-{number}")
    product.flush()
    product.wait_for(lambda: len(mail_server.deliveries) >= before + 8, seconds, pause=0.05)
    return time.monotonic() - began


def test_every_kind_of_garbage_becomes_one_dead_letter_that_names_the_field(
    product: Product, mail_server: MailServer
) -> None:
    product.start(1)
    for name, (value, _, _) in GARBAGE.items():
        product.publish(value, key=name, headers=[("trace", b"\x00\xff"), ("name", name.encode()), ("null", None)])
    assert good_mail_arrives(product, mail_server, 60) < 60
    product.wait_for(lambda: len(product.dead_letters()) >= len(GARBAGE))

    found = {str(ours["sn-id"]): (key, value, own, ours) for key, value, own, ours in letters(product)}
    by_name = {(key or b"").decode(): rest for key, *rest in found.values()}
    assert len(found) == len(GARBAGE)
    for name, (value, field, reason) in GARBAGE.items():
        kept, own, ours = by_name[name]
        assert kept == value, name
        assert own == [("trace", b"\x00\xff"), ("name", name.encode()), ("null", None)], name
        assert ours.get("sn-field") == field, (name, ours)
        assert reason in ours["sn-reason"], (name, ours)
        assert (ours["sn-stage"], ours["sn-error-class"], ours["sn-attempts"]) == ("ingest", "poison", "1"), name
        assert ours["__streams.errors.topic"] == f"{product.prefix}task-events"
    assert product.stop(1) == 0


def test_a_good_mail_arrives_after_10000_poison_records(product: Product, mail_server: MailServer) -> None:
    product.start(1)
    product.wait_until_running(1)
    for number in range(10_000):
        product.publish(b"poison %d" % number, key=str(number % 97))
    took = good_mail_arrives(product, mail_server, 60)
    print(f"the good mail took {took:.1f} s behind 10,000 poison records")
    assert took < 30
    product.wait_for(lambda: len(product.dead_letters()) >= 10_000)
    assert {value for value, _ in product.dead_letters()} == {b"poison %d" % number for number in range(10_000)}


def test_a_huge_legal_event_is_cut_and_mailed(product: Product, mail_server: MailServer) -> None:
    product.start(1)
    message = "disk full \U0001f4be " * 30_000
    product.publish(
        {
            "task_name": "import", "task_id": "big", "status": "Stopped", "notify": {"email": "big@example.com"},
            "error": {"type": "OSError", "message": message, "traceback": "line\n" * 60_000, "cause": {"a": "b" * 9_000}},
            "result": {"rows": list(range(100_000)), "test_run_id": "42"},
        }
    )  # fmt: skip
    good_mail_arrives(product, mail_server, 60)
    product.wait_for(lambda: mails_to(mail_server, "big@example.com") != [])
    [mail] = mails_to(mail_server, "big@example.com")
    text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
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
    assert product.dead_letters() == []


def huge_update(run: str, size: int) -> bytes:
    """What ingest would never tell the tasks station: an end with a result of so many bytes."""
    at = datetime.now(UTC)
    step = Step(1, int(Rank.ENDED), Status.COMPLETED, at, run, at)
    details = Details(at, run, Notify(email="ann@example.com"), result=json.dumps({"x": "y" * size}))
    return TASKS.encode(MergeRun(update_from_event("huge", run, step, details=(details,))))


def test_a_row_or_an_emission_too_large_for_its_chunk_dead_letters_one_record(
    product: Product, mail_server: MailServer
) -> None:
    product.start(1)
    product.publish(huge_update("row", 900_000), key="huge", topic=f"{APP}-tasks")
    product.publish(huge_update("row and mail", 600_000), key="huge", topic=f"{APP}-tasks")
    product.publish(huge_update("small", 1000), key="huge", topic=f"{APP}-tasks")
    good_mail_arrives(product, mail_server, 60)
    product.wait_for(lambda: len(product.dead_letters()) == 2 and len(mail_server.deliveries) == 9)
    for _, ours in product.dead_letters():
        assert (ours["sn-stage"], ours["sn-error-class"]) == ("tasks", "poison")
        assert "more than 800000 bytes" in ours["sn-reason"]
    assert ("huge", "small") in product.runs()
    assert not {("huge", "row"), ("huge", "row and mail")} & product.runs().keys()


async def publish_in_a_transaction(servers: str, topic: str, value: bytes, *, commit: bool) -> None:
    async with AIOKafkaProducer(bootstrap_servers=servers, transactional_id=f"{topic}-{commit}") as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, value)
        await (producer.commit_transaction() if commit else producer.abort_transaction())


def test_what_only_a_producer_of_ones_own_can_write_does_no_harm(
    product: Product, mail_server: MailServer, kafka: EmbeddedKafka
) -> None:
    """Compressed records far over the limit, made-up timestamps, null and nonsensical headers, aborted transactions."""
    topic = f"{product.prefix}task-events"
    zipping = Producer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "compression.type": "gzip",
            "message.max.bytes": 64 << 20,
            "queue.buffering.max.kbytes": 1 << 20,
        }
    )
    zipping.produce(topic, b"[" + b" " * (20 << 20), key="20 MiB")
    zipping.produce(topic, b"x", key=b"k" * (5 << 20), headers=[("h", b"h" * (2 << 20))])
    zipping.produce(topic, b"before 1970", key="old", timestamp=-62_200_000_000_000)
    zipping.produce(topic, b"nonsense", key="replay", headers=[("sn-replay-count", None)])
    zipping.produce(topic, b"nonsense", key="replay", headers=[("sn-replay-count", b"9" * 5000)])
    for name in ("content-type", "ce_specversion", "sn-from", "sn-tick", "sn-id"):
        for content in (None, b"", b"\xff"):
            zipping.produce(topic, b"nonsense", key="header", headers=[(name, content)])
    assert zipping.flush(60) == 0
    asyncio.run(publish_in_a_transaction(kafka.bootstrap_servers, topic, event(task_name="aborted"), commit=False))
    asyncio.run(publish_in_a_transaction(kafka.bootstrap_servers, topic, event(task_name="committed"), commit=True))
    product.start(1)
    good_mail_arrives(product, mail_server, 60)
    product.wait_for(lambda: len(product.dead_letters()) >= 20)
    found = {str(ours["sn-id"]): (key, value) for key, value, _, ours in letters(product)}
    assert len(found) == 20
    assert {value for _, value in found.values()} == {None, b"x", b"before 1970", b"nonsense"}
    subjects = {str(mail["Subject"]) for mail in mails_to(mail_server, "ann@example.com")}
    assert "Task Completed: committed - Success" in subjects
    assert "Task Completed: aborted - Success" not in subjects
    assert product.stop(1) == 0


EVIL = "a\0\r\nBcc: eve@example.com\r\n\r\nbody\u2028X-Evil: 1\u2029\x85\u202e\x1b[31m"
HOSTILE: dict[str, tuple[dict[str, Any], str]] = {
    "line breaks": ({"task_name": EVIL}, "a Bcc: eve@example.com body X-Evil: 1 [31m - Success"),
    "display name": ({"display_name": EVIL}, "a Bcc: eve@example.com body X-Evil: 1 [31m - Success"),
    "jinja": ({"task_name": "{{7*7}}{% raw %}"}, "{{7*7}}{% raw %} - Success"),
    "attributes": ({"task_name": "{task_name.__class__}"}, "{task_name.__class__} - Success"),
    "encoded words": ({"task_name": "=?utf-8?q?=0d=0aBcc:_eve?="}, "=?utf-8?q?=0d=0aBcc:_eve?= - Success"),
    "markup": ({"task_name": "<script>alert(1)</script>"}, "<script>alert(1)</script> - Success"),
    "right to left": ({"task_name": "\u05d0\u05d1\u05d2"}, "\u05d0\u05d1\u05d2 - Success"),
    "emoji": ({"task_name": "\U0001f469\u200d\U0001f680 go"}, "\U0001f469\u200d\U0001f680 go - Success"),
    "unbroken": ({"task_name": "x" * 255}, f"{'x' * 64}\u2026{'x' * 29} - Success"),
}


def test_hostile_text_stays_text(product: Product, mail_server: MailServer) -> None:
    product.start(1)
    for number, (fields, _) in enumerate(HOSTILE.values()):
        product.publish(GOOD | fields | {"task_id": EVIL, "notify": {"email": f"h{number}@example.com", "name": EVIL}})
    for number, template in enumerate(("{task_name.__class__}", f"{EVIL}{{task_name}}", "{{7*7}}", "{error_message}")):
        product.publish(GOOD | {"notify": {"email": f"s{number}@example.com", "subject_template": template}})
    product.flush()
    product.wait_for(lambda: len(mail_server.deliveries) == len(HOSTILE) + 4)
    for number, (name, (_, subject)) in enumerate(HOSTILE.items()):
        [mail] = mails_to(mail_server, f"h{number}@example.com")
        assert mail["Subject"] == f"Task Completed: {subject}", name
        assert [address.addr_spec for address in mail["To"].addresses] == [f"h{number}@example.com"], name
    for number, subject in enumerate(
        (
            "Task Completed: nightly-report - Success",
            "a Bcc: eve@example.com body X-Evil: 1 [31mnightly-report",
            "{7*7}",
            "Task Completed: nightly-report - Success",
        )
    ):
        [mail] = mails_to(mail_server, f"s{number}@example.com")
        assert mail["Subject"] == subject
    for [content] in mail_server.deliveries.values():
        head = content.partition(b"\r\n\r\n")[0]
        assert b"\nBcc" not in head
        assert b"\nX-Evil" not in head
        html = parsed(content).get_body(("html",))
        assert html is not None
        assert "<script>alert" not in html.get_content()
    assert all("eve@" not in to for to in mail_server.recipients.values())
    assert product.dead_letters() == []
    assert product.stop(1) == 0
    assert "\nBcc: eve@example.com" not in product.log(1).read_text(), "a log line was forged"
