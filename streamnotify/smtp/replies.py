"""What is read from the words of a relay's reply."""

from __future__ import annotations

import re
from datetime import timedelta

_TEXT_LIMIT = 500
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")

_ADDRESS = re.compile(r"""<?(?:"[^"]*"|[^\s<>"])*@[^\s<>]*>?""")

_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\b")
_HINT = re.compile(
    r"\b(?:in|after|for|least)\s+(\d{1,6})\s*(?:(s)(?:ec(?:ond)?s?)?|(m)(?:in(?:ute)?s?)?|(h)(?:(?:ou)?rs?)?)\b",
    re.IGNORECASE,
)
_UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1)}
_SHORTEST_HINT, _LONGEST_HINT = timedelta(seconds=1), timedelta(hours=24)

# How the queue's name of an accepted mail is said: Exchange, Postfix and SendGrid, Exim, SES and sendmail.
_QUEUE_IDS = (
    re.compile(r"\[InternalId=([^,\]\s]+)", re.IGNORECASE),
    re.compile(r"queued as <?([\w.@:/+=-]+)>?", re.IGNORECASE),
    re.compile(r"\bid=([\w.@:/+=-]+)", re.IGNORECASE),
    re.compile(r"^(?:2\.\d\.\d )?Ok:? +([\w-]{6,}[\w.:@-]*)$", re.IGNORECASE),
    re.compile(r"^(?:2\.\d\.\d )?([\w-]{8,}) Message accepted", re.IGNORECASE),
    re.compile(r"^(?:2\.\d\.\d )?OK +\d+ ([\w.-]+) - gsmtp", re.IGNORECASE),
)


def visible(text: str) -> str:
    """The relay's words on one line, at most 500 characters, without anything that could forge a log line."""
    return _UNSEEN.sub(" ", text).strip()[:_TEXT_LIMIT]


def without_addresses(text: str) -> str:
    """Words as they may be shown to those who need not know whom we write to."""
    return _ADDRESS.sub("(an address)", text)


def enhanced_code(text: str) -> str | None:
    """The status code of RFC 3463 that a reply's words begin with, such as ``5.1.1``; None if there is none."""
    found = _ENHANCED.match(text)
    return found[0] if found else None


def retry_hint(text: str) -> timedelta | None:
    """How long the relay asks us to wait ("try again in 5 minutes"), from 1 second to 24 hours; None if it does not."""
    found = _HINT.search(text)
    if found is None:
        return None
    return min(max(int(found[1]) * _UNITS[found[found.lastindex or 2].lower()], _SHORTEST_HINT), _LONGEST_HINT)


def queue_id(text: str) -> str | None:
    """The relay's own name for a mail it has accepted, at most 100 characters; None if it told none."""
    for pattern in _QUEUE_IDS:
        if found := pattern.search(text):
            return found[1][:100]
    return None
