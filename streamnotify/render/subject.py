"""``subject_template``: names and four methods of text, nothing else (SPEC section 4)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from streamnotify.render.cleaning import one_line, shorten_middle

# Longer subjects are cut by mail programs anyway (research/email.md item 12).
SUBJECT_LIMIT = 120

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


def subject_line(text: str) -> str:
    """``text`` as a subject: one clean line of at most 120 characters."""
    return shorten_middle(one_line(text), SUBJECT_LIMIT)
