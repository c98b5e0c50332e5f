"""The relay fails, and the worker dies while it is being talked to (SPEC section 7): no mail is lost, and one that goes
out twice has the same bytes and Message-ID."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.product import Product, parsed
from tests.smtp.relays import Answer, ScriptedRelay, Silence


class ThreadedRelay:
    """A scripted relay with an event loop of its own; its port stays closed until :meth:`open` is called."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._relay: ScriptedRelay | None = None

    def open(self, **answers: Answer | list[Answer]) -> ScriptedRelay:
        """Answer from now on, as told."""
        self.close()
        self._relay = ScriptedRelay(**answers)
        self._call(self._relay.listen(self._port))
        return self._relay

    def close(self) -> None:
        """Hang up and refuse connections."""
        if self._relay is not None:
            self._call(self._relay.__aexit__(None, None, None))
            self._relay = None

    def end(self) -> None:
        """Close, and end the thread."""
        self.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)


@pytest.fixture
def relay(product: Product) -> Iterator[ThreadedRelay]:
    """In the place of the SMTP server: on the port the product's workers send to."""
    made = ThreadedRelay(product.new_relay_port())
    yield made
    made.end()


def publish_one(product: Product) -> None:
    product.publish({"task_name": "t", "task_id": "r1", "status": "Completed", "notify": {"email": "ann@example.com"}})
    product.flush()


def steps(product: Product) -> list[str]:
    return [step["status"] for step in sorted(product.statuses(), key=lambda status: str(status["at"]))]


def deferred(product: Product) -> list[dict[str, Any]]:
    return [step for step in product.statuses() if step["status"] == "deferred"]


def message_ids(contents: list[bytes]) -> set[str]:
    return {str(parsed(content)["Message-ID"]) for content in contents}


def test_a_worker_killed_between_the_dot_and_the_answer_sends_the_same_bytes_again(
    product: Product, relay: ThreadedRelay
) -> None:
    hanging = relay.open(DOT=[Silence.HANG, "250 2.0.0 queued"])
    product.start(1)
    publish_one(product)
    product.wait_for(lambda: len(hanging.contents) == 1, 60, pause=0.05)
    product.kill(1, lose_state=True)
    product.start(1)
    product.wait_for(lambda: steps(product) == ["accepted", "queued", "sent"], 60)
    assert len(hanging.contents) == 2
    assert len(set(hanging.contents)) == len(message_ids(hanging.contents)) == 1
    [sent] = [step for step in product.statuses() if step["status"] == "sent"]
    assert sent["attempt"] == 1


def test_an_outage_is_recorded_and_its_end_is_waited_for_across_a_kill(product: Product, relay: ThreadedRelay) -> None:
    """The wait itself, 45 to 75 s, is in the soak test below."""
    product.start(1)
    publish_one(product)
    product.wait_for(lambda: deferred(product) != [], 60)
    [first] = deferred(product)
    assert (first["reason"], first["smtp_stage"], first["attempt"]) == ("connection_failed", "connect", 1)
    assert "] Failed to send task completion email to ann@example.com: connection_failed" in product.log(1).read_text()
    waited = datetime.fromisoformat(first["next_at"]) - datetime.fromisoformat(first["at"])
    assert timedelta(seconds=45) <= waited <= timedelta(seconds=75)

    answering = relay.open()
    product.kill(1, lose_state=True)
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
