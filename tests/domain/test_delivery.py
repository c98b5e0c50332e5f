"""The delivery of one mail: its states, its waits, its end."""

from __future__ import annotations

import dataclasses
import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from streamnotify.domain.delivery import (
    AFTER_ATTEMPT,
    WAITS,
    AttemptResult,
    Delivery,
    DeliveryPolicy,
    DeliveryState,
    Outcome,
    OutgoingMail,
    Priority,
    begin,
    give_up,
    priority_of,
    resolve,
    retry,
    retry_after,
)

NOW = datetime(2024, 1, 15, 14, 31, tzinfo=UTC)
POLICY = DeliveryPolicy()
MAX_AGE = timedelta(days=3)
MAIL = OutgoingMail(
    "n1", "task_completion", "ann@example.com", "noreply@example.com", "m@example.com", "Hi", b"x", NOW, NOW + MAX_AGE
)
OPEN = Delivery(DeliveryState.ATTEMPTING, 1)


def result(
    outcome: Outcome, attempt: int = 1, notification_id: str = "n1", retry_in: timedelta | None = None
) -> AttemptResult:
    """How attempt ``attempt`` ended."""
    return AttemptResult(notification_id, attempt, outcome, retry_in=retry_in)


def wait_after(outcome: Outcome, attempt: int = 1, notification_id: str = "n1", kind: str = MAIL.kind) -> timedelta:
    """How long a mail of ``kind`` waits after that attempt."""
    return retry_after(result(outcome, attempt, notification_id), kind, POLICY)


def test_a_new_mail_is_attempted_at_once() -> None:
    assert begin(MAIL, NOW) == OPEN


def test_a_mail_that_comes_too_late_is_expired_without_an_attempt() -> None:
    assert begin(MAIL, MAIL.expires_at) == Delivery(DeliveryState.EXPIRED, 0)


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Outcome.SENT, DeliveryState.SENT),
        (Outcome.PERMANENT_RECIPIENT, DeliveryState.FAILED),
        (Outcome.PERMANENT_MESSAGE, DeliveryState.FAILED),
    ],
)
def test_accepted_or_refused_for_good_ends_it(outcome: Outcome, state: DeliveryState) -> None:
    assert resolve(OPEN, result(outcome), MAIL, NOW, POLICY) == Delivery(state, 1)


@pytest.mark.parametrize("outcome", [Outcome.TRANSIENT, Outcome.AMBIGUOUS, Outcome.HELD, Outcome.UNREACHABLE])
def test_not_accepted_or_not_known_waits_and_is_tried_again(outcome: Outcome) -> None:
    waiting = resolve(OPEN, result(outcome), MAIL, NOW, POLICY)
    assert waiting is not None
    assert waiting.state is DeliveryState.DEFERRED
    assert waiting.next_at is not None
    assert timedelta(seconds=45) <= waiting.next_at - NOW <= timedelta(seconds=75)
    may_have_arrived = outcome is Outcome.AMBIGUOUS
    assert retry(waiting, MAIL, waiting.next_at) == Delivery(DeliveryState.ATTEMPTING, 2, None, may_have_arrived)


def test_that_a_mail_may_have_arrived_is_not_forgotten() -> None:
    ledger: Delivery | None = OPEN
    for attempt, outcome in enumerate((Outcome.AMBIGUOUS, Outcome.TRANSIENT, Outcome.HELD), 1):
        assert ledger is not None
        ledger = resolve(ledger, result(outcome, attempt), MAIL, NOW, POLICY)
        assert ledger is not None
        assert ledger.may_have_arrived
        assert give_up(ledger, DeliveryState.SUPPRESSED) == Delivery(
            DeliveryState.SUPPRESSED, attempt, may_have_arrived=True
        )
        ledger = retry(ledger, MAIL, NOW)


def test_a_mail_that_is_given_up_before_an_attempt_has_one_less() -> None:
    assert give_up(begin(MAIL, NOW), DeliveryState.SUPPRESSED) == Delivery(DeliveryState.SUPPRESSED, 0)
    waiting = resolve(OPEN, result(Outcome.TRANSIENT), MAIL, NOW, POLICY)
    assert waiting is not None
    assert give_up(waiting, DeliveryState.SUPPRESSED) == Delivery(DeliveryState.SUPPRESSED, 1)


def test_every_outcome_leads_somewhere() -> None:
    assert set(AFTER_ATTEMPT) == set(Outcome)


def test_the_last_wait_ends_at_the_expiry_and_then_the_mail_is_expired() -> None:
    waiting = resolve(OPEN, result(Outcome.TRANSIENT), MAIL, MAIL.expires_at - timedelta(seconds=1), POLICY)
    assert waiting == Delivery(DeliveryState.DEFERRED, 1, MAIL.expires_at)
    assert retry(waiting, MAIL, MAIL.expires_at) == Delivery(DeliveryState.EXPIRED, 1)


def test_an_attempt_that_fails_after_the_expiry_is_the_last() -> None:
    expired = resolve(OPEN, result(Outcome.TRANSIENT), MAIL, MAIL.expires_at, POLICY)
    assert expired == Delivery(DeliveryState.EXPIRED, 1)


def test_a_mail_accepted_after_its_expiry_counts_as_sent() -> None:
    assert resolve(OPEN, result(Outcome.SENT), MAIL, MAIL.expires_at, POLICY) == Delivery(DeliveryState.SENT, 1)


@pytest.mark.parametrize(
    "ledger",
    [Delivery(state, 1) for state in DeliveryState if state is not DeliveryState.ATTEMPTING]
    + [Delivery(DeliveryState.ATTEMPTING, 2)],
    ids=lambda ledger: f"{ledger.state}-{ledger.attempt}",
)
def test_the_result_of_an_attempt_that_is_not_open_is_stale(ledger: Delivery) -> None:
    assert resolve(ledger, result(Outcome.SENT), MAIL, NOW, POLICY) is None


