"""Text from outside made harmless for headers, terminals and readers (research/email.md item 17)."""

from __future__ import annotations

import re
import unicodedata

# Line and paragraph separators that some mail programs take for a line break.
_BREAKS = re.compile("\r\n|[\r\n\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f]")
# Embeddings, overrides and isolates can make a text read as another one; the plain marks U+200E/F are kept.
_BIDI_CONTROLS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_ZERO_WIDTH_JOINER = "\u200d"


def one_line(text: str) -> str:
    """``text`` on one line: no control characters or bidi overrides, runs of white space made one space."""
    return " ".join(many_lines(text).split())


def many_lines(text: str) -> str:
    """``text`` with plain line feeds, without control characters and bidi overrides."""
    if text.isprintable():  # then there is nothing to remove, and looking for it takes long
        return text
    text = _BREAKS.sub("\n", text).replace("\xa0", " ")
    text = _CONTROLS.sub("", text)
    text = _BIDI_CONTROLS.sub("", text)
    return _SURROGATES.sub("\ufffd", text)


def shorten(text: str, limit: int) -> str:
    """``text`` in at most ``limit`` characters, cut at its end; no accent or joined emoji is torn apart."""
    if len(text) <= limit:
        return text
    return text[: _cut(text, limit - 1)].rstrip() + "…"


def shorten_middle(text: str, limit: int) -> str:
    """``text`` in at most ``limit`` characters, its middle left out: both ends of a subject say something."""
    if len(text) <= limit:
        return text
    tail_length = (limit - 1) // 3
    tail_from = len(text) - tail_length
    while tail_from < len(text) and _joins(text, tail_from):
        tail_from += 1
    head = text[: _cut(text, limit - 1 - tail_length)]
    return f"{head.rstrip()}…{text[tail_from:].lstrip()}"


def pieces(text: str, length: int) -> list[str]:
    """``text`` in pieces of at most ``length`` characters; no accent or joined emoji is torn apart unless longer."""
    found = []
    while text:
        end = len(text) if len(text) <= length else _cut(text, length) or length
        found.append(text[:end])
        text = text[end:]
    return found


def _cut(text: str, index: int) -> int:
    """The last place at or before ``index`` where ``text`` may be cut."""
    while index > 0 and _joins(text, index):
        index -= 1
    return index


def _joins(text: str, index: int) -> bool:
    """True if the character at ``index`` belongs to the one before it."""
    here, before = text[index], text[index - 1]
    return (
        unicodedata.combining(here) != 0
        or unicodedata.category(here) in ("Mn", "Me")
        or _ZERO_WIDTH_JOINER in (here, before)
        or "\U0001f3fb" <= here <= "\U0001f3ff"  # skin tones
    )
