"""How the relay is reached (SPEC section 8)."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from streamnotify.domain.hosts import is_loopback


class Tls(enum.StrEnum):
    """How the connection is encrypted. None of them ever falls back to another."""

    STARTTLS = "starttls"  # plain at first, upgraded before anything is told; required, never opportunistic
    IMPLICIT = "implicit"  # encrypted from the first byte, usually on port 465
    NONE = "none"


@dataclass(frozen=True, slots=True)
class SmtpPolicy:
    """The relay and how patiently it is used.

    ``sender`` is the envelope's address; its domain is what we call ourselves in EHLO. ``token_file`` holds an OAuth
    access token, read anew for each connection, in the place of a password. ``ca_file`` is a PEM file of
    authorities to trust instead of the system's. ``data_timeout`` is how long the answer to the final dot may take:
    a shorter one than RFC 5321 4.5.3.2.6 asks for causes duplicates. ``idle_close`` is shorter than the 10 s after
    which SES hangs up (research/email.md item 28). ``waiting`` is how many mails may wait for one of ``connections``:
    among them the urgent go first. ``per_second`` and ``per_day`` bound what this worker sends; None is no bound.
    ``patience`` is how long a mail's first attempt waits for a relay that is out of order before it is shown as
    deferred; a later attempt waits until the relay works again or the mail expires.

    Raises:
        ValueError: if only one of user and password is given, a password and a token, or either would go over an open
            line.
    """

    host: str
    sender: str
    port: int = 587
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    tls: Tls = Tls.STARTTLS
    ca_file: str | None = None
    connections: int = 4
    waiting: int = 1000
    per_second: float | None = None
    per_day: int | None = None
    mails_per_connection: int = 100
    patience: timedelta = timedelta(seconds=10)
    idle_close: timedelta = timedelta(seconds=8)
    max_age: timedelta = timedelta(seconds=300)
    connect_timeout: timedelta = timedelta(seconds=30)
    command_timeout: timedelta = timedelta(seconds=60)
    data_timeout: timedelta = timedelta(seconds=600)
    reset_timeout: timedelta = timedelta(seconds=5)
    quit_timeout: timedelta = timedelta(seconds=2)

    def __post_init__(self) -> None:
        if self.password is not None and self.token_file is not None:
            raise ValueError("SMTP_PASSWORD and SMTP_TOKEN_FILE: one of them is allowed")
        has_secret = self.password is not None or self.token_file is not None
        if has_secret != (self.user is not None):
            raise ValueError("SMTP_USER and SMTP_PASSWORD (or SMTP_TOKEN_FILE): both or neither are allowed")
        if self.tls is Tls.NONE and has_secret and not is_loopback(self.host):
            raise ValueError(f"SMTP_TLS=none: a password is refused unless SMTP_HOST is loopback, not {self.host!r}")
