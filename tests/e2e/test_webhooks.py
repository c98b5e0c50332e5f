"""A provider's call through the whole product: a mail that bounced is the last one to its address."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from streamnotify.devtools.kafka import EmbeddedKafka
from tests.e2e.product import APP, MailServer, Product, a_running_product
from tests.web.web_process import ENVIRONMENT, WebProcess
from tests.web.webhooks.examples import mailgun_event, sendgrid_event
from tests.web.webhooks.senders import MAILGUN_KEY, SinchMailgun, TwilioSendGrid


@pytest.fixture(scope="module")
def product(
    kafka: EmbeddedKafka, shared_mail_server: MailServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Product]:
    with a_running_product(kafka, tmp_path_factory.mktemp("webhooks"), shared_mail_server.port) as running:
        yield running


@pytest.fixture(scope="module")
def sendgrid() -> TwilioSendGrid:
    return TwilioSendGrid()


@pytest.fixture(scope="module")
def web(product: Product, sendgrid: TwilioSendGrid, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebProcess]:
    directory = tmp_path_factory.mktemp("web")
    secret = directory / "mailgun-key"
    secret.write_text(MAILGUN_KEY + "\n")
    process = WebProcess(
        directory,
        **ENVIRONMENT,
        KAFKA_BOOTSTRAP_SERVERS=product.bootstrap_servers,
        STREAMNOTIFY_TOPIC_PREFIX=product.prefix,
        STREAMNOTIFY_APP_ID=APP,
        STREAMNOTIFY_WEBHOOK_MAILGUN_KEY_FILE=str(secret),
        STREAMNOTIFY_WEBHOOK_SENDGRID_KEY=sendgrid.verification_key,
    )
    yield process
    process.end(signal.SIGKILL)


def mailed(product: Product, task_id: str, email: str) -> str:
    """What became of the mail about a task, once that is decided."""

    def ends() -> list[dict[str, Any]]:
        found = [status for status in product.statuses() if status.get("task_id") == task_id]
        return [status for status in found if status["status"] in ("sent", "suppressed")]

    event = {"task_name": "t", "task_id": task_id, "status": "Completed", "notify": {"email": email}}
    product.publish(event, key=task_id)
    product.flush()
    product.wait_for(lambda: ends() != [], 30)
    return str(ends()[0]["status"])


def bounced(product: Product) -> list[str]:
    return [status["notification_id"] for status in product.statuses() if status["status"] == "bounced"]


@pytest.mark.parametrize("provider", ["mailgun", "sendgrid"])
def test_a_bounce_is_recorded_with_its_notification_and_no_other_mail_goes_to_the_address(
    product: Product, web: WebProcess, sendgrid: TwilioSendGrid, shared_mail_server: MailServer, provider: str
) -> None:
    ann = f"ann.{provider}@example.org"
    assert mailed(product, f"{provider}-before", ann) == "sent"
    [mail] = shared_mail_server.mails_to(ann)
    message_id, now = str(mail["Message-ID"]), datetime.now(UTC)
    at = {"timestamp": now.timestamp()}
    if provider == "mailgun":
        failed = mailgun_event("failed", severity="permanent", reason="bounce", recipient=ann, **at)
        failed["message"]["headers"]["message-id"] = message_id.strip("<>")
        body, headers = SinchMailgun().signed(failed, now), {}
    else:
        body = httpx.Request(
            "POST", "x:", json=[sendgrid_event("bounce", **at, email=ann, **{"smtp-id": message_id})]
        ).content
        headers = sendgrid.headers(body, str(int(now.timestamp())))
    url = f"{web.origin()}/mails/webhooks/{provider}"
    assert httpx.post(url, content=body[:-1] + b" ", headers=headers).status_code == 403
    assert httpx.post(url, content=body, headers=headers).status_code == 200
    product.wait_for(lambda: mail["X-Notification-ID"] in bounced(product), 30)
    product.wait_for(lambda: mailed(product, f"{provider}-{datetime.now(UTC):%f}", ann) == "suppressed", 30)


def test_a_provider_that_the_settings_do_not_name_is_not_found(web: WebProcess) -> None:
    assert httpx.post(f"{web.origin()}/mails/webhooks/ses", content=b"{}").status_code == 404
    assert MAILGUN_KEY not in web.log