@pytest.mark.parametrize("state", [state for state in DeliveryState if state is not DeliveryState.DEFERRED])
def test_only_a_waiting_mail_is_tried_again(state: DeliveryState) -> None:
    assert retry(Delivery(state, 1), MAIL, NOW) is None


@given(st.text(max_size=30), st.integers(min_value=1, max_value=10_000))
def test_waits_grow_up_to_an_hour_and_are_the_same_each_time(notification_id: str, attempt: int) -> None:
    wait = wait_after(Outcome.TRANSIENT, attempt, notification_id)
    longest = min(timedelta(seconds=75) * 2 ** min(attempt - 1, 20), timedelta(hours=1))
    assert longest * 0.6 <= wait <= longest
    assert wait == wait_after(Outcome.TRANSIENT, attempt, notification_id)


def test_mails_deferred_together_do_not_come_back_together() -> None:
    waits = sorted(wait_after(Outcome.TRANSIENT, notification_id=f"n{n}").total_seconds() for n in range(1000))
    assert sum(waits) / 1000 == pytest.approx(60, abs=2)
    assert max(later - earlier for earlier, later in itertools.pairwise(waits)) < 1


@given(st.sampled_from(sorted(WAITS)), st.integers(min_value=1, max_value=10_000))
def test_each_outcome_waits_as_its_row_says(outcome: Outcome, attempt: int) -> None:
    assert WAITS[outcome].first * 0.6 <= wait_after(outcome, attempt) <= WAITS[outcome].most


@pytest.mark.parametrize("outcome", [Outcome.UNREACHABLE, Outcome.TLS_POLICY, Outcome.QUOTA, Outcome.HELD])
def test_an_outage_does_not_lengthen_a_mails_waits(outcome: Outcome) -> None:
    assert wait_after(outcome, 1000) <= timedelta(seconds=75)


def test_too_fast_is_tried_again_within_seconds_and_a_full_mailbox_is_not() -> None:
    assert wait_after(Outcome.RATE) <= timedelta(seconds=5)
    assert wait_after(Outcome.MAILBOX_FULL) >= timedelta(minutes=9)


def test_the_relays_wish_goes_before_our_own_wait() -> None:
    asked = result(Outcome.TRANSIENT, 7, retry_in=timedelta(minutes=5))
    waiting = resolve(Delivery(DeliveryState.ATTEMPTING, 7), asked, MAIL, NOW, POLICY)
    assert waiting == Delivery(DeliveryState.DEFERRED, 7, NOW + timedelta(minutes=5))


def test_a_digest_of_unknown_fate_waits_longer_than_a_task_mail() -> None:
    assert wait_after(Outcome.AMBIGUOUS, kind="notification_digest") == timedelta(minutes=15)
    assert wait_after(Outcome.AMBIGUOUS, kind="task_status_alert") <= timedelta(seconds=75)
    assert wait_after(Outcome.TRANSIENT, kind="notification_digest") <= timedelta(seconds=75)


def test_urgent_mails_go_first_then_alerts_then_task_mails_and_digests_last() -> None:
    kinds = ["notification_digest", "task_completion", "own_template", "task_status_recovery", "task_status_alert"]
    mails = [dataclasses.replace(MAIL, kind=kind) for kind in kinds]
    mails.append(dataclasses.replace(MAIL, kind="notification_digest", urgent=True))
    assert [priority_of(mail) for mail in mails] == [
        Priority.DIGEST,
        Priority.NORMAL,
        Priority.NORMAL,
        Priority.ALERT,
        Priority.ALERT,
        Priority.URGENT,
    ]


class AnyDelivery(RuleBasedStateMachine):
    """Results, old and new, and wakes in any order and at any time."""

    @initialize()
    def arrive(self) -> None:
        self.now = NOW
        self.ledger = begin(MAIL, NOW)
        self.attempts = [1]
        self.ends: list[Delivery] = []

    def enter(self, ledger: Delivery | None) -> None:
        """Take over a new state, noting attempts and ends."""
        if ledger is None:
            return
        assert not self.ledger.state.is_final
        self.ledger = ledger
        if ledger.state is DeliveryState.ATTEMPTING:
            self.attempts.append(ledger.attempt)
        if ledger.state.is_final:
            self.ends.append(ledger)

    @rule(seconds=st.integers(0, 100_000))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(outcome=st.sampled_from(Outcome), back=st.integers(0, 2))
    def a_result_comes(self, outcome: Outcome, back: int) -> None:
        attempt = self.ledger.attempt - back
        self.enter(resolve(self.ledger, result(outcome, attempt), MAIL, self.now, POLICY))

    @precondition(lambda self: self.ledger.next_at is not None)
    @rule()
    def the_wake_comes(self) -> None:
        assert self.ledger.next_at is not None
        self.now = max(self.now, self.ledger.next_at)
        self.enter(retry(self.ledger, MAIL, self.now))

    @rule()
    def a_wake_comes_twice(self) -> None:
        if self.ledger.state is not DeliveryState.DEFERRED:
            self.enter(retry(self.ledger, MAIL, self.now))

    @invariant()
    def attempts_count_up_and_nothing_ends_twice(self) -> None:
        if not hasattr(self, "ledger"):
            return
        assert self.attempts == list(range(1, len(self.attempts) + 1))
        assert len(self.ends) <= 1
        assert (self.ledger.next_at is not None) is (self.ledger.state is DeliveryState.DEFERRED)
        assert self.ledger.next_at is None or self.ledger.next_at <= MAIL.expires_at


TestAnyDelivery = AnyDelivery.TestCase
