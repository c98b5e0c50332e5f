"""The relay fails (SPEC section 7): no mail is lost, and one that goes out twice has the same bytes and Message-ID.

That the worker dies while it talks to the relay: test_crash_windows.py.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.product import Product, parsed
from tests.e2e.threaded_relay import ThreadedRelay
from tests.smtp.relays import Silence
from tests.stream.test_health import get


def publish_one(product: Product) -> None:
    product.publish({"task_name": "t", "task_id": "r1", "status": "Completed", "notify": {"email": "ann@example.com"}})
    product.flush()


def steps(product: Product) -> list[str]:
    return [step["status"] for step in sorted(product.statuses(), key=lambda status: str(status["at"]))]


def deferred(product: Product) -> list[dict[str, Any]]:
    return [step for step in product.statuses() if step["status"] == "deferred"]


def message_ids(contents: list[bytes]) -> set[str]:
    return {str(parsed(content)["Message-ID"]) for content in contents}


def readyz(product: Product) -> tuple[int, str]:
    """What the latest start of worker 1 answers: status and body."""
    ports = re.findall(r"health and metrics on http://127\.0\.0\.1:(\d+)", product.log(1).read_text())
    return get(int(ports[-1]), "/readyz")


def test_an_outage_is_recorded_and_its_end_is_waited_for_across_a_kill(product: Product, relay: ThreadedRelay) -> None:
    """/readyz tells of it and stays 200. The wait itself, 45 to 75 s, is in the soak test below."""
    product.start(1)
    product.wait_until_running(1)
    product.wait_for(lambda: readyz(product) == (200, "ready\n"), 60)
    publish_one(product)
    product.wait_for(lambda: deferred(product) != [], 60)
    [first] = deferred(product)
    assert (first["reason"], first["smtp_stage"], first["attempt"]) == ("connection_failed", "connect", 1)
    assert "] Failed to send task completion email to ann@example.com: connection_failed" in product.log(1).read_text()
    waited = datetime.fromisoformat(first["next_at"]) - datetime.fromisoformat(first["at"])
    assert timedelta(seconds=45) <= waited <= timedelta(seconds=75)
    status, body = readyz(product)
    outage = rf"SMTP relay 127\.0\.0\.1:{product.env['SMTP_PORT']} has been out of order for \d+ s, mails are held: "
    assert status == 200
    assert re.fullmatch(rf"ready\n{outage}connection_failed [^\n]*\([^\n]+\)\n", body), body

    answering = relay.open()
    product.kill_the_only_one(1, lose_state=True)
    product.start(1)
    product.wait_until_running(1)
    before_it_is_due = datetime.now(UTC) < datetime.fromisoformat(first["next_at"])
    assert before_it_is_due, "this machine is too slow for this test"
    assert answering.contents == [], "the wait was forgotten"
    assert steps(product) == ["accepted", "queued", "deferred"]


def test_a_connection_that_breaks_after_the_dot_is_tried_again_later(product: Product, relay: ThreadedRelay) -> None:
    """The relay may have the mail: never lost goes before exactly once."""
    breaking = relay.open(DOT=Silence.HANG_UP)
    product.start(1)
    publish_one(product)
    product.wait_for(lambda: deferred(product) != [], 60)
    [first] = deferred(product)
    assert (first["reason"], first["smtp_stage"]) == ("no_reply", "dot")
    assert len(breaking.contents) == 1
    assert product.stop(1) == 0


@pytest.mark.soak
@pytest.mark.parametrize("lose_state", [False, True])
def test_a_mail_due_during_an_outage_arrives_after_it_though_the_worker_was_killed(
    product: Product, relay: ThreadedRelay, lose_state: bool
) -> None:
    product.start(1)
    publish_one(product)
    product.wait_for(lambda: deferred(product) != [], 60)
    product.kill(1, lose_state=lose_state)
    answering = relay.open()
    product.start(1)
    product.wait_for(lambda: "sent" in steps(product), 120)
    assert steps(product) == ["accepted", "queued", "deferred", "sent"]
    assert len(answering.contents) == 1


@pytest.mark.soak
def test_what_broke_after_the_dot_comes_again_byte_for_byte(product: Product, relay: ThreadedRelay) -> None:
    breaking = relay.open(DOT=[Silence.HANG_UP, "250 2.0.0 queued"])
    product.start(1)
    publish_one(product)
    product.wait_for(lambda: "sent" in steps(product), 150)
    assert len(breaking.contents) == 2
    assert len(set(breaking.contents)) == len(message_ids(breaking.contents)) == 1


@pytest.mark.soak
def test_a_worker_stopped_while_the_relay_hangs_after_the_dot_ends_and_sends_it_again(
    product: Product, relay: ThreadedRelay
) -> None:
    hanging = relay.open(DOT=[Silence.HANG, "250 2.0.0 queued"])
    product.start(1)
    publish_one(product)
    product.wait_for(lambda: len(hanging.contents) == 1, 60, pause=0.05)
    assert product.stop(1) == 0
    product.start(1)
    product.wait_for(lambda: "sent" in steps(product), 90)
    assert len(hanging.contents) == 2
    assert len(set(hanging.contents)) == 1
