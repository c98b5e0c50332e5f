"""SES over SNS: what is believed, and what each of its events becomes."""

from __future__ import annotations

import base64
import copy
import json
from datetime import timedelta
from typing import Any

import pytest

from tests.web.webhooks import examples
from tests.web.webhooks.senders import (
    CERTIFICATE_URL,
    NOTIFICATION,
    NOW,
    OUR_MESSAGE_ID,
    SNS,
    SUBSCRIBE_URL,
    TOPIC,
    Amazon,
    Receiver,
)

PATH = "/webhooks/ses"


@pytest.fixture(scope="module")
def account() -> Amazon:
    return Amazon()


@pytest.fixture
def amazon(account: Amazon) -> Amazon:
    fresh = copy.copy(account)
    fresh.fetched, fresh.away = [], False
    return fresh


@pytest.fixture
def receiver(amazon: Amazon) -> Receiver:
    return Receiver(amazon.provider())


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_bounce_becomes_an_event_about_address_and_notification(
    amazon: Amazon, receiver: Receiver, version: str
) -> None:
    body = amazon.signed(amazon.message(examples.SES_BOUNCE, SignatureVersion=version))
    assert receiver.post(PATH, body, {"Content-Type": "text/plain; charset=UTF-8"}).status_code == 200
    assert receiver.topic.records == [
        (
            "recipient@example.com",
            {
                "event": "bounced",
                "notification_id": NOTIFICATION,
                "message_id": OUR_MESSAGE_ID,
                "email": "recipient@example.com",
                "at": "2026-03-01T11:41:02.669000Z",
                "bounce_type": "hard",
                "status": "5.1.1",
                "detail": "smtp; 550 5.1.1 user unknown",
                "event_id": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
                "source": "ses",
            },
        )
    ]


def events(amazon: Amazon, receiver: Receiver, said: object) -> list[dict[str, Any]]:
    assert receiver.post(PATH, amazon.signed(amazon.message(said))).status_code == 200
    return receiver.topic.events


def test_feedback_without_headers_about_several_recipients_is_an_event_for_each(
    amazon: Amazon, receiver: Receiver
) -> None:
    found = events(amazon, receiver, examples.SES_FEEDBACK_BOUNCE)
    assert [event["email"] for event in found] == ["jane@example.com", "richard@example.com"]
    for event in found:
        assert (event["event"], event["bounce_type"], event["detail"]) == ("bounced", "soft", "Transient MailboxFull")
        assert event["message_id"] == examples.SES_MESSAGE_ID
        assert "notification_id" not in event


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (examples.SES_COMPLAINT, ("complained", "2026-03-01T11:41:02.669000Z", None)),
        (examples.SES_DELIVERY, ("delivered", "2026-03-01T11:41:02.669000Z", "250 2.6.0 Message received")),
        (examples.SES_DELAY, ("deferred", "2026-03-01T11:41:02.669000Z", "smtp; 421 4.4.1 Unable to connect")),
        (examples.SES_OTHERS["Send"], ("sent", "2026-03-01T11:40:02.012000Z", None)),
        (examples.SES_OTHERS["Reject"], ("rejected", "2026-03-01T11:40:02.012000Z", "Bad content")),
        (examples.SES_OTHERS["Rendering Failure"], ("failed", "2026-03-01T11:40:02.012000Z", "Attribute")),
        (examples.SES_OTHERS["Open"], ("opened", "2026-03-01T11:50:00Z", None)),
        (examples.SES_OTHERS["Click"], ("clicked", "2026-03-01T11:50:00Z", None)),
        (
            {"eventType": "Brandnew", "mail": examples.ses_mail(), "x": [1]},
            ("unknown", "2026-03-01T11:40:02.012000Z", None),
        ),
    ],
)
def test_every_kind_of_event_is_known_and_an_unknown_one_tolerated(
    amazon: Amazon, receiver: Receiver, said: object, expected: tuple[str, str, str | None]
) -> None:
    [event] = events(amazon, receiver, said)
    assert (event["event"], event["at"], event["email"]) == (*expected[:2], "recipient@example.com")
    assert event["notification_id"] == NOTIFICATION
    assert (event.get("detail") or "").startswith(expected[2] or "")
    assert ("detail" in event) == (expected[2] is not None)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"bounceType": "Transient", "bounceSubType": "ContentRejected"}, "5.6.0"),
        ({"bounceType": "Transient", "bounceSubType": "MessageTooLarge"}, "5.3.4"),
        ({"bounceType": "Undetermined", "bounceSubType": "Undetermined"}, None),
    ],
)
def test_a_bounce_whose_cause_is_the_mail_is_not_held_against_the_address(
    amazon: Amazon, receiver: Receiver, change: dict[str, str], status: str | None
) -> None:
    bounce = {"bouncedRecipients": [{"emailAddress": "recipient@example.com"}], **change}
    [event] = events(amazon, receiver, {"eventType": "Bounce", "bounce": bounce, "mail": examples.ses_mail()})
    assert event.get("status") == status
    assert event["bounce_type"] == ("undetermined" if change["bounceType"] == "Undetermined" else "soft")


