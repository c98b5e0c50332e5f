"""``subject_template``: names and four methods of text, nothing else (SPEC section 4)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from streamnotify.render.cleaning import one_line, shorten_middle

# Longer subjects are cut by mail programs anyway (research/email.md item 12).
SUBJECT_LIMIT = 120
_VALUE_LIMIT = 4 * SUBJECT_LIMIT  # a template of 4 KiB can name a variable of 64 KiB a thousand times

_METHODS: dict[str | None, Callable[[str], str]] = {
    None: str,
    "title": str.title,
    "upper": str.upper,
    "lower": str.lower,
    "capitalize": str.capitalize,
}
_FIELD = re.compile(r"\{\{|\}\}|\{([A-Za-z_]\w*)(?:\.(title|upper|lower|capitalize)\(\))?\}|[{}]", re.ASCII)


def format_line(template: str, variables: Mapping[str, object]) -> str | None:
    """``template`` with ``{name}`` and ``{name.title()}`` filled in; ``{{`` and ``}}`` are braces.

    Returns None if it names a variable that is missing, None or no text or number, or is written in any other way:
    attributes, indexes, conversions and format specs reach nothing.
    """
    pieces: list[str] = []
    position = 0
    for match in _FIELD.finditer(template):
        pieces.append(template[position : match.start()])
        position = match.end()
        if match[0] in ("{{", "}}"):
            pieces.append(match[0][0])
            continue
        value = variables.get(match[1]) if match[1] else None
        if not isinstance(value, str | int | float):
            return None
        pieces.append(_METHODS[match[2]](str(value)))
    pieces.append(template[position:])
    return "".join(pieces)


def format_subject(template: str, variables: Mapping[str, object]) -> str | None:
    """As :func:`format_line`, but as a subject, which has no room for long values; None also if it is empty."""
    short = {
        name: shorten_middle(value, _VALUE_LIMIT) if isinstance(value, str) else value
        for name, value in variables.items()
    }
    text = format_line(template, short)
    return subject_line(text) or None if text is not None else None


def subject_line(text: str) -> str:
    """``text`` as a subject: one clean line of at most 120 characters."""
    return shorten_middle(one_line(text), SUBJECT_LIMIT)
