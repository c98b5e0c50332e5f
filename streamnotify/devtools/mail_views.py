"""A mail's parts as a person looks at them: its HTML in light, in dark, and as programs show it that drop its style."""

from __future__ import annotations

import email
import email.policy
import re

_DARK_QUERY = "@media (prefers-color-scheme: dark)"
_STYLE = re.compile(r"<style\b.*?</style>", re.DOTALL | re.IGNORECASE)
_IMAGE = re.compile(r"\ssrc=\"[^\"]*\"")


def parts(content: bytes) -> tuple[str, str, str]:
    """(headers, text, HTML) of a mail's bytes."""
    message = email.message_from_bytes(content, policy=email.policy.default)
    bodies = []
    for kind in ("plain", "html"):
        body = message.get_body((kind,))
        bodies.append("" if body is None else str(body.get_content()).replace("\r\n", "\n"))
    headers = content.partition(b"\r\n\r\n")[0].decode("utf-8", "replace").replace("\r\n", "\n")
    return headers, bodies[0], bodies[1]


def light(html: str) -> str:
    """``html`` as programs show it that know no dark mode, whatever this machine prefers."""
    return html.replace(_DARK_QUERY, "@media not all").replace('content="light dark"', 'content="light"')


def dark(html: str) -> str:
    """``html`` as programs show it that honour prefers-color-scheme, whatever this machine prefers."""
    return html.replace(_DARK_QUERY, "@media all").replace('content="light dark"', 'content="dark"')


def stripped(html: str) -> str:
    """``html`` without its style block, as in Gmail's apps with other providers' accounts."""
    return _STYLE.sub("", html)


def without_images(html: str) -> str:
    """``html`` with its images blocked: their alternative texts show."""
    return _IMAGE.sub(' src=""', light(html))
