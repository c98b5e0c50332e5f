"""Posts while Kafka does not answer: each waits in a thread, and must leave some to those who only read."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from itertools import islice

import httpx
import pytest

from streamnotify.web.api.application import api_application
from streamnotify.web.api.limits import Limit
from streamnotify.web.api.publishing import MOST_AT_A_TIME
from streamnotify.web.api.token_file import TokenFile
from tests.web.api.api_site import ORIGIN, ApiSite

POSTS = 100  # more than there are threads
EVENT = {"task_name": "nightly-report", "status": "Completed"}


class MuteTopic:
    """Takes nothing until it is told to; then all."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.waiting = 0
        self.most = 0
        self.full = threading.Event()
        self._lock = threading.Lock()

    def put(self, records: Sequence[tuple[str, bytes]]) -> None:
        """See EventTopic."""
        with self._lock:
            self.waiting += 1
            self.most = max(self.most, self.waiting)
            if self.waiting == MOST_AT_A_TIME:
                self.full.set()
        assert self.answers.wait(60)
        with self._lock:
            self.waiting -= 1


@pytest.fixture
def topic() -> MuteTopic:
    return MuteTopic()


def posted_and_read(site: ApiSite, topic: MuteTopic, patience: timedelta, *, all_have_a_turn: bool) -> Counter[int]:
    """How very many posts are answered at once; meanwhile something is read."""
    app = api_application(
        TokenFile(site.file), topic, site.copy.answers, patience=patience, per_token=Limit(1000, 1000)
    )
    headers = {"Authorization": f"Bearer {site.secret}"}

    async def run() -> Counter[int]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers) as client:
            posts = [asyncio.create_task(client.post("/task-events", json=EVENT)) for _ in range(POSTS)]
            try:
                assert await asyncio.to_thread(topic.full.wait, 30)
                read = await asyncio.wait_for(client.get("/tasks"), 30)
                assert read.status_code == 200
                for refused in islice(asyncio.as_completed(posts), 0 if all_have_a_turn else POSTS - MOST_AT_A_TIME):
                    assert (await refused).status_code == 503
            finally:
                topic.answers.set()
            return Counter([(await post).status_code for post in posts])

    return asyncio.run(run())


def test_reads_are_answered_while_kafka_does_not_answer_posts(site: ApiSite, topic: MuteTopic) -> None:
    assert posted_and_read(site, topic, timedelta(minutes=1), all_have_a_turn=True) == {202: POSTS}
    assert topic.most == MOST_AT_A_TIME


def test_a_post_whose_turn_does_not_come_is_to_come_again(site: ApiSite, topic: MuteTopic) -> None:
    assert posted_and_read(site, topic, timedelta(milliseconds=50), all_have_a_turn=False) == {
        202: MOST_AT_A_TIME,
        503: POSTS - MOST_AT_A_TIME,
    }
