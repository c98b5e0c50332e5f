"""The web application, as a browser or a mail program meets it, and what it has commanded."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp

from streamnotify.domain.preferences import UnsubscribeScope
from streamnotify.errors import StreamnotifyError
from streamnotify.render.policy import Brand
from streamnotify.render.recipient_links import RecipientLinks
from streamnotify.web.app import application
from streamnotify.web.read_model.queries import ReadModel
from streamnotify.wire.topics import Topic

PUBLIC_URL = "https://notify.example.com"
SECRET = "a secret of the tests"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SCOPE = UnsubscribeScope("address:ann@example.com", ("task_completion",), "org-a")
HEALTH = UnsubscribeScope("address:ann@example.com", ("service_health",))


class Recorder:
    """Takes commands and remembers them. ``failure`` is raised instead, if it is set."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, Any]] = []
        self.threads: set[int] = set()
        self.failure: StreamnotifyError | None = None

    def send(self, topic: Topic, key: str, command: Any) -> None:
        """See Commands."""
        self.threads.add(threading.get_ident())
        if self.failure is not None:
            raise self.failure
        self.sent.append((topic.name, key, command))


class Site:
    """The application and its recorder; ``now`` is its clock."""

    def __init__(
        self,
        public_url: str = PUBLIC_URL,
        brand: Brand | None = None,
        read_model: ReadModel | None = None,
        webhooks: ASGIApp | None = None,
    ) -> None:
        self.links = RecipientLinks(public_url, SECRET)
        self.commands = Recorder()
        self.now = NOW
        self.app = application(
            public_url,
            self.links,
            self.commands,
            brand or Brand(name="Acme"),
            read_model or ReadModel(Path("there is none")),
            webhooks=webhooks,
            clock=lambda: self.now,
        )

    def link(self, scope: UnsubscribeScope = SCOPE) -> str:
        """The link of a mail of now."""
        url = self.links.unsubscribe.url(scope, NOW)
        assert url is not None
        return url

    def preferences_link(self, mailbox: str = SCOPE.mailbox) -> str:
        """The one of a mail of now to this mailbox."""
        url = self.links.preferences.url(replace(SCOPE, mailbox=mailbox), NOW)
        assert url is not None
        return url

    def request(self, method: str, url: str, **content: Any) -> httpx.Response:
        """The answer to one request."""

        async def answered() -> httpx.Response:
            # As a server does it: what is not caught is logged, and the client has an answer.
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport) as client:
                return await client.request(method, url, **content)

        return asyncio.run(answered())

    def get(self, url: str) -> httpx.Response:
        """The page."""
        return self.request("GET", url)

    def post(self, url: str, **form: str) -> httpx.Response:
        """The answer to a form as browsers send it."""
        return self.request("POST", url, data=form)

    def one_click(self, url: str) -> httpx.Response:
        """The answer to what a mail program sends whose reader asks it to unsubscribe (RFC 8058 section 3.2)."""
        content = "List-Unsubscribe=One-Click"
        return self.request("POST", url, content=content, headers={"Content-Type": "application/x-www-form-urlencoded"})
