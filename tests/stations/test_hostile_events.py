"""Events made to harm: whatever they hold, they are mailed or dead-lettered by ingest, soon, and nothing fails.

A record that takes longer than half the session time-out, or whose failure is no BadRecord, would bring the engine
process down each time it is read again.
"""

from __future__ import annotations

import itertools
import json
import logging
import time
from collections.abc import Callable
from typing import Any

import pytest

from streamnotify.domain.delivery import AttemptResult, DeliveryPolicy, Outcome, OutgoingMail
from streamnotify.domain.run_steps import IngestPolicy, TasksPolicy
from streamnotify.render.policy import RenderPolicy
from streamnotify.render.renderer import Renderer
from streamnotify.stations import deliveries, ingest, mailboxes, tasks
from streamnotify.testing.memory import MemoryEngine
from streamnotify.wire import dead_letter
from streamnotify.wire.topics import DEAD_LETTERS, TASK_EVENTS
from tests.stations.at_once import at_once

MAILING = {"task_name": "t", "status": "Completed", "notify": {"email": "ann@example.com"}}
SECONDS = 2.0  # the lease allows 5 s; the slowest takes 0.4 s here


FIELDS = """
    task_name status task_id event_id occurred_at attempt max_attempts final submitted_at queued_at started_at
    finished_at duration_s interrupted redelivery_s display_name context organization_id user_id notify result
    error source producer progress notify.template notify.subject_template notify.email notify.name notify.on
    notify.urgent context.model context.type context.id context.ingestor_type error.type error.message
    error.traceback error.cause result.task_name result.test_run_id result.link_url producer.pid progress.percent
"""


class Relay:
    """Accepts everything."""

    at_once = 1

    def __init__(self) -> None:
        self.mails: list[OutgoingMail] = []

    async def send(self, mail: OutgoingMail, attempt: int, check_lease: Callable[[], None]) -> AttemptResult:
        """Keep the mail."""
        self.mails.append(mail)
        return AttemptResult(mail.notification_id, attempt, Outcome.SENT)

    def remarks(self) -> tuple[str, ...]:
        """None."""
        return ()


class Product:
    """All stations in memory."""

    def __init__(self) -> None:
        self.relay = Relay()
        self.engine = MemoryEngine(
            (
                ingest.station(IngestPolicy()),
                tasks.station(TasksPolicy()),
                mailboxes.station(at_once(), Renderer(RenderPolicy(sender="notify@example.com"))),
                deliveries.station(DeliveryPolicy(), self.relay),
            )
        )

    def take(self, value: str | bytes, *headers: tuple[str, Any]) -> float:
        """Put a record; how many seconds of CPU it took, which other processes do not lengthen."""
        began = time.process_time()
        self.engine.put(TASK_EVENTS, value, headers=headers)
        return time.process_time() - began

    def refused(self) -> list[tuple[str, str, str | None]]:
        """Stage, error class and field of each dead letter."""
        found = [dict(record.headers) for record in self.engine.records(DEAD_LETTERS)]
        names = (dead_letter.STAGE, dead_letter.ERROR_CLASS)
        return [(*(h[n].decode() for n in names), (h.get(dead_letter.FIELD) or b"").decode() or None) for h in found]  # type: ignore[misc]


@pytest.fixture
def product(caplog: pytest.LogCaptureFixture) -> Product:
    caplog.set_level(logging.ERROR, logger="streamnotify")
    return Product()


def event(**fields: Any) -> str:
    return json.dumps(MAILING | fields)


def with_many(what: str) -> str:
    """An event of nearly 2 MiB whose ``what`` holds as much as fits."""
    names = ",".join(f'"tsk_n{number}":1' for number in range(120_000))
    return {
        "unknown fields": f"{event()[:-1]},{names}}}",
        "unknown notify fields": f"{event()[:-2]},{names}}}}}",
        "fields of a CloudEvent": f'{{"specversion":"1.0","data":{event()[:-1]},{names}}}}}',
        "result keys": f'{event()[:-1]},"result":{{{names}}}}}',
        "result items": f'{event()[:-1]},"result":[{",".join(["{}"] * 600_000)}]}}',
        "error": event(status="Stopped", error={"message": "\u00e9" * 100_000, "traceback": "x\n" * 300_000}),
        "subject": event(
            notify={"email": "ann@example.com", "subject_template": "{a}" * 1300}, result={"a": "x y" * 20_000}
        ),
    }[what]


