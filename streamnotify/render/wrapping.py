"""The lines of a mail's text part (research/email.md item 1)."""

from __future__ import annotations

import re
import textwrap

from streamnotify.render.cleaning import pieces

TEXT_WIDTH = 78
_INDENT = "  "
_LONG_WORD = re.compile(rf"\S{{{TEXT_WIDTH - len(_INDENT) + 1},}}")


def wrap(text: str) -> str:
    """``text`` with lines of at most 78 characters. Only URLs stay whole, so that they can be clicked and copied."""
    return "\n".join([line if len(line) <= TEXT_WIDTH else _wrapped(line) for line in text.split("\n")])


def is_url(word: str) -> bool:
    """True for what mail programs make a link of."""
    return "https://" in word or "http://" in word or word.startswith("mailto:")


def _wrapped(line: str) -> str:
    indent = _INDENT if line.startswith("- ") else ""
    line = _LONG_WORD.sub(_broken, line)
    lines = textwrap.wrap(
        line, TEXT_WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False, tabsize=4
    )
    return "\n".join(lines)


def _broken(word: re.Match[str]) -> str:
    return word[0] if is_url(word[0]) else " ".join(pieces(word[0], TEXT_WIDTH - len(_INDENT)))