def test_taking_a_mail_out_of_the_spam_folder_is_no_complaint(amazon: Amazon, receiver: Receiver) -> None:
    said = copy.deepcopy(examples.SES_COMPLAINT)
    said["complaint"]["complaintFeedbackType"] = "not-spam"  # type: ignore[index]
    assert [event["event"] for event in events(amazon, receiver, said)] == ["unknown"]


def test_who_opened_a_mail_to_several_is_not_known(amazon: Amazon, receiver: Receiver) -> None:
    said = {**examples.SES_OTHERS["Open"], "mail": examples.ses_mail(to=("a@example.com", "b@example.com"))}
    [event] = events(amazon, receiver, said)
    assert "email" not in event
    assert receiver.topic.records[0][0] == NOTIFICATION


def test_addresses_may_have_names_and_useless_ones_are_left_out(amazon: Amazon, receiver: Receiver) -> None:
    people = [
        {"emailAddress": text} for text in ('"Doe, Jane" <jane@example.com>', "<bob@example.com>", "", "@", "a b")
    ]
    said = {"notificationType": "Complaint", "complaint": {"complainedRecipients": people}}
    assert [event["email"] for event in events(amazon, receiver, said)] == ["jane@example.com", "bob@example.com"]


def test_the_test_of_the_topic_is_no_event(amazon: Amazon, receiver: Receiver) -> None:
    words = "Successfully validated SNS topic for Amazon SES event publishing."
    assert events(amazon, receiver, words) == []


@pytest.mark.parametrize(
    "said", ["", "words", "[]", '"text"', "{", '{"mail": 5}', '{"mail": {"headers": {}}}', "[" * 100_000]
)
def test_what_sns_signed_but_is_no_event_is_answered_400(amazon: Amazon, receiver: Receiver, said: str) -> None:
    assert receiver.post(PATH, amazon.signed(amazon.message(said))).status_code == 400
    assert receiver.topic.events == []


@pytest.mark.parametrize("field", ["Message", "MessageId", "Subject", "Timestamp", "Type", "SignatureVersion"])
def test_a_forged_field_is_refused(amazon: Amazon, receiver: Receiver, field: str) -> None:
    message = json.loads(amazon.signed(amazon.message(examples.SES_BOUNCE)))
    other = {"Timestamp": "2026-03-01T11:59:59.123Z", "Type": "UnsubscribeConfirmation", "SignatureVersion": "2"}
    message[field] = other.get(field, "x")
    assert receiver.post(PATH, json.dumps(message).encode()).status_code == 403
    assert receiver.topic.events == []


def test_anothers_signature_is_refused(receiver: Receiver) -> None:
    forger = Amazon()
    assert receiver.post(PATH, forger.signed(forger.message(examples.SES_BOUNCE))).status_code == 403
    assert receiver.topic.events == []