@pytest.mark.parametrize(
    "what",
    [
        "unknown fields",
        "unknown notify fields",
        "fields of a CloudEvent",
        "result keys",
        "result items",
        "error",
        "subject",
    ],
)
def test_a_legal_event_of_two_megabytes_is_mailed_at_once(product: Product, what: str) -> None:
    took = product.take(with_many(what))
    assert (len(product.relay.mails), product.refused()) == (1, [])
    assert took < SECONDS
    assert len(product.relay.mails[0].content) < 100_000


@pytest.mark.parametrize(
    ("notify", "field"),
    [
        ('{"on":[' + ",".join(["1"] * 900_000) + "]}", "notify.on"),
        ('{"on":[' + ",".join(['"x"'] * 500_000) + "]}", "notify.on"),
        ('{"on":[' + ",".join(['"success"'] * 180_000) + "]}", "notify.on"),
    ],
    ids=["numbers", "unknown", "repeated"],
)
def test_a_list_of_very_many_outcomes_is_refused_at_once(product: Product, notify: str, field: str) -> None:
    took = product.take(f'{{"task_name":"t","status":"Completed","notify":{notify}}}')
    assert product.refused() == [("ingest", "poison", field)]
    assert took < SECONDS


@pytest.mark.parametrize("name", ["range", "dict", "lipsum", "self", "brand", "subject", "outcomes", "row", "loop", ""])
def test_a_result_key_that_means_something_to_the_templates_does_not_lose_the_mail(product: Product, name: str) -> None:
    product.take(event(result={name: 1}))
    assert (len(product.relay.mails), product.refused()) == (1, [])


@pytest.mark.parametrize("name", ["content-type", "ce_specversion", "ce_id", "sn-replay-count", "sn-from", "sn-tick"])
@pytest.mark.parametrize("content", [None, b"", b"\xff", b"9" * 5000])
def test_headers_of_any_content_do_no_harm(product: Product, name: str, content: bytes | None) -> None:
    product.take(event(), (name, content))
    product.take(b"\xff", (name, content))
    assert {(stage, error) for stage, error, _ in product.refused()} == {("ingest", "poison")}
    assert len(product.relay.mails) + len(product.refused()) == 2


def test_no_value_of_any_field_gets_past_ingest_and_fails_later(product: Product) -> None:
    """Every field with every odd value: mailed, silent or dead-lettered by ingest."""
    text = "a\0\r\nBcc: eve@example.com\u2028\u202e{{7*7}}{status.__class__}\U0001f600"
    odd: list[Any] = ["", text, text * 1000, 0, -1, 2**31, 2**63, 2**64, 10**30, 1.5, 1e308, -1e308, True, False]
    odd += [None, [], [[]], {}, {"a": {"b": []}}, "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999Z"]
    for name, value in itertools.product(FIELDS.split(), odd):
        for status in ("Completed", "Stopped", "Running"):
            path, _, last = name.rpartition(".")
            fields: dict[str, Any] = MAILING | {"status": status}
            if path == "notify":
                fields["notify"] = MAILING["notify"] | {last: value}  # type: ignore[operator]
            else:
                fields[path or name] = {last: value} if path else value
            product.take(json.dumps(fields))
    assert {(stage, error) for stage, error, _ in product.refused()} == {("ingest", "poison")}
    for mail in product.relay.mails:
        assert "eve" not in mail.to
        head = mail.content.partition(b"\r\n\r\n")[0].decode()
        names = {line.partition(":")[0] for line in head.split("\r\n") if line[0] not in " \t"}
        assert not names & {"Bcc", "Cc"}, head
