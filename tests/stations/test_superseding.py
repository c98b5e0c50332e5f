"""Alerts and all-clears that wait for their relay: none is sent late once a later mail says the opposite."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamnotify.domain.alerts import ALERT, RECOVERY
from streamnotify.domain.delivery import SUPERSEDED, Outcome
from streamnotify.domain.preferences import OptOuts
from streamnotify.stations import superseding
from streamnotify.stations.superseding import STANDING
from streamnotify.stations.suppression import KEEPER
from streamnotify.wire.commands import SetOptOuts
from streamnotify.wire.topics import NOTIFICATION_STATUS
from tests.smtp import jumping_clock
from tests.smtp.relays import ScriptedRelay
from tests.stations.delivering import ANN, OneMail, Product
from tests.stations.fake_context import FakeContext

REPORTS: dict[str, Any] = {"monitor": "Reports", "task_name": "nightly-report"}
FAILED, RECOVERED = REPORTS | {"kind": ALERT}, REPORTS | {"kind": RECOVERY}
NOT_NOW = {"outcome": Outcome.TRANSIENT, "reason": "relay_deferred"}
SENT = {"outcome": Outcome.SENT}


def waiting(product: Product, **fields: Any) -> str:
    """A mail that the relay does not take just now."""
    product.relay.answer = NOT_NOW
    return product.mail(**fields)


def sent_in_the_end(product: Product) -> list[str]:
    """What the relay takes, once it takes mails again."""
    asked = len(product.relay.asked)
    product.relay.answer = SENT
    product.engine.advance(timedelta(hours=2))
    return product.relay.asked[asked:]


@pytest.mark.parametrize(("first", "later"), [(FAILED, RECOVERED), (RECOVERED, FAILED)])
def test_what_a_later_mail_contradicts_expires_at_once_and_visibly(
    first: dict[str, Any], later: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    product = Product()
    old = waiting(product, **first)
    assert product.status(old) == ("deferred", "relay_deferred")
    caplog.clear()
    new = product.mail(**later)
    assert product.status(old) == ("expired", "superseded")
    assert (caplog.records[0].levelno, caplog.messages[0]) == (
        logging.WARNING,
        f"Task status alert to {ANN} for task nightly-report expired: a later one says the opposite",
    )
    assert sent_in_the_end(product) == [new]
    assert product.engine.state(KEEPER).items(STANDING) == {}


@pytest.mark.parametrize(
    "other",
    [
        RECOVERED | {"task_name": "weekly-report"},
        RECOVERED | {"monitor": "Exports"},
        RECOVERED | {"to": "bob@example.com"},
        RECOVERED | {"monitor": None},
        FAILED,
        {"kind": "task_completion"},
    ],
)
def test_mails_about_something_else_or_to_others_and_further_alerts_leave_it_alone(other: dict[str, Any]) -> None:
    product = Product()
    names = [waiting(product, **FAILED), product.mail(**other)]
    assert sorted(sent_in_the_end(product)) == names


def test_an_address_is_the_same_one_in_other_letters() -> None:
    product = Product()
    old = waiting(product, **FAILED)
    product.mail(to=ANN.upper(), **RECOVERED)
    assert product.status(old) == ("expired", "superseded")


def test_a_mail_that_uses_the_template_of_alerts_but_is_of_no_check_supersedes_nothing() -> None:
    product = Product()
    names = [waiting(product, kind=ALERT), product.mail(kind=RECOVERY)]
    assert sorted(sent_in_the_end(product)) == names


def test_an_alert_that_may_have_arrived_is_not_sent_again_after_its_all_clear() -> None:
    product = Product()
    product.relay.answer = {"outcome": Outcome.AMBIGUOUS, "reason": "no_reply"}
    old = product.mail(**FAILED)
    product.relay.answer = NOT_NOW
    new = product.mail(**RECOVERED)
    assert sent_in_the_end(product) == [new]
    assert product.status(old) == ("expired", "superseded")


def test_an_all_clear_that_its_reader_does_not_want_takes_no_alerts_place() -> None:
    product = Product()
    product.tell(SetOptOuts("user:ann", OptOuts(kinds=(RECOVERY,))))
    old = waiting(product, mailbox="user:ann", **FAILED)
    new = product.mail(mailbox="user:ann", **RECOVERED)
    assert product.status(new) == ("suppressed", "opted_out_kind")
    assert sent_in_the_end(product) == [old]
    assert product.engine.state(KEEPER).items(STANDING) == {}


CHECK_AT = "Reports/nightly-report/2026-01-01T{:02d}:00:00Z"  # a check's task id


def test_an_older_alert_that_comes_after_its_all_clear_takes_not_its_place() -> None:
    """A digest that is given back comes again as what is left of it: as an alert by itself, if that is one."""
    product = Product()
    new = waiting(product, task_id=CHECK_AT.format(12), **RECOVERED)
    old = product.mail(task_id=CHECK_AT.format(11), **FAILED)
    assert product.status(old) == ("expired", "superseded")
    assert sent_in_the_end(product) == [new]
    assert product.engine.state(KEEPER).items(STANDING) == {}


def test_an_all_clear_of_more_alerts_than_a_record_could_close_goes_and_none_of_them_does() -> None:
    product = Product()
    old = {waiting(product, **FAILED) for _ in range(1500)}
    new = product.mail(**RECOVERED)
    assert sent_in_the_end(product) == [new]
    ends = [each for each in product.engine.values(NOTIFICATION_STATUS) if each.get("reason") == "superseded"]
    assert {each["notification_id"] for each in ends} == old
    assert product.engine.state(KEEPER).items(STANDING) == {}


def test_a_first_attempt_that_is_under_way_goes_on_but_is_the_last() -> None:
    """It is not late; and nobody knows yet what comes of it."""
    product = Product()
    product.relay.answer = NOT_NOW
    later: list[str] = []

    def meanwhile() -> None:
        product.relay.while_waiting = lambda: None
        later.append(product.mail(settle=False, **RECOVERED))

    product.relay.while_waiting = meanwhile
    old = product.mail(**FAILED)
    assert product.relay.asked == [old, *later]
    assert product.status(old) == ("expired", "superseded")
    assert sent_in_the_end(product) == later


def test_a_first_attempt_is_made_even_if_a_later_mail_has_come() -> None:
    async def scenario() -> None:
        async with ScriptedRelay() as relay:
            one = OneMail(relay, **FAILED)
            ctx = FakeContext(rows=one.store.rows)
            superseding.take_in(one.mail, ctx)
            superseding.take_in(replace(one.mail, notification_id="n2", kind=RECOVERY), ctx)
            assert (await one.attempted(1)).result.outcome is Outcome.SENT
            await one.sender.close()

    jumping_clock.run(scenario())


def test_a_further_attempt_that_waits_for_its_relay_is_not_made_once_it_is_superseded() -> None:
    """In an outage mails wait in the sender, whose relay may come back days later."""

    async def scenario() -> None:
        async with ScriptedRelay(GREETING="421 4.3.2 busy") as relay:
            one = OneMail(relay, **FAILED)
            ctx = FakeContext(rows=one.store.rows)
            superseding.take_in(one.mail, ctx)
            assert (await one.attempted(1)).result.outcome is Outcome.UNREACHABLE
            waiting = one.attempted(2)
            await asyncio.sleep(3600)
            assert not waiting.done()
            superseding.take_in(replace(one.mail, notification_id="n2", kind=RECOVERY), ctx)
            relay.answer("GREETING", None)
            result = (await asyncio.wait_for(waiting, 120)).result
            assert (result.outcome, result.reason) == (Outcome.HELD, SUPERSEDED)
            assert relay.commands == []  # not even a login, of which a hundred such mails would make a hundred
            await one.sender.close()

    jumping_clock.run(scenario())


STEPS = st.lists(
    st.one_of(
        st.sampled_from([FAILED, RECOVERED]),
        st.sampled_from([SENT, NOT_NOW, {"outcome": Outcome.AMBIGUOUS}, {"outcome": Outcome.HELD}]),
        st.integers(1, 120).map(lambda minutes: timedelta(minutes=minutes)),
    ),
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_whatever_the_relay_does_the_last_word_arrives_and_nothing_late_that_it_contradicts(steps: list[Any]) -> None:
    product = Product()
    mails: list[tuple[str, str]] = []
    for step in steps:
        if isinstance(step, timedelta):
            product.engine.advance(step)
        elif "outcome" in step:
            product.relay.answer = step
        else:
            before = {name for name, _ in mails if product.status(name)[0] == "deferred"}
            mails.append((product.mail(**step), step["kind"]))
            contradicted = {name for name, kind in mails if name in before and kind != step["kind"]}
            assert all(product.status(name) == ("expired", "superseded") for name in contradicted)
    sent_in_the_end(product)
    for place, (name, kind) in enumerate(mails):
        said = product.status(name)
        contradicted_later = any(other != kind for _, other in mails[place + 1 :])
        assert said[0] == "sent" or (said == ("expired", "superseded") and contradicted_later)
    assert product.engine.state(KEEPER).items(STANDING) == {}
