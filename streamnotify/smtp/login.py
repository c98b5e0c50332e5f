"""How we log in: with a password, or with an OAuth access token that something else keeps fresh in a file."""

from __future__ import annotations

import base64
import os
import re
from dataclasses import dataclass, field

import aiosmtplib

from streamnotify.errors import SettingsError
from streamnotify.smtp.fault import FaultKind, SmtpFault, Stage, at
from streamnotify.smtp.policy import SmtpPolicy
from streamnotify.wire.secret_files import file_setting, secret_of

_TOKEN = "SMTP_TOKEN"  # noqa: S105 - the name of a setting
_NO_TOKEN = re.compile(r"[^!-~]")  # what a token cannot have within; it would end it in what the relay is told
_CHALLENGE = 334  # its words are for programs, and may hold what we said in some other form
_LEAST_SECRET = 6  # characters; a shorter one stands in words that mean something else


@dataclass(frozen=True, slots=True)
class Login:
    """User and password, or user and token."""

    user: str
    secret: str = field(repr=False)
    is_token: bool = False

    @property
    def told(self) -> tuple[str, ...]:
        """The secret in every form in which the relay is told it."""
        if self.is_token:
            whole = f"user={self.user}\1auth=Bearer {self.secret}\1\1"
        else:
            whole = f"\0{self.user}\0{self.secret}"
        encoded = (base64.b64encode(text.encode()).decode() for text in (whole, self.secret))
        return self.secret, *encoded

    @property
    def hidden(self) -> tuple[str, ...]:
        """What must never be repeated."""
        return self.told if len(self.secret) >= _LEAST_SECRET else ()


def login_of(policy: SmtpPolicy) -> Login | None:
    """How to log in just now: the token is read anew each time; None if the relay wants no login.

    Raises:
        SmtpFault: if the token's file is of no use.
    """
    if policy.user is None:
        return None
    if policy.token_file is None:
        return Login(policy.user, policy.password or "")
    given = {file_setting(_TOKEN): str(policy.token_file)}
    if os.path.exists(policy.token_file) and not os.path.isfile(policy.token_file):  # noqa: PTH110, PTH113 - these raise nothing
        text = f"{file_setting(_TOKEN)} is {str(policy.token_file)!r}: a file is allowed"  # a pipe might be waited for
        raise SmtpFault(Stage.AUTH, FaultKind.NO_TOKEN, text)
    try:
        token = (secret_of(given, _TOKEN) or "").strip()
    except SettingsError as error:
        raise SmtpFault(Stage.AUTH, FaultKind.NO_TOKEN, str(error)) from None
    if not token or _NO_TOKEN.search(token):
        text = f"{file_setting(_TOKEN)} is {str(policy.token_file)!r}: an access token in ASCII and no more is allowed"
        raise SmtpFault(Stage.AUTH, FaultKind.NO_TOKEN, text)
    return Login(policy.user, token, is_token=True)


async def log_in(client: aiosmtplib.SMTP, login: Login) -> None:
    """One AUTH command per connection: aiosmtplib's login would try a wrong password once per mechanism.

    Raises:
        SmtpFault: if the relay refuses, or offers no way that we know.
    """
    try:
        with at(Stage.AUTH):
            await _tell(client, login)
    except SmtpFault as fault:
        answered = fault.kind in (FaultKind.REPLY, FaultKind.MALFORMED)
        if not answered or not (fault.code == _CHALLENGE or _repeats(fault.text, login)):
            raise
        said = "(a challenge, and no answer)" if fault.code == _CHALLENGE else "(the answer repeats what we said)"
        raise SmtpFault(Stage.AUTH, fault.kind, said, fault.code) from None


def _repeats(text: str, login: Login) -> bool:
    """Whether the secret stands in the relay's words, over several lines perhaps."""
    return any("".join(secret.split()) in "".join(text.split()) for secret in login.told)


async def _tell(client: aiosmtplib.SMTP, login: Login) -> None:
    offered = client.server_auth_methods
    if login.is_token:
        if "xoauth2" not in offered:
            raise SmtpFault(Stage.AUTH, FaultKind.NO_AUTH, "the relay offers no AUTH XOAUTH2")
        await client.auth_xoauth2(login.user, login.secret)  # it answers a challenge, which says why not, with nothing
    elif "plain" in offered:
        await client.auth_plain(login.user, login.secret)
    elif "login" in offered:
        await client.auth_login(login.user, login.secret)
    else:
        raise SmtpFault(Stage.AUTH, FaultKind.NO_AUTH, "the relay offers neither AUTH PLAIN nor AUTH LOGIN")
