"""Addresses that get no mail: from delivery events, and our relay's own refusals, to mails that are not sent."""

from __future__ import annotations

import itertools
import logging
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamnotify.domain.delivery import Outcome
from streamnotify.domain.feedback import Sign
from streamnotify.domain.suppression import AddressHistory, Evidence
from streamnotify.stations.suppression import ADDRESS, KEEPER, address_key
from streamnotify.testing.memory import START
from streamnotify.wire.commands import RecordFeedback
from streamnotify.wire.topics import NOTIFICATION_STATUS, OUTBOX
from tests.stations.delivering import ANN, Product

DAY = timedelta(days=1)


@pytest.mark.parametrize("event", ["bounced", "complained", "unsubscribed", "suppressed"])
def test_a_mail_to_a_suppressed_address_is_not_sent_and_that_is_visible(event: str) -> None:
    product = Product()
    product.feedback(event, "Ann@Example.com")
    name = product.mail("ANN@example.com")
    assert product.relay.asked == []
    assert product.status(name) == ("suppressed", "suppressed_address")
    assert product.mail("bob@example.com") in product.relay.asked


def test_a_mail_that_waits_is_looked_at_again_before_its_next_attempt() -> None:
    product = Product()
    product.relay.answer = {"outcome": Outcome.TRANSIENT, "reason": "relay_deferred"}
    name = product.mail()
    assert product.status(name)[0] == "deferred"
    product.feedback("complained")
    product.engine.advance(timedelta(hours=2))
    assert product.relay.asked == [name]
    assert product.status(name) == ("suppressed", "suppressed_address")


def test_a_mail_that_waits_in_the_sender_for_its_relay_is_looked_at_again_before_it_goes() -> None:
    product = Product()
    evidence = Evidence(Sign.COMPLAINT, START, "n0")
    row = ADDRESS.key(address_key(ANN, None)), ADDRESS.encode(AddressHistory(ANN, None, (evidence,)))
    product.relay.while_waiting = lambda: product.engine.state(KEEPER).rows.update([row])
    name = product.mail()
    assert product.relay.asked == []
    assert product.status(name) == ("suppressed", "suppressed_address")


def test_a_mail_that_is_deferred_to_an_address_suppressed_meanwhile_waits_no_longer() -> None:
    product = Product()
    product.relay.answer = {"outcome": Outcome.TRANSIENT, "reason": "relay_deferred"}
    evidence = Evidence(Sign.COMPLAINT, START, "n0")
    command = OUTBOX.encode(RecordFeedback(ANN, None, evidence))
    product.relay.while_waiting = lambda: product.engine.put(OUTBOX, command, key=ANN.encode(), settle=False)
    assert product.status(product.mail()) == ("suppressed", "suppressed_address")


def test_a_suppressed_mail_that_comes_again_is_not_recorded_again() -> None:
    product = Product()
    product.feedback("complained")
    product.mail()
    before = product.engine.values(NOTIFICATION_STATUS)
    product.numbers = itertools.count(1)
    product.mail()
    assert product.engine.values(NOTIFICATION_STATUS) == before


def test_what_one_organization_has_learnt_concerns_its_own_mails_only() -> None:
    product = Product()
    product.feedback("unsubscribed", organization_id="org-a")
    names = [product.mail(organization_id=each) for each in ("org-a", "org-b", None)]
    assert product.relay.asked == names[1:]


def test_an_event_that_names_no_organization_concerns_everybody() -> None:
    product = Product()
    product.feedback("bounced")
    assert [product.mail(organization_id=each) for each in ("org-a", None)]
    assert product.relay.asked == []


def test_a_hard_bounce_holds_for_30_days_and_its_row_goes_with_it() -> None:
    product = Product()
    product.feedback("bounced")
    product.engine.advance(30 * DAY - timedelta(seconds=1))
    product.mail()
    assert product.relay.asked == []
    product.engine.advance(timedelta(seconds=1))
    assert product.engine.state(KEEPER).items(ADDRESS) == {}
    assert product.mail() in product.relay.asked


def test_an_operator_lets_mail_go_again() -> None:
    product = Product()
    product.feedback("complained")
    product.engine.advance(timedelta(seconds=1))
    product.feedback("unsuppressed")
    assert product.mail() in product.relay.asked


