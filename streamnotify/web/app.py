"""The web application, from its parts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

import msgspec
from fastapi import APIRouter, FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp

from streamnotify.render.policy import Brand
from streamnotify.render.recipient_links import RecipientLinks
from streamnotify.web.api.application import PATH as API
from streamnotify.web.commands import Commands
from streamnotify.web.pages import Pages, WithHeaders
from streamnotify.web.read_model.queries import ReadModel
from streamnotify.web.recipients.notifications import NotificationPages
from streamnotify.web.recipients.preferences import PreferencePages
from streamnotify.web.recipients.unsubscribe import UnsubscribePages
from streamnotify.web.webhooks.routes import PATH as WEBHOOKS


def _now() -> datetime:
    return datetime.now(UTC)


def application(
    public_url: str | None,
    links: RecipientLinks | None,
    commands: Commands,
    brand: Brand,
    read_model: ReadModel,
    *,
    api: ASGIApp | None = None,
    webhooks: ASGIApp | None = None,
    clock: Callable[[], datetime] = _now,
) -> ASGIApp:
    """All pages, ``/api`` and ``/webhooks`` under the path of ``public_url``, ``/livez`` and ``/readyz`` at the root.

    Both roots have a page that says what this is, for who looks whether it runs.
    ``/readyz`` says how far the read model is behind, and is 200 whatever that is: links in mails work without it.

    Args:
        public_url: where they are reached from outside; None: at the root.
        links: reads the tokens of links in mails; None: there are no pages for recipients.
        commands: takes what people want.
        brand: whose pages these are.
        read_model: what is known of the topics.
        api: the HTTP interface, if there is one.
        webhooks: what providers call, if any may.
        clock: the time now.
    """
    pages = Pages(brand)
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    prefix = urlsplit(public_url or "").path.rstrip("/")
    ours: tuple[APIRouter, ...] = (
        ()
        if links is None
        else (
            UnsubscribePages(links, commands, pages, clock).router,
            NotificationPages(links.notifications, pages, read_model, clock).router,
            PreferencePages(public_url or "", links.preferences, commands, pages, read_model, clock).router,
        )
    )
    for router in ours:
        app.include_router(router, prefix=prefix)
    for path, part in ((API, api), (WEBHOOKS, webhooks)):
        if part is not None:
            app.mount(prefix + path, part)

    async def running() -> Response:
        return pages.page("running")

    for root in {"/", f"{prefix}/", prefix} - {""}:
        app.add_api_route(root, running, methods=["GET", "HEAD"])
    app.add_api_route("/livez", _alive, methods=["GET", "HEAD"])

    # Not async: it reads the file, which may take a while.
    def ready() -> Response:
        freshness = {"read_model": read_model.freshness(clock())}
        return Response(msgspec.json.encode(freshness) + b"\n", media_type="application/json")

    app.add_api_route("/readyz", ready, methods=["GET", "HEAD"])

    async def problem(_: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        headers = error.headers if isinstance(error, HTTPException) else None
        return pages.page("problem", status, headers, code=status)

    app.add_exception_handler(HTTPException, problem)
    app.add_exception_handler(Exception, problem)
    return WithHeaders(app, pages.headers)


async def _alive() -> Response:
    return PlainTextResponse("ok\n")