@pytest.mark.parametrize("signature", ["", "AAAA", "é", "not base64", base64.b64encode(b"x" * 256).decode()])
def test_a_wrong_signature_is_refused(amazon: Amazon, receiver: Receiver, signature: str) -> None:
    message = amazon.message(examples.SES_BOUNCE) | {"Signature": signature}
    assert receiver.post(PATH, json.dumps(message).encode()).status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 500_000,
        b'{"Type": "Notification"}',
        b"Type=Notification",
        json.dumps(Amazon.message(Amazon.__new__(Amazon))).encode(),
    ],
)
def test_an_unsigned_request_is_refused_without_asking_anybody(amazon: Amazon, receiver: Receiver, body: bytes) -> None:
    assert receiver.post(PATH, body).status_code == 403
    assert amazon.fetched == []


@pytest.mark.parametrize(
    "url",
    [
        CERTIFICATE_URL.replace("https", "http"),
        CERTIFICATE_URL.replace("us-east-1", "eu-west-1"),
        CERTIFICATE_URL.replace("amazonaws.com", "amazonaws.com.cn"),
        CERTIFICATE_URL.replace("amazonaws.com", "amazonaws.com.evil.example"),
        CERTIFICATE_URL.replace("amazonaws.com", "amazonaws.com:444"),
        CERTIFICATE_URL.replace("https://", "https://user@"),
        CERTIFICATE_URL.replace("https://", "https://evil.example/"),
        CERTIFICATE_URL.replace(".pem", ".pem?x"),
        CERTIFICATE_URL.replace(".pem", ".pem\n"),
        CERTIFICATE_URL.replace(".com/", ".com/../"),
        CERTIFICATE_URL.replace(".com/", ".com\\@evil.example/"),
        f"{SNS}/?Action=GetTopicAttributes",
        "https://evil.example/SimpleNotificationService-1.pem",
        "file:///etc/passwd",
        "",
    ],
)
def test_a_certificate_is_only_taken_from_sns_in_the_topics_region(
    amazon: Amazon, receiver: Receiver, url: str
) -> None:
    body = amazon.signed(amazon.message(examples.SES_BOUNCE, SigningCertURL=url))
    assert receiver.post(PATH, body).status_code == 403
    assert amazon.fetched == []


def test_china_has_a_domain_of_its_own(amazon: Amazon) -> None:
    topic = "arn:aws-cn:sns:cn-north-1:123456789012:ses"
    receiver = Receiver(amazon.provider(topic))
    url = CERTIFICATE_URL.replace("us-east-1.amazonaws.com", "cn-north-1.amazonaws.com.cn")
    message = amazon.message(examples.SES_BOUNCE, TopicArn=topic, SigningCertURL=url)
    assert receiver.post(PATH, amazon.signed(message)).status_code == 200
    assert amazon.fetched == [url]


@pytest.mark.parametrize("topic", [TOPIC + "2", TOPIC.replace("123456789012", "210987654321"), "", "arn"])
def test_anothers_topic_is_refused_however_well_it_is_signed(amazon: Amazon, receiver: Receiver, topic: str) -> None:
    for message in (amazon.message(examples.SES_BOUNCE, TopicArn=topic), amazon.confirmation(TopicArn=topic)):
        assert receiver.post(PATH, amazon.signed(message)).status_code == 403
    assert amazon.fetched == []


@pytest.mark.parametrize(
    ("later", "answer"),
    [(timedelta(hours=1), 200), (timedelta(hours=3), 403), (-timedelta(minutes=1), 200), (-timedelta(hours=1), 403)],
)
def test_an_old_message_is_refused_and_so_is_one_of_the_future(
    amazon: Amazon, receiver: Receiver, later: timedelta, answer: int
) -> None:
    body = amazon.signed(amazon.message(examples.SES_BOUNCE))
    receiver.now = NOW + later
    assert receiver.post(PATH, body).status_code == answer
    assert len(receiver.topic.events) == (answer == 200)


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01T00:00:00Z", "1772366398"])
def test_a_time_that_is_none_is_refused(amazon: Amazon, receiver: Receiver, text: str) -> None:
    assert receiver.post(PATH, amazon.signed(amazon.message("", Timestamp=text))).status_code == 403


