"""``POST /webhooks/<provider>``, for the providers that the settings name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Protocol

from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response

from streamnotify.errors import EngineFailure, TopicsError
from streamnotify.web.bodies import body_of
from streamnotify.web.webhooks.publishing import FeedbackTopic
from streamnotify.web.webhooks.refusals import NotNow, NotOn, RefusalLog, Refused
from streamnotify.wire.feedback import NotificationFeedback

log = logging.getLogger(__name__)

PATH = "/webhooks"
SWITCHES = {
    "ses": "STREAMNOTIFY_WEBHOOK_SES_TOPIC_ARNS",
    "sendgrid": "STREAMNOTIFY_WEBHOOK_SENDGRID_KEY",
    "mailgun": "STREAMNOTIFY_WEBHOOK_MAILGUN_KEY",
}  # all providers, and the setting that each needs
MAX_BYTES = 1024 * 1024  # SendGrid sends 768 KB at most, SNS 256 KiB
MOST_AT_A_TIME = 16  # requests; so they leave memory and threads to the pages
_RETRY_S = 60
_AGAIN = {"Retry-After": str(_RETRY_S)}


class Provider(Protocol):
    """Reads what one mail provider posts."""

    @property
    def name(self) -> str:
        """The last part of its path."""

    def opened(
        self, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> AbstractContextManager[Sequence[NotificationFeedback]]:
        """The delivery events in a request; what fails within the block was not taken. It may block.

        Args:
            headers: the request's, in any letter case.
            body: as it came.
            now: the time.

        Raises:
            Refused: on entering, if it is not shown to be the provider's.
        """


def _now() -> datetime:
    return datetime.now(UTC)


class Webhooks:
    """The paths that providers call: ``app``, to be put at :data:`PATH`. All its answers are plain text.

    Args:
        providers: those that may.
        topic: takes the events.
        clock: the time now.
    """

    def __init__(
        self, providers: Sequence[Provider], topic: FeedbackTopic, clock: Callable[[], datetime] = _now
    ) -> None:
        self._providers = {provider.name: provider for provider in providers}
        self._refusals = {name: RefusalLog(name) for name in SWITCHES}
        self._topic = topic
        self._clock = clock
        self._under_way = 0
        self.app = FastAPI(openapi_url=None, redirect_slashes=False)
        self.app.add_api_route("/{name}", self.take, methods=["POST"])
        self.app.add_exception_handler(HTTPException, _plain)

    async def take(self, name: str, request: Request) -> Response:
        """Answer one request; 200 once Kafka has its events."""
        provider = self._providers.get(name)
        if provider is None:
            if name in SWITCHES:
                self._refusals[name].note(NotOn(f"{SWITCHES[name]} is not set"))
            raise HTTPException(404)
        if self._under_way >= MOST_AT_A_TIME:
            raise HTTPException(503, headers=_AGAIN)
        self._under_way += 1
        try:
            body = await body_of(request, MAX_BYTES)
            return await run_in_threadpool(self._taken, provider, request.headers, body)
        finally:
            self._under_way -= 1

    def _taken(self, provider: Provider, headers: Mapping[str, str], body: bytes) -> Response:
        try:
            with provider.opened(headers, body, self._clock()) as events:
                self._put(events)
        except Refused as why:
            self._refusals[provider.name].note(why)
            return PlainTextResponse("refused\n", why.answer, _AGAIN if isinstance(why, NotNow) else None)
        log.debug("Webhook %s: %d events", provider.name, len(events))
        return PlainTextResponse("ok\n")

    def _put(self, events: Sequence[NotificationFeedback]) -> None:
        try:
            if events:
                self._topic.put(events)
        except (EngineFailure, TopicsError) as error:
            raise NotNow(f"its events are not kept: {error}") from error


async def _plain(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return PlainTextResponse(f"{error.detail}\n", error.status_code, error.headers)
