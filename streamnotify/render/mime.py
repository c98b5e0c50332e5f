"""A mail's final bytes: 7-bit, CRLF, no line over 998, the same bytes for the same input (research/email.md 14-20).

Written by hand because Python's ``email`` package picks a random boundary and turns long Message-IDs and URLs in
headers into encoded-words.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from urllib.parse import quote

from streamnotify.render.cleaning import one_line

_LINE = 76
# 39 bytes of UTF-8 make an encoded-word of 64 characters, which leaves room for a header's name before it.
_WORD_BYTES = 39
_ASCII = bytes(range(128))
# What ids and URLs consist of; commas part the URLs of List-Unsubscribe and are quoted within one.
_URL_CHARACTERS = "!#$%&'*+/:;=?@[]^_`{|}~.-()"
_LONGEST_TOKEN = 900  # a line has at most 998 characters
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address with the name shown for it."""

    address: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Mime:
    """A mail before it is bytes.

    ``message_id`` is without angle brackets. ``boundary`` parts the bodies; it begins with ``=_``, which no encoded
    body contains. ``list_unsubscribe`` are URLs; an https one is asked to work by one click (RFC 8058). ``references``
    are ids of the thread's earlier mails, without angle brackets, the nearest last. These and ``machine_headers`` are
    never encoded, and folded between ids and URLs only.
    """

    sender: Mailbox
    to: Mailbox
    subject: str
    at: datetime
    message_id: str
    boundary: str
    text: str
    html: str
    reply_to: str | None = None
    list_unsubscribe: Sequence[str] = ()
    references: Sequence[str] = ()
    machine_headers: Sequence[tuple[str, str]] = ()


def to_bytes(mail: Mime) -> bytes:
    """The mail as multipart/alternative, text first. Only a non-ASCII local part in ``to`` makes a byte above 127."""
    lines = [
        *_header("From", _mailbox(mail.sender)),
        *_header("To", _mailbox(mail.to)),
        *(_header("Reply-To", [mail.reply_to]) if mail.reply_to else ()),
        *_header("Subject", _words(one_line(mail.subject))),
        f"Date: {format_datetime(mail.at)}",
        f"Message-ID: <{_token(mail.message_id)}>",
        *_thread(mail.references),
        *_unsubscribe(mail.list_unsubscribe),
        *(f"{name}: {one_line(value)}" for name, value in mail.machine_headers),
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative; boundary="{mail.boundary}"',
        "",
    ]
    parts = (_part(mail.boundary, "plain", mail.text), _part(mail.boundary, "html", mail.html))
    return b"\r\n".join(("\r\n".join(lines).encode(), *parts, f"--{mail.boundary}--\r\n".encode()))


def _part(boundary: str, subtype: str, content: str) -> bytes:
    encoding, body = _encode(content, _html_quoted_printable if subtype == "html" else _quoted_printable)
    headers = (
        f"--{boundary}\r\nContent-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    )
    return headers.encode() + body.replace(b"\n", b"\r\n")


def _encode(content: str, quoted_printable: Callable[[bytes], bytes]) -> tuple[str, bytes]:
    """Quoted-printable where most is ASCII, else base64, which is shorter then; lines end in a line feed."""
    lines = content.replace("\r\n", "\n").replace("\r", "\n") if "\r" in content else content
    data = lines.encode()
    if len(data.translate(None, _ASCII)) * 6 > len(data):
        return "base64", base64.encodebytes(lines.replace("\n", "\r\n").encode()).rstrip()
    return "quoted-printable", quoted_printable(data)


def _quoted_printable(data: bytes) -> bytes:
    return binascii.b2a_qp(data, istext=True)


def _html_quoted_printable(data: bytes) -> bytes:
    """HTML in three pieces: its style block, a third of it, is the same in all mails and encoded once."""
    before, start, rest = data.partition(b"<style>\n")
    style, end, after = rest.partition(b"</style>\n")
    if not end:
        return _quoted_printable(data)
    return _quoted_printable(before + start) + _style_quoted_printable(style) + _quoted_printable(end + after)


_style_quoted_printable = lru_cache(maxsize=64)(_quoted_printable)


def _thread(references: Sequence[str]) -> Iterator[str]:
    ids = [f"<{_token(reference)}>" for reference in references]
    if ids:
        yield from _header("In-Reply-To", ids[-1:])
        yield from _header("References", ids)


def _unsubscribe(urls: Sequence[str]) -> Iterator[str]:
    tokens = [f"<{_token(url)}>" for url in urls]
    if tokens:
        yield from _header("List-Unsubscribe", [*(f"{token}," for token in tokens[:-1]), tokens[-1]])
    if any(url.startswith("https://") for url in urls):
        yield "List-Unsubscribe-Post: List-Unsubscribe=One-Click"


def _token(text: str) -> str:
    """An id or URL as one unbroken word of ASCII, so that it can end neither its brackets nor its header."""
    return quote(text, safe=_URL_CHARACTERS, errors="replace")[:_LONGEST_TOKEN]


def _header(name: str, words: Sequence[str]) -> Iterator[str]:
    """A header of ``words``, folded between them where a line would grow too long."""
    line = f"{name}:"
    for word in words:
        if len(line) + 1 + len(word) > _LINE and not line.endswith(":"):
            yield line
            line = ""
        line += f" {word}"
    yield line


def _mailbox(mailbox: Mailbox) -> list[str]:
    name = one_line(mailbox.name or "")
    if not name:
        return [mailbox.address]
    if name.isascii() and len(name) <= 60 and "=?" not in name:
        words = [name] if _ATOMS.fullmatch(name) else [_quoted(name)]
    else:
        words = list(_encoded_words(name))
    return [*words, f"<{mailbox.address}>"]


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _words(text: str) -> list[str]:
    """Plain words, or encoded ones if the text is not ASCII or could be taken for encoded words."""
    if text.isascii() and "=?" not in text:
        return text.split(" ")
    return list(_encoded_words(text))


def _encoded_words(text: str) -> Iterator[str]:
    """``text`` as RFC 2047 encoded-words of at most 75 characters; no character is torn apart."""
    chunk = b""
    for character in text:
        encoded = character.encode()
        if len(chunk) + len(encoded) > _WORD_BYTES:
            yield _encoded_word(chunk)
            chunk = b""
        chunk += encoded
    yield _encoded_word(chunk)


def _encoded_word(chunk: bytes) -> str:
    return f"=?utf-8?b?{base64.b64encode(chunk).decode()}?="
