"""What the operator decides about how mails look and where their links lead."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from streamnotify.domain.hosts import is_loopback
from streamnotify.render.addresses import envelope_address

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


def require_safe_url(name: str, url: str) -> None:
    """Refuse a URL that must not stand in a mail: https everywhere, http on loopback only (SPEC section 4).

    Raises:
        ValueError: naming the setting and what is allowed.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    local = parts.scheme == "http" and is_loopback(host)
    if not host or not (parts.scheme == "https" or local) or re.search(r"[\s\"'<>\\\x00-\x1f\x7f]", url):
        raise ValueError(f"{name}: an https URL (http on loopback only) is allowed, not {url!r}")


@dataclass(frozen=True, slots=True)
class Brand:
    """Whose mails these are. ``team`` closes the mail; ``colour`` is ``#rrggbb``, dark enough for white text on it.

    Raises:
        ValueError: if a value could not stand in a mail.
    """

    name: str = "streamnotify"
    team: str = "The streamnotify team"
    colour: str = "#3730a3"
    logo_url: str | None = None
    footer: str | None = None
    reply_to: str | None = None

    def __post_init__(self) -> None:
        if not _COLOUR.fullmatch(self.colour):
            raise ValueError(f"brand colour: six hexadecimal digits after # are allowed, not {self.colour!r}")
        if self.logo_url is not None:
            require_safe_url("brand logo", self.logo_url)
        if self.reply_to is not None:
            envelope_address(self.reply_to)


@dataclass(frozen=True, slots=True)
class RenderPolicy:
    """Sender, brand and links of every mail. ``sender`` is the address after From.

    The link templates follow ``frontend_url``; ``{name}`` in them is a variable of the mail.

    Raises:
        ValueError: if the sender is no ASCII address or the URL is not safe.
    """

    sender: str
    brand: Brand = field(default_factory=Brand)
    frontend_url: str | None = None
    link_test_run: str = "/test-runs/{test_run_id}"
    link_test_set: str = "/test-sets/{test_set_id}"

    def __post_init__(self) -> None:
        if not envelope_address(self.sender).isascii():
            raise ValueError(f"sender: an address in ASCII is allowed, not {self.sender!r}")
        if self.frontend_url is not None:
            require_safe_url("FRONTEND_URL", self.frontend_url)
