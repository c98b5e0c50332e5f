"""From a mail to its recipient's pages and back, on real Kafka: worker and web are processes of their own."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from urllib.parse import urlsplit

import httpx
import pytest

from streamnotify.devtools.kafka import EmbeddedKafka
from tests.e2e.product import APP, MailServer, Product, a_running_product
from tests.web.filled_forms import shown, switch_of
from tests.web.mailed_site import notifications_url, preferences_url
from tests.web.web_process import ENVIRONMENT, WebProcess

ANN = "ann@example.org"
LINKS = {name: ENVIRONMENT[name] for name in ("STREAMNOTIFY_PUBLIC_URL", "STREAMNOTIFY_SECRET")}


@pytest.fixture(scope="module")
def product(
    kafka: EmbeddedKafka, shared_mail_server: MailServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Product]:
    directory, port = tmp_path_factory.mktemp("pages"), shared_mail_server.port
    with a_running_product(kafka, directory, port, **LINKS, STREAMNOTIFY_DIGEST_WINDOW="3s") as running:
        yield running


@pytest.fixture(scope="module")
def web(product: Product, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebProcess]:
    process = WebProcess(
        tmp_path_factory.mktemp("web"),
        **ENVIRONMENT,
        KAFKA_BOOTSTRAP_SERVERS=product.bootstrap_servers,
        STREAMNOTIFY_TOPIC_PREFIX=product.prefix,
        STREAMNOTIFY_APP_ID=APP,
    )
    yield process
    process.end(signal.SIGKILL)


def ends(product: Product, task_id: str) -> None:
    """A run of Ann's ends."""
    event = {"task_name": "import", "task_id": task_id, "status": "Completed", "notify": {"email": ANN}}
    product.publish(event, key=task_id)
    product.flush()


def page_with(web: WebProcess, url: str, is_wanted: Callable[[httpx.Response], bool]) -> httpx.Response:
    """The page a link leads to, once the read model has come so far."""
    until = time.monotonic() + 60
    while not is_wanted(page := httpx.get(web.origin() + urlsplit(url).path)):
        assert page.status_code == 200
        assert time.monotonic() < until, page.text
        time.sleep(0.1)
    return page


def suppressed(product: Product) -> list[str]:
    return [status["reason"] for status in product.statuses() if status["status"] == "suppressed"]


def test_mails_lead_to_pages_that_know_what_was_mailed_and_change_what_is_mailed_next(
    product: Product, web: WebProcess, shared_mail_server: MailServer
) -> None:
    for number in range(12):
        ends(product, f"run-{number}")

    def digests() -> list[EmailMessage]:
        mails = shared_mail_server.mails_to(ANN)
        return [mail for mail in mails if "task notifications" in str(mail["Subject"])]

    product.wait_for(lambda: digests() != [], 60)
    [digest] = digests()
    total = int(str(digest["Subject"]).split(" — ")[1].split()[0])
    url = notifications_url(digest)
    listed = page_with(web, url, lambda page: "Still collecting" not in page.text)
    assert f"<h1>{total} notifications</h1>" in listed.text
    assert listed.text.count("Task ID: ") == listed.text.count(">Completed<") == total

    preferences = preferences_url(digest)
    page = page_with(web, preferences, lambda page: "cannot look up" not in page.text)
    form = shown(page)
    del form[switch_of(page, "Task results")]
    saved = httpx.post(web.origin() + urlsplit(preferences).path, data=form)
    assert "Off: Task results." in saved.text
    ends(product, "refused")
    product.wait_for(lambda: suppressed(product) == ["opted_out_kind"], 30)

    page = page_with(web, preferences, lambda page: switch_of(page, "Task results") not in shown(page))
    on = shown(page) | {switch_of(page, "Task results"): "on", "digest": "0s"}
    assert "On again: Task results." in httpx.post(web.origin() + urlsplit(preferences).path, data=on).text
    before = len(shared_mail_server.mails_to(ANN))
    for number in range(3):
        ends(product, f"at-once-{number}")
    product.wait_for(lambda: len(shared_mail_server.mails_to(ANN)) == before + 3, 30)
    assert urlsplit(preferences).path not in web.log
