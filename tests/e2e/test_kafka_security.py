"""The product on a Kafka that wants logins or certificates and allows only what docs/kafka-security.md lists."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from streamnotify.stream.worker import EXIT_FAILED
from tests.e2e.product import APP, MailServer, Product
from tests.secured_kafka import PASSWORD, SecuredKafka
from tests.web.web_process import WebProcess

PAGE = Path(__file__).parents[2] / "docs" / "kafka-security.md"
USERS = ("worker", "publisher", "web", "operator", "nobody")


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    with SecuredKafka(tmp_path_factory.mktemp("secured"), USERS) as made:
        yield made


@pytest.fixture(scope="module")
def relay() -> Iterator[MailServer]:
    with closing(MailServer()) as made:
        yield made


@pytest.fixture(scope="module")
def product(secured: SecuredKafka, relay: MailServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """Topics, and the ACLs of the page; no worker yet."""
    made = Product(secured.unsecured, f"sec{uuid.uuid4().hex[:8]}", tmp_path_factory.mktemp("product"), relay.port)
    for who, resource, name, operations in re.findall(
        r"^\| (\w+) \| ([A-Z_]+) \| `(.+)` \| (.+) \|$", PAGE.read_text(), re.MULTILINE
    ):
        full = name.replace("<prefix>", made.prefix).replace("<app>", f"{made.prefix}{APP}")
        secured.allow(who, resource, full, operations.split())
    yield made
    made.close()


def command(
    product: Product, env: Mapping[str, str], *arguments: str, given: str = ""
) -> subprocess.CompletedProcess[str]:
    """What a command says and how it ends, as somebody else than the tests."""
    return subprocess.run(
        [sys.executable, "-m", "streamnotify", *arguments],
        env={**os.environ, **product.env, **env},
        input=given,
        capture_output=True,
        text=True,
        cwd=product.directory,
        check=False,
        timeout=120,
    )


def test_workers_publisher_and_commands_need_no_more_than_the_page_lists(
    secured: SecuredKafka, product: Product, relay: MailServer
) -> None:
    """One worker with a password, one with a certificate, in one group; the event comes from the SDK."""
    env = secured.scram("worker")
    password = product.directory / "password"
    password.write_text(env.pop("KAFKA_SASL_PASSWORD") + "\n")
    product.start(1, **env, KAFKA_SASL_PASSWORD_FILE=str(password), STREAMNOTIFY_INSTANCE_ID="worker-1")
    product.wait_until_running(1)
    product.start(2, **secured.mutual("worker"))
    product.wait_until_running(2)
    done = command(
        product, secured.scram("publisher"), "run", "--task", "backup", "--email", "ann@example.com", "--", "true"
    )
    assert (done.returncode, done.stderr) == (0, "")
    product.wait_for(lambda: len(relay.mails_to("ann@example.com")) == 1)
    assert command(product, secured.mutual("operator"), "topics", "diff").returncode == 0
    asked = command(product, secured.scram("operator"), "runs", "backup", "--json")
    assert '"status": "Completed"' in asked.stdout, asked.stderr
    why = command(product, secured.scram("operator"), "why", "--to", "ann@example.com")
    assert "sent" in why.stdout, why.stderr
    assert [product.stop(worker) for worker in (1, 2)] == [0, 0]


def web_process(product: Product, directory: Path, env: Mapping[str, str]) -> WebProcess:
    """``streamnotify web``, as somebody."""
    own = {
        "STREAMNOTIFY_DATA_DIR": str(directory / "data"),
        "STREAMNOTIFY_PUBLIC_URL": "http://127.0.0.1/",
        "STREAMNOTIFY_SECRET": "a secret for tests only",
        "STREAMNOTIFY_HTTP_BIND": "127.0.0.1:0",
    }
    return WebProcess(directory, **{**product.env, **env, **own})


def test_web_follows_the_topics_with_no_more_than_the_page_lists(
    secured: SecuredKafka, product: Product, tmp_path: Path
) -> None:
    web = web_process(product, tmp_path, secured.scram("web"))
    try:
        product.wait_for(lambda: "Read model: up to date" in web.log)
        known = httpx.get(f"{web.origin()}/readyz").json()["read_model"]
    finally:
        web.end(signal.SIGKILL)
    assert known["behind_records"] == 0
    assert "[error" not in web.log


def test_web_says_once_why_it_is_not_let_in_and_serves(secured: SecuredKafka, product: Product, tmp_path: Path) -> None:
    web = web_process(product, tmp_path, secured.scram("web", PASSWORD + "!"))
    try:
        product.wait_for(lambda: "the login of web fails (KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD)" in web.log)
        assert httpx.get(f"{web.origin()}/readyz").status_code == 200
    finally:
        assert web.end() == 0
    assert web.log.count("does not let us in") == 1


@pytest.mark.parametrize(
    ("who", "said"),
    [
        (
            "wrong password",
            r"does not let us in: the login of worker fails \(KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD\): ",
        ),
        ("expired certificate", r"does not let us in: our certificate has expired on 20.* \(KAFKA_SSL_CERTFILE "),
        ("unknown authority", r"does not let us in: TLS fails \(KAFKA_SSL_CAFILE, .*certificate verify failed"),
        ("missing ACL", r"does not allow us this for topic .*task-events: .*; docs/kafka-security.md lists the ACLs"),
    ],
)
def test_who_is_not_let_in_reads_one_line_that_names_the_setting(
    secured: SecuredKafka, product: Product, who: str, said: str, tmp_path: Path
) -> None:
    """The worker too: its engine process ends with the code that has it started again, later each time."""
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    env = {
        "wrong password": secured.scram("worker", PASSWORD + "!"),
        "expired certificate": secured.mutual("worker", expired=True),
        "unknown authority": {**secured.scram("worker"), "KAFKA_SSL_CAFILE": str(SecuredKafka(stranger, ()).ca_file)},
        "missing ACL": secured.scram("nobody"),
    }[who]
    done = command(product, env, "topics", "diff")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert re.search(said, line)
    engine = subprocess.run(
        [sys.executable, "-m", "streamnotify.cli.engine"],
        env={**product.env, **env, "STREAMNOTIFY_DATA_DIR": str(tmp_path / "state")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert engine.returncode == EXIT_FAILED
    (line,) = (engine.stdout + engine.stderr).splitlines()
    assert re.search(rf"Cannot start: .*{said}", line)
