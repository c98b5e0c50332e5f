"""Links to our pages that say whom they are for and what about, to us only (research/email.md item 22).

A token is ``base64url(AES-SIV(what it says))`` and the version. It is deterministic, so that a mail rendered again is
the same; nobody without the secret can read or make one; and one changed character is refused. Each purpose has a key
of its own: a link for one thing is no right to another.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar, get_type_hints

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from streamnotify.render.links import is_safe_url

VALID_FOR = timedelta(days=180)
LONGEST_TOKEN = 720  # characters; with the URL before it, it stays below what a header's line has room for
LONGEST_PUBLIC_URL = 160
_VERSION = "1"  # the last character: mail programs take a "-" or "_" there for punctuation, and not for the link's
_KEY_BYTES = 64  # AES-256

Scope = TypeVar("Scope")


class InvalidToken(ValueError):
    """A token that is not ours, or is damaged. It does not say what is wrong with it."""


class ExpiredToken(InvalidToken):
    """A token of ours that is too old."""


@dataclass(frozen=True, slots=True)
class Opened(Generic[Scope]):
    """What a link is about, and the date of the mail it stood in."""

    scope: Scope
    issued_at: datetime


def _as_it_is(scope: Scope) -> Iterable[Scope]:
    return (scope,)


class SignedLinks(Generic[Scope]):
    """Makes and reads the links of one purpose.

    Args:
        public_url: where the web process is reached from outside, without a slash at its end.
        secret: whoever knows it can make links and read them.
        purpose: names it, as the first part of the path below ``public_url``.
        scope: the dataclass that a link carries; its fields are what msgspec knows.
        ever_less: a scope, then the same with less in it, for where ids are so long that not all of it has room.

    Raises:
        ValueError: if links could not follow ``public_url``.
    """

    def __init__(
        self,
        public_url: str,
        secret: str,
        purpose: str,
        scope: type[Scope],
        ever_less: Callable[[Scope], Iterable[Scope]] = _as_it_is,
    ) -> None:
        if not is_safe_url(public_url) or len(public_url) > LONGEST_PUBLIC_URL or {*"?#"} & {*public_url}:
            raise ValueError(
                f"PUBLIC_URL: an https URL (http on loopback only) of at most {LONGEST_PUBLIC_URL} characters, without "
                f"? and #, is allowed, not {public_url!r}"
            )
        self._prefix = f"{public_url.rstrip('/')}/{purpose}/"
        self._purpose = f"streamnotify {purpose} {_VERSION}".encode()
        key = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=self._purpose).derive(secret.encode())
        self._cipher = AESSIV(key)
        self._scope, self._ever_less = scope, ever_less
        self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(
            tuple[(int, *get_type_hints(scope).values())]  # type: ignore[misc]  # seconds since 1970, and the fields
        )

    def url(self, scope: Scope, at: datetime) -> str | None:
        """The link about ``scope``, valid for 180 days from ``at``, the mail's date.

        It is at most 900 characters long. Where not all of the scope has room, it is about less; None if not even the
        least has any.
        """
        tokens = (self._token(each, at) for each in self._ever_less(scope))
        return next((self._prefix + token for token in tokens if len(token) <= LONGEST_TOKEN), None)

    def opened(self, token: str, now: datetime) -> Opened[Scope]:
        """What a link is about.

        Args:
            token: the last part of its path, of whatever length and content.
            now: decides whether it is too old.

        Raises:
            ExpiredToken: if it is.
            InvalidToken: if it is not one of ours, or for another purpose.
        """
        issued_s, *fields = self._said(token)
        issued_at = datetime.fromtimestamp(issued_s, UTC)
        if now >= issued_at + VALID_FOR:
            raise ExpiredToken("the link is too old")
        return Opened(self._scope(*fields), issued_at)

    def _token(self, scope: Scope, at: datetime) -> str:
        said = (int(at.timestamp()), *astuple(scope))  # type: ignore[call-overload]  # a dataclass, as the class says
        sealed = self._cipher.encrypt(msgspec.msgpack.encode(said), [self._purpose])
        return urlsafe_b64encode(sealed).rstrip(b"=").decode() + _VERSION

    def _said(self, token: str) -> tuple[Any, ...]:
        if len(token) > LONGEST_TOKEN or not token.endswith(_VERSION):
            raise InvalidToken("no link of ours")
        try:
            said: tuple[Any, ...] = self._decoder.decode(
                self._cipher.decrypt(_decoded(token[: -len(_VERSION)]), [self._purpose])
            )
        except (ValueError, InvalidTag):  # the latter takes as long whatever is wrong
            raise InvalidToken("no link of ours") from None
        return said


def _decoded(text: str) -> bytes:
    """The bytes of base64url in its one proper spelling; others, of the same bytes, are refused.

    Raises:
        ValueError: if it is not.
    """
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if urlsafe_b64encode(data).rstrip(b"=").decode() != text:
        raise ValueError("another spelling")
    return data
