"""Links by which somebody unsubscribes: they say from what, to us only (research/email.md item 22).

A token is ``base64url(AES-SIV(what it says))`` and the version. It is deterministic, so that a mail rendered again is
the same; nobody without the secret can read or make one; and one changed character is refused.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from streamnotify.domain.preferences import UnsubscribeScope
from streamnotify.render.links import is_safe_url

VALID_FOR = timedelta(days=180)
LONGEST_TOKEN = 720  # characters; with the URL before it, it stays below what a header's line has room for
LONGEST_PUBLIC_URL = 160
_VERSION = "1"  # the last character: mail programs take a "-" or "_" there for punctuation, and not for the link's
_PURPOSE = b"streamnotify unsubscribe 1"  # neither our other keys nor tokens made for something else fit
_KEY_BYTES = 64  # AES-256


class InvalidToken(ValueError):
    """A token that is not ours, or is damaged. It does not say what is wrong with it."""


class ExpiredToken(InvalidToken):
    """A token of ours that is too old."""


class _Said(msgspec.Struct, frozen=True, array_like=True):
    issued_s: int  # seconds since 1970
    mailbox: str
    kinds: tuple[str, ...]
    organization_id: str | None


class UnsubscribeLinks:
    """Makes and reads the links.

    Args:
        public_url: where the web process is reached from outside, without a slash at its end.
        secret: whoever knows it can make links and read them.

    Raises:
        ValueError: if links could not follow ``public_url``.
    """

    def __init__(self, public_url: str, secret: str) -> None:
        if not is_safe_url(public_url) or len(public_url) > LONGEST_PUBLIC_URL or {*"?#"} & {*public_url}:
            raise ValueError(
                f"PUBLIC_URL: an https URL (http on loopback only) of at most {LONGEST_PUBLIC_URL} characters, without "
                f"? and #, is allowed, not {public_url!r}"
            )
        self._prefix = f"{public_url.rstrip('/')}/unsubscribe/"
        key = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=_PURPOSE).derive(secret.encode())
        self._cipher = AESSIV(key)

    def url(self, scope: UnsubscribeScope, at: datetime) -> str | None:
        """The link that unsubscribes from ``scope``, valid for 180 days from ``at``, the mail's date.

        It is at most 900 characters long. Where ids are so long that not all of the scope has room, the organization is
        left out, then one kind after the other but the first; None if the mailbox alone has none.
        """
        tokens = (self._token(each, at) for each in _ever_less(scope))
        return next((self._prefix + token for token in tokens if len(token) <= LONGEST_TOKEN), None)

    def opened(self, token: str, now: datetime) -> UnsubscribeScope:
        """What a link is about.

        Args:
            token: the last part of its path, of whatever length and content.
            now: decides whether it is too old.

        Raises:
            ExpiredToken: if it is.
            InvalidToken: if it is not one of ours.
        """
        said = self._said(token)
        if now >= datetime.fromtimestamp(said.issued_s, UTC) + VALID_FOR:
            raise ExpiredToken("the link is too old")
        return UnsubscribeScope(said.mailbox, said.kinds, said.organization_id)

    def _token(self, scope: UnsubscribeScope, at: datetime) -> str:
        said = _Said(int(at.timestamp()), scope.mailbox, scope.kinds, scope.organization_id)
        sealed = self._cipher.encrypt(msgspec.msgpack.encode(said), [_PURPOSE])
        return urlsafe_b64encode(sealed).rstrip(b"=").decode() + _VERSION

    def _said(self, token: str) -> _Said:
        if len(token) > LONGEST_TOKEN or not token.endswith(_VERSION):
            raise InvalidToken("no link of ours")
        try:
            return msgspec.msgpack.decode(self._cipher.decrypt(_decoded(token[:-1]), [_PURPOSE]), type=_Said)
        except (ValueError, InvalidTag):  # the latter takes as long whatever is wrong
            raise InvalidToken("no link of ours") from None


def _decoded(text: str) -> bytes:
    """The bytes of base64url in its one proper spelling; others, of the same bytes, are refused.

    Raises:
        ValueError: if it is not.
    """
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if urlsafe_b64encode(data).rstrip(b"=").decode() != text:
        raise ValueError("another spelling")
    return data


def _ever_less(scope: UnsubscribeScope) -> Iterator[UnsubscribeScope]:
    yield scope
    for count in range(len(scope.kinds), 0, -1):
        yield replace(scope, kinds=scope.kinds[:count], organization_id=None)
