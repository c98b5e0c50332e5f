"""Delivery status notifications become delivery events, whatever the server; whatever else comes is refused."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamnotify.domain.feedback import BounceType, FeedbackEvent, Sign, enhanced_status, sign_of
from streamnotify.wire.dsn import MAX_BYTES, MOST_RECIPIENTS, NoDeliveryStatus, feedback_of
from streamnotify.wire.feedback import NotificationFeedback, parse
from streamnotify.wire.topics import NOTIFICATION_FEEDBACK
from tests.wire import dsn_samples
from tests.wire.dsn_samples import NOTIFICATION, OURS

SAMPLES = {
    name: text.encode() for name, text in vars(dsn_samples).items() if isinstance(text, str) and "multipart" in text
}


def only(mail: str) -> NotificationFeedback:
    [feedback] = feedback_of(mail.encode())
    return feedback


def sign(feedback: NotificationFeedback) -> Sign | None:
    return sign_of(feedback.event, feedback.bounce_type, enhanced_status(feedback.status))


def test_a_bounce_of_postfix() -> None:
    feedback = only(dsn_samples.POSTFIX)
    assert feedback == NotificationFeedback(
        event=FeedbackEvent.BOUNCED,
        notification_id=NOTIFICATION,
        message_id=f"<{OURS}>",
        email="Ann@example.org",
        at=datetime(2024, 1, 15, 14, 31, 2, tzinfo=UTC),
        bounce_type=BounceType.HARD,
        status="5.1.1",
        detail="550 5.1.1 <ann@example.org>: Recipient address rejected: User unknown in virtual mailbox table",
        source="dsn",
    )
    assert sign(feedback) is Sign.HARD_BOUNCE


def test_a_delay_of_postfix_with_the_whole_mail_returned() -> None:
    feedback = only(dsn_samples.POSTFIX_DELAYED)
    assert (feedback.event, feedback.email, feedback.status) == (FeedbackEvent.DEFERRED, "bob@example.org", "4.4.1")
    assert (feedback.notification_id, feedback.notification) == (None, NOTIFICATION)
    assert sign(feedback) is Sign.SOFT_BOUNCE


def test_a_bounce_of_exchange() -> None:
    feedback = only(dsn_samples.EXCHANGE)
    assert (feedback.email, feedback.status) == ("carl@contoso.example", "5.1.10")
    assert feedback.at == datetime(2024, 1, 15, 14, 31, 9, tzinfo=UTC)
    assert feedback.notification_id == NOTIFICATION
    assert sign(feedback) is Sign.HARD_BOUNCE


def test_a_block_of_gmail_tells_nothing_against_the_address() -> None:
    feedback = only(dsn_samples.GMAIL)
    assert (feedback.event, feedback.email, feedback.status) == (FeedbackEvent.BOUNCED, "dora@gmail.com", "5.7.26")
    assert feedback.notification == NOTIFICATION
    assert sign(feedback) is None


def test_a_bounce_of_ses_whose_words_say_more_than_its_status() -> None:
    feedback = only(dsn_samples.SES)
    assert (feedback.email, feedback.status, feedback.notification) == ("eve@example.net", "5.2.2", NOTIFICATION)
    assert sign(feedback) is Sign.SOFT_BOUNCE


def test_each_of_several_recipients_is_an_event_and_the_address_we_wrote_to_goes_before_the_final_one() -> None:
    found = [(each.event.value, each.email, each.bounce_type) for each in feedback_of(SAMPLES["SEVERAL"])]
    assert found == [
        ("bounced", "one@example.org", BounceType.HARD),
        ("delivered", "two@example.org", None),
        ("sent", "three+news@example.org", None),
        ("bounced", "josé@xn--bcher-kva.example", BounceType.SOFT),
    ]


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("crlf", [False, True])
def test_every_event_is_taken_by_the_topic(name: str, crlf: bool) -> None:
    mail = SAMPLES[name].replace(b"\n", b"\r\n") if crlf else SAMPLES[name]
    for feedback in feedback_of(mail):
        assert parse(NOTIFICATION_FEEDBACK.encode(feedback)) == feedback


def test_an_unknown_action_is_an_unknown_event() -> None:
    assert only(dsn_samples.POSTFIX.replace("Action: failed", "Action: exploded")).event is FeedbackEvent.UNKNOWN


def test_a_header_that_would_be_two_lines_is_one() -> None:
    feedback = only(dsn_samples.POSTFIX.replace("X-Notification-ID: ", "X-Notification-ID: a\n b\x00c\x1b[31m "))
    assert feedback.notification_id == f"a b c [31m {NOTIFICATION}"


def test_a_status_of_unknown_recipients_is_refused_in_words() -> None:
    with pytest.raises(NoDeliveryStatus, match="none of the recipients"):
        feedback_of(
            b"Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\nAction: failed\nStatus: 5.1.1\n"
        )


@pytest.mark.parametrize(
    ("mail", "why"),
    [
        (b"", "no part of type message/delivery-status"),
        (b"Subject: Hi\n\nHello", "no part of type message/delivery-status"),
        (b"\x00\xff" * 1000, "no part of type message/delivery-status"),
        (b"Content-Type: message/delivery-status\n\n", "names no recipient's Action"),
        (b"Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n", "names no recipient's Action"),
        (b"x" * (MAX_BYTES + 1), "at most"),
        (b'Content-Type: multipart/report; boundary="\n\n--\n', "no part of type message/delivery-status"),
    ],
)
def test_what_is_no_report_is_refused_in_words(mail: bytes, why: str) -> None:
    with pytest.raises(NoDeliveryStatus, match=why):
        feedback_of(mail)


def test_mails_within_mails_are_refused_or_read_but_never_too_deep() -> None:
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(5000))
    with pytest.raises(NoDeliveryStatus):
        feedback_of(deep)
    with pytest.raises(NoDeliveryStatus):
        feedback_of(b"Content-Type: message/rfc822\n\n" * 20000)


def test_addresses_that_are_far_too_long_are_not_looked_at_for_long() -> None:
    recipient = f"Final-Recipient: rfc822; {'a@' * 2000} x\nAction: failed\n\n"
    mail = f"Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\n{recipient * 200}".encode()
    started = time.thread_time()
    with pytest.raises(NoDeliveryStatus):
        feedback_of(mail)
    assert time.thread_time() - started < 2  # it was 40 s


def test_a_report_of_very_many_recipients_is_cut() -> None:
    blocks = "".join(
        f"Final-Recipient: rfc822; n{n}@example.org\nAction: failed\n\n" for n in range(MOST_RECIPIENTS + 9)
    )
    mail = f"Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\n{blocks}"
    assert len(feedback_of(mail.encode())) == MOST_RECIPIENTS


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A sample with pieces cut out, doubled and overwritten."""
    mail = draw(st.sampled_from(sorted(SAMPLES.values())))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(mail)))
        end = draw(st.integers(start, min(len(mail), start + 200)))
        mail = (
            mail[:start]
            + draw(st.sampled_from([b"", mail[start:end] * 2, b"\n", b"\x00"]) | st.binary(max_size=40))
            + mail[end:]
        )
    return mail


@settings(max_examples=300, deadline=None)
@given(damaged() | st.binary(max_size=500))
def test_damaged_reports_are_read_or_refused_and_raise_nothing_else(mail: bytes) -> None:
    try:
        found = feedback_of(mail)
    except NoDeliveryStatus:
        found = []
    for feedback in found:
        assert parse(NOTIFICATION_FEEDBACK.encode(feedback)) == feedback
