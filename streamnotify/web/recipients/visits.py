"""What the recipients' pages have in common: a link is opened, a wish is passed on, a form comes from our own page."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request

from streamnotify.errors import EngineFailure, TopicsError
from streamnotify.render.signed_links import ExpiredToken, InvalidToken, Opened, SignedLinks
from streamnotify.web.commands import Commands
from streamnotify.wire.topics import MAILBOXES

log = logging.getLogger(__name__)

Scope = TypeVar("Scope")

_RETRY_S = 60
_OURS = ("same-origin", "none")  # Sec-Fetch-Site of our own pages, and of what somebody does without a page


def opened(links: SignedLinks[Scope], token: str, now: datetime) -> Opened[Scope]:
    """What a link is about.

    Raises:
        HTTPException: 410 if it is too old, 404 if it is not one of ours: that page does not say what is wrong.
    """
    try:
        return links.opened(token, now)
    except ExpiredToken:
        raise HTTPException(410) from None
    except InvalidToken:
        raise HTTPException(404) from None


async def tell(commands: Commands, mailbox: str, command: Any) -> None:
    """Pass a wish on to a mailbox, and wait until it is safe.

    Raises:
        HTTPException: 503 if it may not be.
    """
    try:
        await run_in_threadpool(commands.send, MAILBOXES, mailbox, command)
    except (EngineFailure, TopicsError) as error:
        log.error("Nothing was changed for %s: %s", mailbox, error)
        raise HTTPException(503, headers={"Retry-After": str(_RETRY_S)}) from error


def refuse_foreign_forms(request: Request, public_url: str) -> None:
    """Refuse a form that another site has sent. It could do nothing without a link; with one it need not, either.

    The origin is ``null`` for our own page too, since its referrer policy hides it: what counts is what browsers say
    besides, and an origin that is told. A proxy may have put another host in the place of the one that was asked.

    Args:
        request: the request.
        public_url: where our pages are reached from outside.

    Raises:
        HTTPException: 403.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    ours = (None, "null", _origin(public_url), f"http://{request.headers.get('host')}")
    if (site is not None and site not in _OURS) or origin not in ours:
        raise HTTPException(403)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
