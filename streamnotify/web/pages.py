"""HTML pages: what they look like, and the headers that keep them to themselves."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamnotify.render.cleaning import many_lines
from streamnotify.render.policy import Brand

_TEMPLATES = Path(__file__).parent / "templates"


class Pages:
    """Pages in the brand's name and colour, from ``templates/``, without scripts or anything from elsewhere."""

    def __init__(self, brand: Brand) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_harmless,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        css = self._environment.get_template("style.css").render(brand=brand)
        # Safe as it is: our own text, and a colour that Brand has checked.
        self._environment.globals["brand"], self._environment.globals["css"] = brand, Markup(css)  # noqa: S704
        css_hash = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
        self.headers = {
            "Content-Security-Policy": (
                f"default-src 'none'; style-src 'sha256-{css_hash}'; form-action 'self'; base-uri 'none'; "
                "frame-ancestors 'none'"
            ),
            "Referrer-Policy": "no-referrer",  # a page's address is as good as the right to unsubscribe
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "X-Robots-Tag": "noindex, nofollow",
        }

    def page(
        self, template: str, status: int = 200, headers: Mapping[str, str] | None = None, **variables: Any
    ) -> HTMLResponse:
        """A page from ``<template>.html``."""
        html = self._environment.get_template(f"{template}.html").render(variables)
        return HTMLResponse(html, status, dict(headers or {}))


def _harmless(value: Any) -> Any:
    """A value as it is shown: a text from outside without what steers a terminal or turns the text around."""
    return many_lines(value) if isinstance(value, str) and not isinstance(value, Markup) else value


class WithHeaders:
    """An application whose every answer has these headers, whatever made it."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self._app = app
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *self._headers]}
            await send(message)

        await self._app(scope, receive, sent)
