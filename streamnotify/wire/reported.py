"""What mail servers and providers report, as far as it can be used: they write what they like."""

from __future__ import annotations

import re

from email_validator import EmailNotValidError

from streamnotify.domain.feedback import enhanced_status
from streamnotify.wire.addresses import ascii_address
from streamnotify.wire.fields import TEXT_LENGTH

_ADDRESS = re.compile(r"<?([^\s<>]+@[^\s<>]+)>?")
_LONGEST_ADDRESS = 1000  # characters, which is more than any has; the pattern's time grows with their square
_NOT_PRINTABLE = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ufffd\ud800-\udfff]+")


def reported_text(text: object) -> str | None:
    """It as one line, at most 4096 characters; None if there is nothing."""
    return _NOT_PRINTABLE.sub(" ", str(text)).strip()[:TEXT_LENGTH] or None if text is not None else None


def reported_address(text: str | None) -> str | None:
    """The address, in brackets or not; None if it is of no use."""
    stripped = (text or "").strip()
    found = _ADDRESS.fullmatch(stripped) if len(stripped) <= _LONGEST_ADDRESS else None
    try:
        return ascii_address(found[1]) if found else None
    except (EmailNotValidError, ValueError):
        return None


def reported_status(stated: str | None, words: str | None) -> str | None:
    """The RFC 3463 status code; where it says only that something failed, the one in the server's words."""
    status, in_words = enhanced_status(stated), enhanced_status(words)
    return in_words or status if status is None or status.endswith(".0.0") else status
