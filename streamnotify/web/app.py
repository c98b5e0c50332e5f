"""The web application, from its parts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp

from streamnotify.render.policy import Brand
from streamnotify.render.unsubscribe import UnsubscribeLinks
from streamnotify.web.commands import Commands
from streamnotify.web.pages import Pages, WithHeaders
from streamnotify.web.unsubscribe_pages import UnsubscribePages


def _now() -> datetime:
    return datetime.now(UTC)


def application(
    public_url: str,
    links: UnsubscribeLinks,
    commands: Commands,
    brand: Brand,
    *,
    clock: Callable[[], datetime] = _now,
) -> ASGIApp:
    """All pages, under the path of ``public_url``, and ``/livez`` at the root.

    Args:
        public_url: where the pages are reached from outside.
        links: reads the tokens of unsubscribe links.
        commands: takes what people want.
        brand: whose pages these are.
        clock: the time now.
    """
    pages = Pages(brand)
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.include_router(
        UnsubscribePages(links, commands, pages, clock).router, prefix=urlsplit(public_url).path.rstrip("/")
    )
    app.add_api_route("/livez", _alive, methods=["GET", "HEAD"])

    async def problem(_: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        headers = error.headers if isinstance(error, HTTPException) else None
        return pages.page("problem", status, headers, code=status)

    app.add_exception_handler(HTTPException, problem)
    app.add_exception_handler(Exception, problem)
    return WithHeaders(app, pages.headers)


async def _alive() -> Response:
    return PlainTextResponse("ok\n")
