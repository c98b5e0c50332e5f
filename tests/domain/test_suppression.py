"""What is held against an address, in whatever order it is learnt."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnotify.domain.feedback import Sign
from streamnotify.domain.suppression import (
    AddressHistory,
    Evidence,
    SuppressionPolicy,
    forget_at,
    learn,
    suppression,
)

NOW = datetime(2024, 1, 15, 14, 30, tzinfo=UTC)
POLICY = SuppressionPolicy()
DAY = timedelta(days=1)
BLANK = AddressHistory("ann@example.com")


def evidence(sign: Sign, at: float = 0, mail: str = "n1") -> Evidence:
    """``sign``, seen ``at`` hours after NOW."""
    return Evidence(sign, NOW + timedelta(hours=at), mail)


def known(*seen: Evidence) -> AddressHistory:
    return reduce(lambda history, each: learn(history, each, POLICY), seen, BLANK)


def cause(history: AddressHistory, after: timedelta = timedelta(days=2)) -> Sign | None:
    found = suppression(history, NOW + after, POLICY)
    return None if found is None else found.cause


@pytest.mark.parametrize("sign", [Sign.HARD_BOUNCE, Sign.COMPLAINT, Sign.UNSUBSCRIBED, Sign.OPERATOR])
def test_bounces_complaints_and_the_like_suppress_at_once(sign: Sign) -> None:
    assert cause(known(evidence(sign))) is sign


def test_a_hard_bounce_expires_after_30_days_and_is_forgotten_then() -> None:
    history = known(evidence(Sign.HARD_BOUNCE))
    assert cause(history, 30 * DAY - timedelta(seconds=1)) is Sign.HARD_BOUNCE
    assert cause(history, 30 * DAY) is None
    assert forget_at(history, POLICY) == NOW + 30 * DAY


@pytest.mark.parametrize("sign", [Sign.COMPLAINT, Sign.UNSUBSCRIBED, Sign.OPERATOR])
def test_what_a_person_has_said_never_expires(sign: Sign) -> None:
    history = known(evidence(sign), evidence(Sign.DELIVERED, 1))
    assert cause(history, 5000 * DAY) is sign
    assert forget_at(history, POLICY) is None


def test_the_third_mail_in_a_row_that_bounces_softly_suppresses_for_30_days() -> None:
    twice = known(evidence(Sign.SOFT_BOUNCE, 0, "n1"), evidence(Sign.SOFT_BOUNCE, 1, "n2"))
    assert cause(twice) is None
    thrice = learn(twice, evidence(Sign.SOFT_BOUNCE, 2, "n3"), POLICY)
    assert cause(thrice) is Sign.SOFT_BOUNCE
    assert cause(thrice, 30 * DAY + timedelta(hours=2)) is None


def test_several_deferrals_of_one_mail_count_once() -> None:
    assert cause(known(*(evidence(Sign.SOFT_BOUNCE, hours, "n1") for hours in range(10)))) is None


def test_a_mail_that_arrives_clears_the_soft_bounces_before_it_and_nothing_else() -> None:
    soft = [evidence(Sign.SOFT_BOUNCE, hours, f"n{hours}") for hours in range(3)]
    assert cause(known(*soft, evidence(Sign.DELIVERED, 2))) is None
    assert cause(known(*soft, evidence(Sign.DELIVERED, -1))) is Sign.SOFT_BOUNCE
    assert cause(known(evidence(Sign.HARD_BOUNCE), evidence(Sign.DELIVERED, 1))) is Sign.HARD_BOUNCE


def test_an_operator_lifts_all_that_was_before_and_nothing_that_comes_after() -> None:
    before = [evidence(sign) for sign in (Sign.HARD_BOUNCE, Sign.COMPLAINT, Sign.OPERATOR, Sign.UNSUBSCRIBED)]
    lifted = known(*before, evidence(Sign.LIFTED, 1))
    assert cause(lifted) is None
    assert cause(learn(lifted, evidence(Sign.COMPLAINT, 0.5), POLICY)) is None
    assert cause(learn(lifted, evidence(Sign.HARD_BOUNCE, 2), POLICY)) is Sign.HARD_BOUNCE


EVIDENCE = st.builds(
    evidence,
    st.sampled_from(Sign),
    st.integers(0, 8),
    st.sampled_from(["n1", "n2", "n3", "n4", "n5"]),
)


@given(st.lists(EVIDENCE, max_size=12), st.data())
def test_order_and_repetition_change_nothing(seen: list[Evidence], data: st.DataObject) -> None:
    again = data.draw(st.permutations(seen + data.draw(st.lists(st.sampled_from(seen), max_size=4)) if seen else seen))
    assert known(*again) == known(*seen)


@given(st.lists(EVIDENCE, max_size=12))
def test_soft_bounces_suppress_exactly_if_three_mails_have_had_one_since_the_last_arrival(seen: list[Evidence]) -> None:
    relevant = [each for each in seen if each.sign in (Sign.SOFT_BOUNCE, Sign.DELIVERED)]
    arrived = max((each.at for each in relevant if each.sign is Sign.DELIVERED), default=NOW - DAY)
    mails = {each.mail for each in relevant if each.sign is Sign.SOFT_BOUNCE and each.at > arrived}
    assert (cause(known(*relevant)) is Sign.SOFT_BOUNCE) == (len(mails) >= 3)


@given(st.lists(EVIDENCE, max_size=30))
def test_a_history_stays_small(seen: list[Evidence]) -> None:
    history = known(*seen)
    assert len(history.blocks) <= 4
    assert len(history.soft_bounces) <= POLICY.soft_bounces
