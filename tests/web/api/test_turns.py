"""Many posts at a time, and posts while Kafka does not answer: they leave threads and memory to those who only read."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from itertools import islice
from pathlib import Path

import httpx
import pytest

from streamnotify.web.api.application import api_application
from streamnotify.web.api.limits import Limit
from streamnotify.web.api.publishing import MOST_AT_A_TIME, MOST_LOOKED_AT
from streamnotify.web.api.token_file import TokenFile
from streamnotify.web.read_model.answers import Run
from streamnotify.web.read_model.queries import ReadModel
from tests.web.api.api_site import ORIGIN, ApiSite

POSTS = 100  # more than there are threads
EVENT = {"task_name": "nightly-report", "status": "Completed"}


class Gate:
    """Holds up those who come to it until it is opened; ``full`` is set once there are as many as is allowed."""

    def __init__(self, allowed: int) -> None:
        self._allowed = allowed
        self._lock = threading.Lock()
        self.opened = threading.Event()
        self.full = threading.Event()
        self.inside = 0
        self.most = 0

    def pass_through(self) -> None:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
            if self.inside == self._allowed:
                self.full.set()
        assert self.opened.wait(60)
        with self._lock:
            self.inside -= 1


class MuteTopic:
    """Takes nothing until its gate is opened; then all."""

    def __init__(self) -> None:
        self.gate = Gate(MOST_AT_A_TIME)

    def put(self, records: Sequence[tuple[str, bytes]]) -> None:
        """See EventTopic."""
        self.gate.pass_through()


class SlowModel(ReadModel):
    """Does not say whose a run is until its gate is opened, and so nobody is done with looking at an event."""

    gate: Gate

    def run(self, task_id: str, *, organization: str | None, task_name: str | None = None) -> Run | None:
        """See ReadModel."""
        self.gate.pass_through()
        return None


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
                assert await asyncio.to_thread(topic.gate.full.wait, 30)
                read = await asyncio.wait_for(client.get("/tasks"), 30)
                assert read.status_code == 200
                for refused in islice(asyncio.as_completed(posts), 0 if all_have_a_turn else POSTS - MOST_AT_A_TIME):
                    assert (await refused).status_code == 503
            finally:
                topic.gate.opened.set()
            return Counter([(await post).status_code for post in posts])

    return asyncio.run(run())


def test_reads_are_answered_while_kafka_does_not_answer_posts(site: ApiSite, topic: MuteTopic) -> None:
    assert posted_and_read(site, topic, timedelta(minutes=1), all_have_a_turn=True) == {202: POSTS}
    assert topic.gate.most == MOST_AT_A_TIME


def test_a_post_whose_turn_does_not_come_is_to_come_again(site: ApiSite, topic: MuteTopic) -> None:
    assert posted_and_read(site, topic, timedelta(milliseconds=50), all_have_a_turn=False) == {
        202: MOST_AT_A_TIME,
        503: POSTS - MOST_AT_A_TIME,
    }


def test_only_few_bodies_are_looked_at_at_a_time(site: ApiSite, tmp_path: Path) -> None:
    """Each may take fifty times as much memory as it has bytes."""
    model = SlowModel(tmp_path / "none")
    model.gate = gate = Gate(MOST_LOOKED_AT)
    app = api_application(TokenFile(site.file), site.topic, model)
    headers = {"Authorization": f"Bearer {site.secret}"}

    async def run() -> None:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers) as client:
            posts = [asyncio.create_task(client.post("/task-events", json=EVENT | {"task_id": "1"})) for _ in range(20)]
            try:
                assert await asyncio.to_thread(gate.full.wait, 30)
                for _ in range(10):  # meanwhile others would have come in
                    assert (await client.get("/status")).status_code == 200
            finally:
                gate.opened.set()
            assert {(await post).status_code for post in posts} == {202}

    asyncio.run(run())
    assert gate.most == MOST_LOOKED_AT
