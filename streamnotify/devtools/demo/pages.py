"""What people and programs do with the web process: open a mail's links, press a button, ask over HTTP."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from html.parser import HTMLParser
from urllib.parse import urlencode

from streamnotify.devtools.inbox import ReceivedMail
from streamnotify.errors import StreamnotifyError

_PATIENCE_S = 20


class PageFailed(StreamnotifyError):
    """A page did not do what it is there for."""


def unsubscribe_link(mail: ReceivedMail) -> str:
    """The link by which its recipient unsubscribes.

    Raises:
        PageFailed: if it has none.
    """
    found = re.search(r"<(http[^>]+)>", "".join(str(mail.message.get("List-Unsubscribe", "")).split()))
    if found is None:
        raise PageFailed(f'the mail "{mail.subject}" has no unsubscribe link')
    return found[1]


def view_all_link(digest: ReceivedMail) -> str:
    """The link by which its recipient sees all of its notifications.

    Raises:
        PageFailed: if it has none.
    """
    found = re.search(r"View all \d+ notifications:\s+(http\S+)", digest.part("plain") or "")
    if found is None:
        raise PageFailed(f'the mail "{digest.subject}" has no link to all of its notifications')
    return found[1]


def page(url: str) -> str:
    """The HTML of a page.

    Raises:
        PageFailed: if the answer is none of success.
    """
    return _answer(urllib.request.Request(url))  # noqa: S310 - our own, on this machine


def post_json(url: str, token: str, body: Mapping[str, str]) -> str:
    """The answer to a request with a token of ours.

    Raises:
        PageFailed: if the answer is none of success.
    """
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - likewise
    return _answer(request)


def press_button(url: str) -> None:
    """Open a page, and send its form as it comes: with what is chosen already.

    Raises:
        PageFailed: if there is no such form, or one of the two answers is none of success.
    """
    form = _Form()
    form.feed(page(url))
    if form.method != "post":
        raise PageFailed(f"there is no button to press on {url}")
    _answer(urllib.request.Request(url, data=urlencode(form.fields).encode()))  # noqa: S310 - likewise


def _answer(request: urllib.request.Request) -> str:
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE_S) as answer:  # noqa: S310 - likewise
            return str(answer.read().decode())
    except urllib.error.URLError as error:  # HTTPError is one
        raise PageFailed(f"{request.get_method()} {request.full_url}: {error}") from error


class _Form(HTMLParser):
    """The fields of a page's first form that are sent if nothing is touched."""

    def __init__(self) -> None:
        super().__init__()
        self.method = ""
        self.fields: list[tuple[str, str]] = []
        self._ended = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See HTMLParser."""
        attributes = dict(attrs)
        if tag == "form" and not self.method:
            self.method = (attributes.get("method") or "get").lower()
        if tag != "input" or not self.method or self._ended or not attributes.get("name"):
            return
        if attributes.get("type") not in {"radio", "checkbox"} or "checked" in attributes:
            self.fields.append((str(attributes["name"]), attributes.get("value") or ""))

    def handle_endtag(self, tag: str) -> None:
        """See HTMLParser."""
        self._ended = self._ended or tag == "form"
