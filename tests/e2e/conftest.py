"""The product on the shared broker, with an SMTP server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from streamnotify.devtools.kafka import EmbeddedKafka
from tests.e2e.product import MailServer, Product
from tests.e2e.threaded_relay import ThreadedRelay


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    """A real SMTP server on a free port."""
    with closing(MailServer()) as server:
        yield server


@pytest.fixture(scope="module")
def shared_mail_server() -> Iterator[MailServer]:
    """One for all tests of a module."""
    with closing(MailServer()) as server:
        yield server


@pytest.fixture
def product(kafka: EmbeddedKafka, unique: str, tmp_path: Path, mail_server: MailServer) -> Iterator[Product]:
    """A deployment with its topics, no worker yet."""
    made = Product(kafka.bootstrap_servers, f"e2e{unique}", tmp_path, mail_server.port)
    yield made
    made.close()


@pytest.fixture
def relay(product: Product) -> Iterator[ThreadedRelay]:
    """In the place of the SMTP server: on the port the product's workers send to."""
    made = ThreadedRelay(product.new_relay_port())
    yield made
    made.end()
