"""Mailgun's webhooks: what is believed, and what each of its events becomes."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from streamnotify.errors import EngineFailure
from tests.web.webhooks import examples
from tests.web.webhooks.senders import NOW, OUR_MESSAGE_ID, Receiver, SinchMailgun

PATH = "/webhooks/mailgun"


@pytest.fixture
def mailgun() -> SinchMailgun:
    return SinchMailgun()


@pytest.fixture
def receiver(mailgun: SinchMailgun) -> Receiver:
    return Receiver(mailgun.provider())


def event_of(mailgun: SinchMailgun, receiver: Receiver, said: object) -> dict[str, Any]:
    assert receiver.post(PATH, mailgun.signed(said)).status_code == 200
    return receiver.topic.events[-1]


def test_a_permanent_failure_is_a_bounce(mailgun: SinchMailgun, receiver: Receiver) -> None:
    event = event_of(mailgun, receiver, examples.MAILGUN_FAILED)
    assert event == {
        "event": "bounced",
        "message_id": OUR_MESSAGE_ID.strip("<>"),
        "email": "alice@example.com",
        "at": "2026-03-01T11:39:42.546975Z",
        "bounce_type": "hard",
        "status": "5.1.1",
        "detail": "5.1.1 The email account that you tried to reach does not exist. Please try 5.1.1 again",
        "event_id": f"{1:050x}",
        "source": "mailgun",
    }


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (examples.mailgun_event("accepted"), "queued"),
        (examples.mailgun_event("delivered", **{"delivery-status": {"code": 250, "message": "OK"}}), "delivered"),
        (examples.MAILGUN_DELAYED, "deferred"),
        (examples.mailgun_event("failed", severity="permanent", reason="suppress-bounce"), "rejected"),
        (examples.mailgun_event("complained"), "complained"),
        (examples.mailgun_event("unsubscribed"), "unsubscribed"),
        (examples.mailgun_event("opened", **{"client-info": {"client-os": "Linux"}}), "opened"),
        (examples.mailgun_event("clicked", url="http://mailgun.com"), "clicked"),
        (examples.mailgun_event("stored", storage=[1, {"x": None}]), "unknown"),
    ],
)
def test_every_kind_of_event_is_known_and_an_unknown_one_tolerated(
    mailgun: SinchMailgun, receiver: Receiver, said: object, expected: str
) -> None:
    event = event_of(mailgun, receiver, said)
    assert (event["event"], event["email"]) == (expected, "alice@example.com")


def test_of_a_rejected_mail_the_address_stands_in_its_header(mailgun: SinchMailgun, receiver: Receiver) -> None:
    event = event_of(mailgun, receiver, examples.MAILGUN_REJECTED)
    assert (event["event"], event["email"]) == ("rejected", "alice@example.com")
    assert event["detail"] == "Sandbox subdomains are for tests"


@pytest.mark.parametrize(
    ("reason", "delivery", "bounce_type", "status"),
    [
        ("bounce", {"enhanced-code": "5.1.10", "code": 550}, "hard", "5.1.10"),
        ("bounce", {"bounce-type": "soft", "message": "552 5.2.2 full"}, "soft", "5.2.2"),
        ("generic", {"bounce-type": "hard"}, "hard", None),
        ("old", {"message": "Too old"}, "soft", None),
        ("espblock", {"message": "blocked"}, "soft", "5.7.0"),
        ("bounce", None, "hard", None),
    ],
)
def test_only_what_says_so_is_a_hard_bounce(
    mailgun: SinchMailgun,
    receiver: Receiver,
    reason: str,
    delivery: dict[str, Any] | None,
    bounce_type: str,
    status: str | None,
) -> None:
    said = examples.mailgun_event("failed", severity="permanent", reason=reason, **{"delivery-status": delivery})
    event = event_of(mailgun, receiver, said)
    assert (event["event"], event["bounce_type"], event.get("status")) == ("bounced", bounce_type, status)


@pytest.mark.parametrize("said", [None, [], 5, {}, {"event": 5}, {"event": "failed", "message": []}])
def test_what_is_signed_but_no_event_is_answered_400(mailgun: SinchMailgun, receiver: Receiver, said: object) -> None:
    assert receiver.post(PATH, mailgun.signed(said)).status_code == 400


def test_a_wrong_signature_is_refused(mailgun: SinchMailgun, receiver: Receiver) -> None:
    good = json.loads(mailgun.signed(examples.MAILGUN_FAILED))
    signature = good["signature"]
    for forged in (
        {**signature, "signature": "0" * 64},
        {**signature, "signature": ""},
        {**signature, "signature": "é"},
        {**signature, "timestamp": str(int(signature["timestamp"]) + 1)},
        {**signature, "token": signature["token"][:-1]},
    ):
        body = json.dumps({**good, "signature": forged}).encode()
        assert receiver.post(PATH, body).status_code == 403
    assert receiver.post(PATH, SinchMailgun("another key").signed(examples.MAILGUN_FAILED)).status_code == 403
    assert receiver.topic.events == []
    assert receiver.post(PATH, json.dumps(good).encode()).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"null",
        b"[" * 500_000,
        b'{"event-data": {"event": "failed"}}',
        b'{"signature": {"timestamp": 1, "token": "t", "signature": "s"}, "event-data": {}}',
        b"timestamp=1772366400&token=t&signature=s&event=bounced",
    ],
)
def test_an_unsigned_request_is_refused(receiver: Receiver, body: bytes) -> None:
    assert receiver.post(PATH, body).status_code == 403
    assert receiver.topic.events == []


@pytest.mark.parametrize(
    ("later", "answer"),
    [(timedelta(hours=8), 200), (timedelta(hours=10), 403), (-timedelta(minutes=1), 200), (-timedelta(hours=1), 403)],
)
def test_an_old_signature_is_refused_and_so_is_one_of_the_future(
    mailgun: SinchMailgun, receiver: Receiver, later: timedelta, answer: int
) -> None:
    body = mailgun.signed(examples.MAILGUN_FAILED)
    receiver.now = NOW + later
    assert receiver.post(PATH, body).status_code == answer


def test_a_signature_is_good_for_one_event(mailgun: SinchMailgun, receiver: Receiver) -> None:
    """It does not cover the event, so whoever has seen it could send anything."""
    body = mailgun.signed(examples.MAILGUN_FAILED)
    stolen = json.loads(body)
    stolen["event-data"]["recipient"] = "victim@example.com"
    assert receiver.post(PATH, body).status_code == 200
    assert receiver.post(PATH, json.dumps(stolen).encode()).status_code == 406
    assert receiver.post(PATH, body).status_code == 406
    assert [event["email"] for event in receiver.topic.events] == ["alice@example.com"]


def test_an_event_that_kafka_did_not_take_may_come_again(mailgun: SinchMailgun, receiver: Receiver) -> None:
    body = mailgun.signed(examples.MAILGUN_FAILED)
    receiver.topic.failure = EngineFailure("Kafka is away")
    assert [receiver.post(PATH, body).status_code for _ in range(2)] == [503, 503]
    receiver.topic.failure = None
    assert [receiver.post(PATH, body).status_code for _ in range(2)] == [200, 406]
    assert len(receiver.topic.events) == 1


def test_tokens_are_forgotten_when_their_signatures_are_too_old(
    mailgun: SinchMailgun, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamnotify.web.webhooks.mailgun._MOST_TOKENS", 3)
    bodies = [mailgun.signed(examples.MAILGUN_FAILED, NOW + timedelta(seconds=second)) for second in range(5)]
    assert [receiver.post(PATH, body).status_code for body in bodies] == [200] * 5
    # Two had to go before their time: what is as old as they are is not taken any more.
    assert [receiver.post(PATH, body).status_code for body in bodies] == [406] * 5
    receiver.now += timedelta(hours=10)
    assert receiver.post(PATH, mailgun.signed(examples.MAILGUN_FAILED, receiver.now)).status_code == 200
