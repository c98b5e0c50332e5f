"""SendGrid's Signed Event Webhook: what is believed, and what each of its events becomes."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from streamnotify.web.webhooks.sendgrid import SIGNATURE, TIMESTAMP
from tests.web.webhooks import examples
from tests.web.webhooks.senders import NOW, OUR_MESSAGE_ID, Receiver, TwilioSendGrid

PATH = "/webhooks/sendgrid"
BODY = json.dumps(examples.SENDGRID).encode()


@pytest.fixture
def sendgrid() -> TwilioSendGrid:
    return TwilioSendGrid()


@pytest.fixture
def receiver(sendgrid: TwilioSendGrid) -> Receiver:
    return Receiver(sendgrid.provider())


def events(sendgrid: TwilioSendGrid, receiver: Receiver, *said: object) -> list[dict[str, Any]]:
    body = json.dumps(said).encode()
    assert receiver.post(PATH, body, sendgrid.headers(body)).status_code == 200
    return receiver.topic.events


def test_an_array_becomes_an_event_for_each_of_its_events(sendgrid: TwilioSendGrid, receiver: Receiver) -> None:
    assert receiver.post(PATH, BODY, sendgrid.headers(BODY)).status_code == 200
    assert [event["event"] for event in receiver.topic.events] == [
        "queued",
        "deferred",
        "delivered",
        "opened",
        "clicked",
        "bounced",
        "rejected",
        "complained",
        "unsubscribed",
        "unsubscribed",
        "subscribed",
    ]
    assert receiver.topic.events[5] == {
        "event": "bounced",
        "message_id": OUR_MESSAGE_ID,
        "email": "example@test.com",
        "at": "2026-03-01T11:39:42Z",
        "bounce_type": "hard",
        "status": "5.0.0",
        "detail": "500 unknown recipient",
        "event_id": "sg_event_id_bounce",
        "source": "sendgrid",
    }


@pytest.mark.parametrize(
    ("fields", "bounce_type", "status"),
    [
        ({"type": "bounce", "status": "5.0.0", "reason": "550 5.1.1 no such user"}, "hard", "5.1.1"),
        ({"type": "blocked", "status": "", "reason": "550 too many mails"}, "soft", None),
        ({"type": "blocked", "status": "5.7.1", "reason": "spam"}, "soft", "5.7.1"),
        ({"type": "blocked", "bounce_classification": "Reputation", "status": "5.0.0"}, "soft", "5.7.0"),
        ({"type": "blocked", "bounce_classification": "Frequency or Volume Too High"}, "soft", "5.7.0"),
        ({"type": "bounce", "bounce_classification": "Content", "reason": "550 5.2.2 full"}, "hard", "5.2.2"),
    ],
)
def test_blocks_are_soft_and_those_that_blame_us_never_count(
    sendgrid: TwilioSendGrid, receiver: Receiver, fields: dict[str, str], bounce_type: str, status: str | None
) -> None:
    [event] = events(sendgrid, receiver, examples.sendgrid_event("bounce", **fields))
    assert (event["bounce_type"], event.get("status")) == (bounce_type, status)


def test_unknown_events_and_fields_are_tolerated_and_events_about_nobody_left_out(
    sendgrid: TwilioSendGrid, receiver: Receiver
) -> None:
    account = {"event": "account_status_change", "type": "compliance_suspend", "timestamp": "1709142428"}
    broken = [{"event": 5}, {"email": "a@example.com"}, "text", None, [], {"event": "bounce", "email": {}}]
    odd = {"event": "teleported", "email": "a@example.com", "timestamp": "1772365182.5", "new": {"field": [1]}}
    never = {"event": "delivered", "email": "b@example.com", "timestamp": 1e300}
    found = events(sendgrid, receiver, account, *broken, odd, never)
    assert [(event["event"], event["email"]) for event in found] == [
        ("unknown", "a@example.com"),
        ("delivered", "b@example.com"),
    ]
    assert "at" not in found[1]


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"[", b"\xff", b"[" * 500_000, b'[{"event": "bounce"'])
def test_what_is_signed_but_no_array_is_answered_400(sendgrid: TwilioSendGrid, receiver: Receiver, body: bytes) -> None:
    assert receiver.post(PATH, body, sendgrid.headers(body)).status_code == 400


def test_a_changed_body_time_or_signature_is_refused(sendgrid: TwilioSendGrid, receiver: Receiver) -> None:
    good = sendgrid.headers(BODY)
    later = {**good, TIMESTAMP: str(int(good[TIMESTAMP]) + 1)}
    for body, headers in (
        (BODY + b" ", good),
        (BODY.replace(b"bounce", b"bounce "), good),
        (BODY, later),
        (BODY, {**good, SIGNATURE: "AAAA"}),
        (BODY, {**good, SIGNATURE: "no base64"}),
        (BODY, {**good, SIGNATURE: good[SIGNATURE][:-4]}),
        (BODY, TwilioSendGrid().headers(BODY)),
    ):
        assert receiver.post(PATH, body, headers).status_code == 403
    assert receiver.topic.events == []
    assert receiver.post(PATH, BODY, good).status_code == 200


def test_an_unsigned_request_is_refused(sendgrid: TwilioSendGrid, receiver: Receiver) -> None:
    good = sendgrid.headers(BODY)
    for headers in ({}, {SIGNATURE: good[SIGNATURE]}, {TIMESTAMP: good[TIMESTAMP]}, {**good, SIGNATURE: ""}):
        assert receiver.post(PATH, BODY, headers).status_code == 403
    assert receiver.topic.events == []


@pytest.mark.parametrize(
    ("later", "answer"),
    [(timedelta(hours=24), 200), (timedelta(hours=26), 403), (-timedelta(minutes=1), 200), (-timedelta(hours=1), 403)],
)
def test_an_old_signature_is_refused_and_so_is_one_of_the_future(
    sendgrid: TwilioSendGrid, receiver: Receiver, later: timedelta, answer: int
) -> None:
    headers = sendgrid.headers(BODY)
    receiver.now = NOW + later
    assert receiver.post(PATH, BODY, headers).status_code == answer


@pytest.mark.parametrize("timestamp", ["soon", "nan", "inf", "-1", "9" * 400])
def test_a_time_that_is_none_is_refused_though_it_is_signed(
    sendgrid: TwilioSendGrid, receiver: Receiver, timestamp: str
) -> None:
    assert receiver.post(PATH, BODY, sendgrid.headers(BODY, timestamp)).status_code == 403
    assert receiver.topic.events == []
