"""kill -9 at each step of handing a mail over (research/email.md item 41), with the state directory deleted each time.

The relay holds each mail exactly once, or, where nobody can know whether it was taken, at most twice, byte for byte the
same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.e2e.product import Product, parsed
from tests.e2e.threaded_relay import ThreadedRelay
from tests.smtp.relays import ScriptedRelay, Silence

ANN = "ann@example.com"


@dataclass(frozen=True)
class Window:
    """When the worker is killed while it sends the mail of a run, and how often that mail may be there then."""

    task_id: str
    reached: Callable[[ScriptedRelay, Product], bool]
    copies: tuple[int, ...]


WINDOWS = (
    Window("before-mail", lambda relay, _: "EHLO example.com" in relay.commands, (1,)),
    Window("after-354", lambda relay, _: relay.deaf, (1,)),
    Window("after-dot", lambda relay, _: len(relay.contents) == 3, (2,)),
    Window("after-250", lambda relay, _: len(relay.contents) == 5, (1, 2)),
    Window("after-ledger", lambda _, product: step_of(product, "after-ledger", "sent"), (1,)),
)


def step_of(product: Product, task_id: str, step: str) -> bool:
    return any((status["task_id"], status["status"]) == (task_id, step) for status in product.statuses())


def publish(product: Product, task_id: str) -> None:
    product.publish({"task_name": "t", "task_id": task_id, "status": "Completed", "notify": {"email": ANN}})
    product.flush()


def test_a_worker_killed_at_any_step_of_a_mail_loses_none_and_repeats_only_what_nobody_can_know(
    product: Product, relay: ThreadedRelay
) -> None:
    go_on, ok = "354 go on", "250 2.0.0 queued"
    # Mails of one address are sent one after another, so each list is used up in the order of the windows.
    scripted = relay.open(
        EHLO=[Silence.HANG, "250 relay.example.com"],
        DATA=[go_on, Silence.DEAF, go_on],
        DOT=[ok, ok, Silence.HANG, ok],
    )
    product.start(1)
    for window in WINDOWS:
        publish(product, window.task_id)
        product.wait_for(lambda window=window: window.reached(scripted, product), 60, pause=0.001)  # type: ignore[misc]
        product.kill_the_only_one(1, lose_state=True)
        product.start(1)
        product.wait_for(lambda window=window: step_of(product, window.task_id, "sent"), 60)  # type: ignore[misc]
    publish(product, "last")
    product.wait_for(lambda: step_of(product, "last", "sent"), 60)

    received: dict[str, list[bytes]] = {}
    for content in scripted.contents:
        received.setdefault(str(parsed(content)["Message-ID"]), []).append(content)
    copies = list(received.values())
    assert len(copies) == len(WINDOWS) + 1
    assert [len(each) in window.copies for each, window in zip(copies, WINDOWS, strict=False)] == [True] * len(WINDOWS)
    assert all(len(set(each)) == 1 for each in copies), "a repeated mail differs from its first"
    assert len(copies[-1]) == 1
