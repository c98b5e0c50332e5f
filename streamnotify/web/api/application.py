"""The HTTP interface from its parts: an application of its own, to be put at ``/api``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import msgspec
from fastapi import APIRouter, Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from streamnotify import __version__
from streamnotify.web.api.access import Access, address_limit, token_limit
from streamnotify.web.api.event_topic import EventTopic
from streamnotify.web.api.limits import Limit
from streamnotify.web.api.problems import answered
from streamnotify.web.api.publishing import PATIENCE, Publishing
from streamnotify.web.api.reads import DeadLetterReads, Reads
from streamnotify.web.api.schemas import schemas
from streamnotify.web.api.token_file import TokenFile
from streamnotify.web.api.why import Why
from streamnotify.web.read_model.queries import ReadModel

PATH = "/api"
_ABOUT = """Task events in, and what became of them out.

Every request but this document's needs a token: `Authorization: Bearer …`. A token has scopes (read, publish, admin)
and is mostly bound to one organization: what belongs to another is as if it were not there. A token may be used 20
times a second, 100 times at once. What is wrong is answered as `application/problem+json`, field by field.

Answers are read from topics: what was published a moment ago may be missing, and `/api/status` says how far they are
behind."""


def _now() -> datetime:
    return datetime.now(UTC)


def api_application(
    tokens: TokenFile,
    topic: EventTopic,
    model: ReadModel,
    *,
    public_url: str | None = None,
    clock: Callable[[], datetime] = _now,
    per_token: Limit | None = None,
    per_address: Limit | None = None,
    patience: timedelta = PATIENCE,
) -> FastAPI:
    """The application.

    Args:
        tokens: who holds which.
        topic: takes events.
        model: answers what is asked.
        public_url: where :data:`PATH` is below, for the OpenAPI document; None: at the root of wherever it is got.
        clock: the time now.
        per_token, per_address: how often somebody may come; by default as :mod:`streamnotify.web.api.access` has it.
        patience: how long a post may wait for others that wait for Kafka.
    """
    access = Access(tokens, clock, per_token or token_limit(), per_address or address_limit())
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    routers = (
        Publishing(topic, model, access, patience).router,
        Reads(model, access, clock).router,
        Why(model, access, clock).router,
        DeadLetterReads(model, access).router,
    )

    @cache
    def document() -> bytes:
        return msgspec.json.encode(openapi(public_url or "/", *routers))

    async def described(_: Request) -> Response:
        return Response(document(), media_type="application/json")

    for router in routers:
        app.include_router(router)
    app.add_api_route(
        "/openapi.json", described, methods=["GET", "HEAD"], dependencies=[Depends(access.anybody)], name="openapi"
    )
    for error in (HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(error, answered)
    return app


def openapi(url: str, *routers: APIRouter) -> dict[str, Any]:
    """The OpenAPI document of some routes; ``url`` is where their :data:`PATH` is below."""
    routes = [route for router in routers for route in router.routes]
    document = get_openapi(title="streamnotify", version=__version__, description=_ABOUT, routes=routes)
    document["paths"] = {f"{PATH}{path.replace(':path}', '}')}": each for path, each in document["paths"].items()}
    document["servers"] = [{"url": url}]
    document["components"] = {
        "schemas": dict(sorted(schemas().items())),
        "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "See `streamnotify token`."}},
    }
    return document