def test_an_event_from_the_future_does_not_outlast_the_operator() -> None:
    product = Product()
    evidence = Evidence(Sign.COMPLAINT, START + 1000 * DAY, "n1")
    product.engine.put(OUTBOX, OUTBOX.encode(RecordFeedback(ANN, None, evidence)), key=ANN.encode())
    assert product.mail() not in product.relay.asked
    product.engine.advance(timedelta(seconds=1))
    product.feedback("unsuppressed")
    assert product.mail() in product.relay.asked


def test_an_old_bounce_that_is_told_late_changes_nothing() -> None:
    product = Product()
    product.feedback("bounced", at=(START - 31 * DAY).isoformat())
    assert product.engine.state(KEEPER).items(ADDRESS) == {}
    assert product.mail() in product.relay.asked


@pytest.mark.parametrize(
    ("answer", "suppresses"),
    [
        ({"outcome": Outcome.PERMANENT_RECIPIENT, "reason": "recipient_refused", "enhanced": "5.1.1"}, True),
        ({"outcome": Outcome.PERMANENT_RECIPIENT, "reason": "recipient_refused", "enhanced": "5.2.1"}, True),
        ({"outcome": Outcome.PERMANENT_RECIPIENT, "reason": "recipient_refused"}, True),
        ({"outcome": Outcome.PERMANENT_RECIPIENT, "reason": "recipient_refused", "enhanced": "5.7.1"}, False),
        ({"outcome": Outcome.PERMANENT_RECIPIENT, "reason": "invalid_address"}, False),
        *(
            ({"outcome": outcome, "reason": "whatever", "enhanced": "5.1.1"}, False)
            for outcome in Outcome
            if outcome is not Outcome.PERMANENT_RECIPIENT
        ),
    ],
)
def test_of_our_relays_answers_only_a_refused_recipient_suppresses(answer: dict[str, Any], suppresses: bool) -> None:
    product = Product()
    product.relay.answer = answer
    first = product.mail()
    product.relay.answer = {"outcome": Outcome.SENT}
    second = product.mail()
    assert product.relay.asked == ([first] if suppresses else [first, second])
    rows = product.engine.state(KEEPER).items(ADDRESS)
    assert list(rows) == ([address_key(ANN, None)] if suppresses else [])


@pytest.mark.parametrize("status", ["5.7.1", "5.4.5", "4.7.0", "5.1.8", "5.3.4", "5.6.1"])
def test_errors_that_are_not_the_addresss_never_suppress(status: str) -> None:
    product = Product()
    for number in range(9):
        product.feedback("bounced", status=status, notification_id=f"x{number}")
        product.feedback("deferred", status=status, notification_id=f"y{number}")
    assert product.mail() in product.relay.asked


def test_what_changes_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    product = Product()
    for _ in range(3):
        product.feedback("bounced", at=START.isoformat(), event_id="e1")
    product.engine.advance(timedelta(seconds=1))
    product.feedback("unsuppressed")
    assert [message for message in caplog.messages if ANN in message] == [
        f"No more mail to {ANN}, until 2026-02-04 12:00:00 UTC: hard_bounce",
        f"Mail goes to {ANN} again",
    ]


EVENTS = st.sampled_from(["bounced", "complained", "deferred", "delivered", "unsubscribed", "suppressed", "sent"])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(EVENTS, st.integers(0, 5), st.sampled_from(["m1", "m2", "m3", "m4"])), max_size=8), st.data())
def test_whatever_order_events_come_in_a_suppressed_address_gets_no_mail(
    seen: list[tuple[str, int, str]], data: st.DataObject
) -> None:
    """The latter order may repeat events; both products decide alike, and as the plain rules say."""
    decisions = []
    for order in (seen, data.draw(st.permutations(seen + seen[:2]))):
        product = Product()
        for event, hours, mail in order:
            at = (START - timedelta(hours=hours)).isoformat()
            product.feedback(event, at=at, message_id=mail)
        decisions.append(product.mail() in product.relay.asked)
    at_once = {"bounced", "complained", "unsubscribed", "suppressed"}
    arrived = min((hours for event, hours, _ in seen if event == "delivered"), default=99)
    soft = {mail for event, hours, mail in seen if event == "deferred" and hours < arrived}
    suppressed = any(event in at_once for event, _, _ in seen) or len(soft) >= 3
    assert decisions == [not suppressed] * 2
