"""A topic for each module of tests, and a publisher to it for this process."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing

import pytest

from streamnotify import sdk
from streamnotify.devtools.kafka import EmbeddedKafka
from tests.adapters.published import Published


@pytest.fixture(scope="module")
def published(kafka: EmbeddedKafka) -> Iterator[Published]:
    """What this module's tests publish."""
    with closing(Published(kafka.bootstrap_servers, f"adapters{uuid.uuid4().hex[:10]}.")) as events:
        yield events


@pytest.fixture(scope="module")
def publisher(published: Published) -> Iterator[sdk.Publisher]:
    """The default publisher of this process, as a web process that enqueues tasks would have it."""
    before = sdk.default_publisher()
    with closing(sdk.Publisher(sdk.PublisherConfig.from_environment(published.env))) as made:
        sdk.set_default_publisher(made)
        yield made
        sdk.set_default_publisher(before)
