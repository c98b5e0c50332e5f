"""Reads mails back as programs and people do."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from streamnotify.devtools.mail_views import parts
from streamnotify.render.renderer import RenderedMail


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.words.extend(data.split())


def _read(html: str) -> _Words:
    reader = _Words()
    reader.feed(re.sub(r"<(style|title)>.*?</\1>", "", html, flags=re.DOTALL))
    return reader


def text_of(mail: RenderedMail) -> str:
    """The text part."""
    return parts(mail.content)[1]


def html_of(mail: RenderedMail) -> str:
    """The HTML part."""
    return parts(mail.content)[2]


def words(html: str) -> str:
    """What a reader sees of ``html``, with single spaces."""
    return " ".join(_read(html).words)


def links(html: str) -> list[str]:
    """Where the links and images of ``html`` lead."""
    return _read(html).links
