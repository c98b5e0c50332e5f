"""Addresses as SMTP wants them."""

from __future__ import annotations

import re

import idna

# What may stand before the @ without quotes (RFC 5321 atext and dots; RFC 6531 adds everything above ASCII).
_LOCAL_PART = re.compile(r"[\w!#$%&'*+/=?^`{|}~.-]{1,64}")
_DOMAIN = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9-]{1,63}(?<!-))*", re.IGNORECASE)


class InvalidAddress(ValueError):
    """Not an address a mail can be sent to."""


def envelope_address(email: str) -> str:
    """``email`` with its domain in ASCII, so that SMTPUTF8 is needed for a non-ASCII local part only.

    Raises:
        InvalidAddress: if it is no address that can be written without quotes, or too long.
    """
    local_part, at, domain = email.rpartition("@")
    if not at:
        raise InvalidAddress(f"{email!r}: there is no @ in it")
    if any(mark in email for mark in "<>,; "):
        raise InvalidAddress(f"{email!r}: one address alone is allowed, without a name")
    if not _LOCAL_PART.fullmatch(local_part) or local_part[0] == "." or local_part[-1] == "." or ".." in local_part:
        raise InvalidAddress(f"{email!r}: the part before the @ is not valid")
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except UnicodeError as error:  # idna's own is one, too
            raise InvalidAddress(f"{email!r}: {error}") from error
    if len(domain) > 253 or not _DOMAIN.fullmatch(domain):
        raise InvalidAddress(f"{email!r}: the part after the @ is not valid")
    return f"{local_part}@{domain}"
