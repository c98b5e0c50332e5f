"""Fetches small documents from hosts that the caller has decided to trust."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from http.client import HTTPException
from typing import Any
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, build_opener

_MOST_BYTES = 256 * 1024
_TIMEOUT_S = 5.0


class _NoRedirects(HTTPRedirectHandler):
    """A host that is trusted does not say which others are."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """None: the redirect is an error."""


def fetcher(trusted: ssl.SSLContext | None = None) -> Callable[[str], bytes]:
    """A function that gets what is at an https URL, through the proxy of ``https_proxy`` if there is one.

    It raises OSError for anything but an answer 200 of at most 256 KiB, redirects too; ValueError if the URL is not
    https.

    Args:
        trusted: certificates; default: the system's authorities.
    """
    opener = build_opener(HTTPSHandler(context=trusted or ssl.create_default_context()), _NoRedirects())

    def fetch(url: str) -> bytes:
        if not url.startswith("https://"):
            raise ValueError("only https is fetched")
        return _content(opener, url)

    return fetch


def _content(opener: OpenerDirector, url: str) -> bytes:
    try:
        with opener.open(url, timeout=_TIMEOUT_S) as answer:
            content: bytes = answer.read(_MOST_BYTES + 1)
    except HTTPException as error:
        raise OSError(f"{type(error).__name__} from {url}") from error
    if answer.status != 200 or len(content) > _MOST_BYTES:
        raise OSError(f"answer {answer.status} with {len(content)} bytes from {url}")
    return content
