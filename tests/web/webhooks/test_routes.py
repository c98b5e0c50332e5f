"""What holds for every provider's webhook: answers, limits and the log."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from streamnotify.errors import EngineFailure, StreamnotifyError, TopicsError
from streamnotify.web.webhooks.refusals import RefusalLog, Refused
from streamnotify.web.webhooks.routes import MAX_BYTES, MOST_AT_A_TIME, SWITCHES
from streamnotify.wire.feedback import NotificationFeedback
from tests.web.browsing import Site
from tests.web.web_process import ENVIRONMENT, WebProcess
from tests.web.webhooks import examples
from tests.web.webhooks.senders import Receiver, SinchMailgun, TwilioSendGrid

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
    answer = receiver.post(path, mailgun.signed(examples.MAILGUN_FAILED))
    assert (answer.status_code, answer.text) == (404, "Not Found\n")
    assert answer.headers["content-type"].startswith("text/plain")
    assert receiver.topic.events == []


@pytest.mark.parametrize("name", ["ses", "sendgrid", "mailgun"])
def test_the_log_says_once_a_minute_which_setting_a_provider_lacks(name: str, caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver()
    for _ in range(3):
        receiver.post(f"/webhooks/{name}", b"{}")
    receiver.post("/webhooks/whatever-somebody-writes", b"{}")
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert lines == [f"Webhook {name}: answered 404, {SWITCHES[name]} is not set"]


@pytest.mark.parametrize("name", ["mailgun", "sendgrid"])
def test_another_method_is_refused_in_plain_text(receiver: Receiver, name: str) -> None:
    answer = receiver.post(f"/webhooks/{name}", b"", method="GET")
    assert (answer.status_code, answer.text, answer.headers["allow"]) == (405, "Method Not Allowed\n", "POST")


def test_answers_are_plain_below_the_path_of_the_pages_too(mailgun: SinchMailgun, receiver: Receiver) -> None:
    site = Site("https://notify.example.com/mails", webhooks=receiver.webhooks.app)
    for method, name, status in (("POST", "ses", 404), ("GET", "mailgun", 405), ("POST", "mailgun", 200)):
        url = f"https://notify.example.com/mails/webhooks/{name}"
        answer = site.request(method, url, content=mailgun.signed(examples.MAILGUN_FAILED))
        assert answer.status_code == status
        assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("given", [{}, {"sendgrid": TwilioSendGrid().verification_key, "mailgun": "key"}])
def test_the_start_says_which_are_on(given: dict[str, str], tmp_path: Path) -> None:
    settings = {SWITCHES[name]: value for name, value in given.items()}
    process = WebProcess(tmp_path, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1", **ENVIRONMENT, **settings)
    try:
        process.origin()
        assert f"Webhooks that are on: {', '.join(given) or 'none'} " in process.log
    finally:
        process.end(signal.SIGKILL)


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