def test_a_repeated_message_has_the_same_event_id(amazon: Amazon, receiver: Receiver) -> None:
    """The pipeline takes an event twice as once (docs/feedback.md), so SNS may repeat itself."""
    body = amazon.signed(amazon.message(examples.SES_BOUNCE))
    assert [receiver.post(PATH, body).status_code for _ in range(2)] == [200, 200]
    assert receiver.topic.events[0] == receiver.topic.events[1]
    assert amazon.fetched == [CERTIFICATE_URL]


def test_a_subscription_to_our_topic_is_confirmed(amazon: Amazon, receiver: Receiver) -> None:
    assert receiver.post(PATH, amazon.signed(amazon.confirmation())).status_code == 200
    assert amazon.fetched == [CERTIFICATE_URL, SUBSCRIBE_URL]
    assert receiver.topic.events == []


def test_a_forged_confirmation_asks_nobody_to_subscribe(amazon: Amazon, receiver: Receiver) -> None:
    elsewhere = amazon.confirmation(SubscribeURL="https://evil.example/?Action=ConfirmSubscription")
    for body in (amazon.signed(elsewhere), json.dumps(amazon.confirmation() | {"Signature": "AAAA"}).encode()):
        assert receiver.post(PATH, body).status_code == 403
    assert amazon.fetched == [CERTIFICATE_URL]


def test_the_end_of_a_subscription_is_said_in_the_log(
    amazon: Amazon, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    body = amazon.signed(amazon.confirmation(Type="UnsubscribeConfirmation"))
    assert receiver.post(PATH, body).status_code == 200
    assert amazon.fetched == [CERTIFICATE_URL]  # its SubscribeURL would take that back
    assert f"no longer subscribed to {TOPIC}" in caplog.text


def test_while_sns_does_not_answer_it_is_told_to_try_again(amazon: Amazon, receiver: Receiver) -> None:
    amazon.away = True
    for message in (amazon.message(examples.SES_BOUNCE), amazon.confirmation()):
        answer = receiver.post(PATH, amazon.signed(message))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    amazon.away = False
    assert receiver.post(PATH, amazon.signed(amazon.message(examples.SES_BOUNCE))).status_code == 200
    assert len(receiver.topic.events) == 1


def test_a_certificate_is_asked_for_once_a_day(amazon: Amazon, receiver: Receiver) -> None:
    for hours, fetched in ((0, 1), (23, 1), (25, 2)):
        receiver.now = NOW + timedelta(hours=hours)
        at = receiver.now.isoformat().replace("+00:00", "Z")
        assert receiver.post(PATH, amazon.signed(amazon.message("{}", Timestamp=at))).status_code == 200
        assert len(amazon.fetched) == fetched


def test_nobody_can_make_us_ask_for_any_number_of_certificates(amazon: Amazon, receiver: Receiver) -> None:
    def answer(number: int) -> int:
        url = CERTIFICATE_URL.replace(".pem", f"{number}.pem")
        message = amazon.message("{}", SigningCertURL=url) | {"Signature": "AAAA"}
        return receiver.post(PATH, json.dumps(message).encode()).status_code

    assert {answer(number) for number in range(10)} == {403}
    assert {answer(number) for number in range(10, 20)} == {503}
    assert len(amazon.fetched) == 10
    receiver.now += timedelta(minutes=2)
    assert answer(20) == 403


@pytest.mark.parametrize("days", [-1, 366])
def test_a_certificate_that_is_not_valid_now_shows_nothing(days: int) -> None:
    amazon = Amazon(certificate_from=NOW - timedelta(days=days))
    receiver = Receiver(amazon.provider())
    assert receiver.post(PATH, amazon.signed(amazon.message(examples.SES_BOUNCE))).status_code == 403


def test_what_is_no_certificate_shows_nothing(amazon: Amazon, receiver: Receiver) -> None:
    amazon.certificate = b"<html>"
    assert receiver.post(PATH, amazon.signed(amazon.message(examples.SES_BOUNCE))).status_code == 503
