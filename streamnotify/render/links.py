"""Which URLs may be links in a mail: https everywhere, http on loopback only (SPEC section 4)."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import urlsplit

from streamnotify.domain.hosts import is_loopback

_URL_LIMIT = 2000  # characters; longer ones break in some mail programs and browsers
_NOT_IN_URL = re.compile(r"[\s\"'<>\\`]")
_TAG = re.compile(r"<[a-zA-Z][^<>]*>")
_LINKING = r"(?:xlink:)?(?:href|srcset|src|background|formaction|action|poster|data)"
_ATTRIBUTE = re.compile(rf"\s{_LINKING}\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s>\"']+)", re.IGNORECASE)


def is_safe_url(url: object) -> bool:
    """True for a whole https URL, or an http one to this machine: no other scheme, no ``//host``, no user, no break."""
    if not isinstance(url, str) or len(url) > _URL_LIMIT or not url.isprintable() or _NOT_IN_URL.search(url):
        return False
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or "@" in parts.netloc:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))


def without_unsafe_links(html: str) -> str:
    """``html`` whose tags keep only safe URLs and mailto: a template of one's own may put anything into an ``href``."""
    return _TAG.sub(lambda tag: _ATTRIBUTE.sub(_kept, tag[0]), html)


def _kept(attribute: re.Match[str]) -> str:
    url = unescape(attribute[1].strip("\"'"))
    return attribute[0] if is_safe_url(url) or url.startswith(("mailto:", "#")) else ""
