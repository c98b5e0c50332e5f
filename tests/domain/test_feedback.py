"""What a delivery event says about its address."""

from __future__ import annotations

import pytest

from streamnotify.domain.feedback import Blame, BounceType, FeedbackEvent, Sign, blame, enhanced_status, sign_of


@pytest.mark.parametrize("status", ["5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1"])
def test_a_status_that_blames_the_mailbox_is_a_hard_bounce(status: str) -> None:
    assert sign_of(FeedbackEvent.BOUNCED, status=status) is Sign.HARD_BOUNCE


@pytest.mark.parametrize("status", ["5.2.2", "5.3.0", "5.4.4", "5.4.7", "4.2.2", "4.4.1", "4.0.0"])
def test_a_status_that_may_pass_is_a_soft_bounce(status: str) -> None:
    assert sign_of(FeedbackEvent.BOUNCED, BounceType.HARD, status) is Sign.SOFT_BOUNCE


@pytest.mark.parametrize(
    "status",
    ["5.1.7", "5.1.8", "5.2.3", "5.3.4", "5.4.5", "5.5.1", "5.6.0", "5.7.1", "5.7.30", "5.7.10", "4.7.0", "4.7.4"],
)
@pytest.mark.parametrize("event", [FeedbackEvent.BOUNCED, FeedbackEvent.DEFERRED])
@pytest.mark.parametrize("bounce_type", [None, *BounceType])
def test_sender_quota_encryption_policy_and_content_never_tell_against_the_address(
    status: str, event: FeedbackEvent, bounce_type: BounceType | None
) -> None:
    assert sign_of(event, bounce_type, status) is None


@pytest.mark.parametrize(
    ("bounce_type", "sign"),
    [
        (None, Sign.HARD_BOUNCE),
        (BounceType.HARD, Sign.HARD_BOUNCE),
        (BounceType.SOFT, Sign.SOFT_BOUNCE),
        (BounceType.UNDETERMINED, Sign.SOFT_BOUNCE),
    ],
)
@pytest.mark.parametrize("status", [None, "5.0.0", "not a code"])
def test_a_bounce_without_a_telling_status_is_what_its_type_says(
    bounce_type: BounceType | None, sign: Sign, status: str | None
) -> None:
    assert sign_of(FeedbackEvent.BOUNCED, bounce_type, status) is sign


def test_of_type_and_status_the_milder_counts() -> None:
    assert sign_of(FeedbackEvent.BOUNCED, BounceType.SOFT, "5.1.1") is Sign.SOFT_BOUNCE


@pytest.mark.parametrize("status", [None, "4.2.2", "5.1.1"])
def test_a_deferral_is_never_more_than_a_soft_bounce(status: str | None) -> None:
    assert sign_of(FeedbackEvent.DEFERRED, status=status) is Sign.SOFT_BOUNCE


def test_the_other_events_say_what_they_are_or_nothing() -> None:
    signs = {event: sign_of(event) for event in FeedbackEvent}
    assert {event.value: sign for event, sign in signs.items() if sign is not None} == {
        "bounced": Sign.HARD_BOUNCE,
        "deferred": Sign.SOFT_BOUNCE,
        "complained": Sign.COMPLAINT,
        "unsubscribed": Sign.UNSUBSCRIBED,
        "suppressed": Sign.OPERATOR,
        "unsuppressed": Sign.LIFTED,
        "delivered": Sign.DELIVERED,
        "opened": Sign.DELIVERED,
        "clicked": Sign.DELIVERED,
    }


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("550 5.1.1 <ann@example.com>: no such user", "5.1.1"),
        ("smtp; 550-5.7.26 not authenticated", "5.7.26"),
        ("5.1.1 (bad destination mailbox address)", "5.1.1"),
        ("connect to 5.6.7.8 failed", None),
        ("from 15.1.1", None),
        ("\u0665.\u0661.\u0661", None),
        ("no code", None),
        (None, None),
    ],
)
def test_a_status_code_is_found_in_words(text: str | None, status: str | None) -> None:
    assert enhanced_status(text) == status


def test_an_unspecific_status_says_nothing_unless_it_is_temporary() -> None:
    assert (blame("5.0.0"), blame("4.0.0"), blame(None)) == (None, Blame.SOFT, None)
