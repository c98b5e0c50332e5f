"""What the operator decides about how mails look and where their links lead."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from streamnotify.render.addresses import envelope_address
from streamnotify.render.colours import ink_on, under_white
from streamnotify.render.links import is_safe_url
from streamnotify.render.recipient_links import RecipientLinks

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_FEEDBACK_ID = re.compile(r"([A-Za-z0-9._-]{1,100}:){2}[A-Za-z0-9._-]{5,15}")
_LINE_LIMIT = 500


def require_safe_url(name: str, url: str) -> None:
    """Refuse a URL that must not stand in a mail.

    Raises:
        ValueError: naming the setting and what is allowed.
    """
    if not is_safe_url(url):
        raise ValueError(f"{name}: an https URL (http on loopback only) is allowed, not {url!r}")


def _require_line(name: str, text: str) -> None:
    if not text.strip() or not text.isprintable() or len(text) > _LINE_LIMIT:
        raise ValueError(f"{name}: one line of 1 to {_LINE_LIMIT} printable characters is allowed, not {text[:80]!r}")


def _ascii_address(name: str, email: str) -> str:
    """``email`` as it may stand in a header: its domain may have been written otherwise."""
    address = envelope_address(email)
    if not address.isascii():
        raise ValueError(f"{name}: an address in ASCII is allowed, not {email!r}")
    return address


@dataclass(frozen=True, slots=True)
class Brand:
    """Whose mails these are. ``team`` closes the mail; ``colour``, ``#rrggbb``, is that of the buttons.

    Raises:
        ValueError: if a value could not stand in a mail.
    """

    name: str = "streamnotify"
    team: str = "The streamnotify team"
    colour: str = "#3730a3"
    logo: str | None = None
    footer: str | None = None
    reply_to: str | None = None

    def __post_init__(self) -> None:
        _require_line("brand name", self.name)
        _require_line("brand team", self.team)
        if not _COLOUR.fullmatch(self.colour):
            raise ValueError(f"brand colour: six hexadecimal digits after # are allowed, not {self.colour!r}")
        if self.logo is not None:
            require_safe_url("brand logo", self.logo)
        if self.footer is not None:
            _require_line("brand footer", self.footer)
        if self.reply_to is not None:
            object.__setattr__(self, "reply_to", _ascii_address("brand reply_to", self.reply_to))

    @property
    def ink(self) -> str:
        """The colour of text on ``colour``."""
        return ink_on(self.colour)

    @property
    def button(self) -> str:
        """``colour``, dark enough for white text: the ground of buttons."""
        return under_white(self.colour)


@dataclass(frozen=True, slots=True)
class RenderPolicy:
    """Sender, brand and links of every mail. ``sender`` is the address after From.

    The link templates follow ``frontend_url``; ``{name}`` in them is a variable of the mail. ``link_notifications``,
    which names none, is where people see all of their notifications. ``links`` makes those to our own pages, such as
    the one that unsubscribes by one click; ``unsubscribe_mailto`` is an address whose mails ask for no more of ours.
    ``feedback_id`` is what Feedback-ID has after the template's name: ``a:b:SenderId``, the same in every mail.

    Raises:
        ValueError: if an address is not ASCII, the URL is not safe, or the feedback id is none.
    """

    sender: str
    brand: Brand = field(default_factory=Brand)
    frontend_url: str | None = None
    link_test_run: str = "/test-runs/{test_run_id}"
    link_test_set: str = "/test-sets/{test_set_id}"
    link_notifications: str | None = None
    links: RecipientLinks | None = None
    unsubscribe_mailto: str | None = None
    feedback_id: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "sender", _ascii_address("sender", self.sender))
        if self.unsubscribe_mailto is not None:
            object.__setattr__(
                self, "unsubscribe_mailto", _ascii_address("unsubscribe_mailto", self.unsubscribe_mailto)
            )
        if self.frontend_url is not None:
            require_safe_url("FRONTEND_URL", self.frontend_url)
        if self.feedback_id is not None and not _FEEDBACK_ID.fullmatch(self.feedback_id):
            allowed = "a:b:SenderId, the last of 5 to 15 characters, is allowed"
            raise ValueError(f"feedback_id: {allowed}, not {self.feedback_id[:80]!r}")
