"""What can be posted: task events, and the request for a test mail."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from streamnotify.errors import EngineFailure, TopicsError
from streamnotify.web.api import test_mail
from streamnotify.web.api.access import Access, caller
from streamnotify.web.api.answers import as_json
from streamnotify.web.api.event_topic import EventTopic
from streamnotify.web.api.events import posted
from streamnotify.web.api.examples import EVENT, EVENTS, TEST_MAIL
from streamnotify.web.api.json_bodies import json_of, json_text_of, value_of
from streamnotify.web.api.problems import unavailable
from streamnotify.web.api.routes import Routes
from streamnotify.web.api.tokens import Scope
from streamnotify.web.read_model.queries import ReadModel
from streamnotify.wire.reading import MAX_RECORD_BYTES

log = logging.getLogger(__name__)

MOST_BYTES = MAX_RECORD_BYTES  # of a request, as of a record
MOST_AT_A_TIME = 16  # requests that wait for Kafka; so they leave threads to those who read, and to the pages
MOST_LOOKED_AT = 2  # requests at a time: each may take 100 MB meanwhile, and more are not faster
PATIENCE = timedelta(seconds=5)  # of those that wait for their turn
_EVENT = {"$ref": "#/components/schemas/TaskEvent"}
_EVENTS: dict[str, Any] = {
    "schema": {"oneOf": [_EVENT, {"type": "array", "items": _EVENT, "minItems": 1, "maxItems": 1000}]},
    "examples": {"one": {"value": EVENT}, "many": {"value": EVENTS}},
}
_TEST_MAIL: dict[str, Any] = {
    "schema": {"$ref": "#/components/schemas/TestMailRequest"},
    "examples": {"message": {"value": TEST_MAIL}},
}


class Publishing:
    """The routes of the scope publish, on ``router``.

    Args:
        topic: takes the events.
        model: knows whose runs there are.
        access: lets callers in.
        patience: how long a request may wait for its turn.
    """

    def __init__(self, topic: EventTopic, model: ReadModel, access: Access, patience: timedelta = PATIENCE) -> None:
        self._topic = topic
        self._model = model
        self._patience = patience
        self._looks = asyncio.Semaphore(MOST_LOOKED_AT)
        self._puts = asyncio.Semaphore(MOST_AT_A_TIME)
        routes = Routes(access, Scope.PUBLISH)
        routes.post("/task-events", self.events, "Accepted", _EVENTS)
        routes.post("/tasks/email-notification-test", self.test_mail, "TestMailAccepted", _TEST_MAIL, also=[409])
        self.router = routes.router

    async def events(self, request: Request) -> Response:
        """Publish task events.

        One, or a list of up to 1000: all are published or, if something is wrong with one, none. They are answered
        when Kafka has them. After a 503 some may be published: post them again, and let those that have a mail carry a
        `task_id`, so that they are not taken for other runs. An event without organization gets the token's.
        """
        body = await json_text_of(request, MOST_BYTES)
        async with self._turn(self._looks):
            found = await run_in_threadpool(lambda: posted(value_of(body), caller(request), self._model))
        await self._publish(found.records)
        return as_json(found.accepted, 202)

    async def test_mail(self, request: Request) -> Response:
        """Have a test mail sent to the token's user.

        It goes the way of every mail: a run of the task `email_notification_test` that has ended. `/api/why/{id}` with
        its `task_id` tells what became of it.
        """
        body = await json_of(request, test_mail.MOST_BYTES)
        task_id, event = test_mail.run_of(body, caller(request))
        await self._publish([(task_id, event)])
        return as_json({"task_id": task_id}, 202)

    async def _publish(self, records: Sequence[tuple[str, bytes]]) -> None:
        async with self._turn(self._puts):
            try:
                await run_in_threadpool(self._topic.put, records)
            except (EngineFailure, TopicsError) as error:
                log.error("Events that were posted are not published: %s", error)
                raise unavailable("Kafka did not take all of it") from None

    @asynccontextmanager
    async def _turn(self, turns: asyncio.Semaphore) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._patience.total_seconds()):
                await turns.acquire()
        except TimeoutError:
            raise unavailable("too much is being posted; nothing of this was published") from None
        try:
            yield
        finally:
            turns.release()
