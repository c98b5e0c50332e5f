"""The HTTP interface on the product in memory: what is posted is handled at once, what is read is what came of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from streamnotify.domain.digest import Lane, LanePolicy
from streamnotify.errors import StreamnotifyError
from streamnotify.render.policy import Brand
from streamnotify.web.api.application import api_application
from streamnotify.web.api.limits import Limit
from streamnotify.web.api.token_file import TokenFile
from streamnotify.web.api.tokens import digest, new_secret
from streamnotify.web.app import application
from streamnotify.web.read_model.queries import ReadModel
from streamnotify.wire.topics import TASK_EVENTS
from tests.e2e.in_memory import InMemoryProduct
from tests.stations.at_once import NO_DIGESTS
from tests.web.a_read_model import CopiedTopics
from tests.web.browsing import Recorder

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ORIGIN = "https://notify.example.com"
ALL = ["read", "publish", "admin"]


class Clock:
    """Seconds that go on only when they are told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class EngineTopic:
    """Puts events on the engine's topic. ``failure`` is raised instead, if it is set."""

    def __init__(self, product: InMemoryProduct) -> None:
        self._product = product
        self.failure: StreamnotifyError | None = None

    def put(self, records: Sequence[tuple[str, bytes]]) -> None:
        """See EventTopic."""
        if self.failure is not None:
            raise self.failure
        for key, value in records:
            self._product.engine.put(TASK_EVENTS, value, key=key.encode())


class ApiSite:
    """The application; ``token()`` makes one, and requests that name none use ``secret``.

    Args:
        directory: for the file of tokens and the read model.
        lanes: when mails are squashed into digests.
    """

    def __init__(self, directory: Path, lanes: dict[Lane, LanePolicy] | None = None) -> None:
        self.now = NOW
        self.product = InMemoryProduct(NOW, NO_DIGESTS if lanes is None else lanes)
        self.topic = EngineTopic(self.product)
        self.copy = CopiedTopics(directory, self.product.engine)
        self.file = directory / "tokens.jsonl"
        self.file.write_text("# tokens\n\n")
        self.clock = Clock()
        self.api = api_application(
            TokenFile(self.file),
            self.topic,
            self.copy.answers,
            clock=lambda: self.now,
            per_token=Limit(100, 20, self.clock),
            per_address=Limit(20, 1, self.clock),
        )
        self.app = application(None, None, Recorder(), Brand(name="Acme"), ReadModel(directory / "none"), api=self.api)
        self.secret: str | None = None

    def token(self, *scopes: str, organization: str | None = "org-a", **fields: Any) -> str:
        """A token in the file, by default for all that one organization's may do."""
        secret = new_secret()
        whose = {"all_organizations": True} if organization is None else {"organization_id": organization}
        entry = {"name": digest(secret)[:12], "sha256": digest(secret), "scopes": scopes or ALL[:2], **whose, **fields}
        with self.file.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        return secret

    def request(self, method: str, path: str, *, token: str | None = None, **content: Any) -> httpx.Response:
        """The answer to one request, with a token if there is one."""
        secret = token or self.secret
        headers = httpx.Headers({"Authorization": f"Bearer {secret}"} if secret else {})
        headers.update(content.pop("headers", {}))

        async def answered() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
                return await client.request(method, path, headers=headers, **content)

        return asyncio.run(answered())

    def get(self, path: str, *, token: str | None = None, **parameters: Any) -> httpx.Response:
        """The answer to a GET, from what has happened until now."""
        self.copy.catch_up()
        return self.request("GET", path, token=token, params=parameters or None)

    def post(self, path: str, body: Any, *, token: str | None = None) -> httpx.Response:
        """The answer to JSON."""
        headers = {"Content-Type": "application/json"}
        return self.request("POST", path, token=token, content=json.dumps(body), headers=headers)

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """Key and content of what lies on task-events."""
        return [((each.key or b"").decode(), each.json()) for each in self.product.engine.records(TASK_EVENTS)]


def errors(answer: httpx.Response) -> dict[str, str]:
    """The reasons of a problem by field."""
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    return {each["field"]: each["reason"] for each in problem.get("errors", [])}
