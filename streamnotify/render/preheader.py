"""The line that an inbox shows beside the subject (research/email.md item 11)."""

from __future__ import annotations

from streamnotify.render.cleaning import one_line, shorten

LEAST, MOST = 40, 130  # characters


def preheader(text: str) -> str:
    """``text`` as a preheader: one line of at most 130 characters. Text of a template that is too short stays so."""
    return shorten(one_line(text), MOST)
