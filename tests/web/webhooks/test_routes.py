"""What holds for every provider's webhook: answers, limits and the log."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

from streamnotify.errors import EngineFailure, StreamnotifyError, TopicsError
from streamnotify.web.webhooks.refusals import RefusalLog, Refused
from streamnotify.web.webhooks.routes import MAX_BYTES, MOST_AT_A_TIME
from streamnotify.wire.feedback import NotificationFeedback
from tests.web.webhooks import examples
from tests.web.webhooks.senders import Receiver, SinchMailgun

PATH = "/webhooks/mailgun"


@pytest.fixture
def mailgun() -> SinchMailgun:
    return SinchMailgun()


@pytest.fixture
def receiver(mailgun: SinchMailgun) -> Receiver:
    return Receiver(mailgun.provider())


@pytest.mark.parametrize(
    "path", ["/webhooks/ses", "/webhooks/sendgrid", "/webhooks/", "/webhooks/mailgun/", "/webhooks/MAILGUN"]
)
def test_a_provider_that_is_not_configured_does_not_exist(mailgun: SinchMailgun, receiver: Receiver, path: str) -> None:
    assert receiver.post(path, mailgun.signed(examples.MAILGUN_FAILED)).status_code in (404, 307)
    assert receiver.topic.events == []


@pytest.mark.parametrize("failure", [EngineFailure("Kafka at kafka-1:9092 is away"), TopicsError("Topic t: unknown")])
def test_without_kafka_the_provider_is_told_to_try_again(
    mailgun: SinchMailgun, receiver: Receiver, failure: StreamnotifyError, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.topic.failure = failure
    answer = receiver.post(PATH, mailgun.signed(examples.MAILGUN_FAILED))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert str(failure) not in answer.text
    assert str(failure) in caplog.text


def test_too_large_a_body_is_not_read(mailgun: SinchMailgun, receiver: Receiver) -> None:
    most = mailgun.signed(examples.mailgun_event("failed", pad="x" * (MAX_BYTES - 2000)))
    assert receiver.post(PATH, most).status_code == 200
    assert receiver.post(PATH, b" " * (MAX_BYTES + 1)).status_code == 413


def test_a_refusal_tells_nothing_and_is_logged_once_a_minute(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    answers = [receiver.post(PATH, b"{}") for _ in range(5)]
    assert {(answer.status_code, answer.text) for answer in answers} == {(403, "refused\n")}
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert lines == ["Webhook mailgun: answered 403, it is not signed as Mailgun does"]


def test_the_log_counts_what_it_does_not_say(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    refusals = RefusalLog("ses", lambda: now)
    for now in (0.0, 1.0, 59.0, 60.0, 61.0, 200.0):  # noqa: B007 - the clock above reads it
        refusals.note(Refused("it is forged"))
    assert [record.getMessage() for record in caplog.records] == [
        "Webhook ses: answered 403, it is forged",
        "Webhook ses: answered 403, it is forged (2 more since the last such line)",
        "Webhook ses: answered 403, it is forged (1 more since the last such line)",
    ]


def test_few_requests_are_under_way_at_a_time_and_the_others_are_told_to_come_again(
    mailgun: SinchMailgun, receiver: Receiver
) -> None:
    """They wait for Kafka in the threads that the pages need, too."""
    let_go, begun = threading.Event(), threading.Semaphore(0)

    def slow(_: Sequence[NotificationFeedback]) -> None:
        begun.release()
        assert let_go.wait(60)

    receiver.topic.put = slow  # type: ignore[assignment, method-assign]

    async def answers() -> list[int]:
        transport = httpx.ASGITransport(receiver.app)
        async with httpx.AsyncClient(transport=transport, base_url="https://notify.example.com") as client:

            def post() -> Any:
                return client.post(PATH, content=mailgun.signed(examples.MAILGUN_FAILED))

            waiting = [asyncio.ensure_future(post()) for _ in range(MOST_AT_A_TIME)]
            for _ in range(MOST_AT_A_TIME):
                assert await asyncio.to_thread(begun.acquire, timeout=60)
            one_more = await post()
            let_go.set()
            return [one_more.status_code, *(each.status_code for each in await asyncio.gather(*waiting))]

    assert asyncio.run(answers()) == [503, *[200] * MOST_AT_A_TIME]
    assert receiver.post(PATH, mailgun.signed(examples.MAILGUN_FAILED)).status_code == 200


def test_what_is_not_about_the_event_is_left_alone(mailgun: SinchMailgun, receiver: Receiver) -> None:
    body = json.loads(mailgun.signed(examples.MAILGUN_FAILED)) | {"parent-signature": {"token": 1}}
    assert receiver.post(PATH, json.dumps(body).encode()).status_code == 200
