"""Tokens of the HTTP interface: what one is, and what a line about it in the file says.

A token is 32 random bytes, so its plain SHA-256 tells nobody anything; the file has only that.
"""

from __future__ import annotations

import enum
import hashlib
import secrets
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from streamnotify.errors import BadRecord
from streamnotify.wire.fields import NAME_LENGTH, Address, Instant
from streamnotify.wire.reading import read_json

PREFIX = "snt_"  # so that a token is recognized where it should not be, by people and by secret scanners
_RANDOM_BYTES = 32

_Filled = Annotated[str, Field(min_length=1, max_length=NAME_LENGTH)]


class Scope(enum.StrEnum):
    """What a token is good for. None includes another."""

    READ = "read"  # see runs, monitors, checks and notifications
    PUBLISH = "publish"  # publish task events, and have a test mail sent
    ADMIN = "admin"  # see dead letters, which belong to no organization


class Token(BaseModel):
    """A line of the file. Whoever has the token acts as ``user_id``, in ``organization_id`` only."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    name: Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9._@-]+$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    scopes: Annotated[list[Scope], Field(min_length=1)]
    organization_id: _Filled | None = None
    all_organizations: bool = False
    user_id: _Filled | None = None
    email: Address | None = None
    person: _Filled | None = None
    expires_at: Instant | None = None

    def has_expired(self, now: datetime) -> bool:
        """Whether it is not good any more; an instant without a zone is UTC."""
        until = self.expires_at
        return until is not None and (until if until.tzinfo else until.replace(tzinfo=UTC)) <= now


def new_secret() -> str:
    """A token as its owner keeps it."""
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def digest(secret: str) -> str:
    """What the file has of a token."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def parse(line: bytes) -> Token:
    """A line of the file as a token.

    Raises:
        BadRecord: naming the field that is wrong. To forget ``organization_id`` is a mistake and opens nothing.
    """
    token = read_json(Token, line, "a token", one="token")
    if token.organization_id is None and not token.all_organizations:
        raise BadRecord("required field missing, unless all_organizations is true", "organization_id")
    if token.organization_id is not None and token.all_organizations:
        raise BadRecord("true is not allowed beside an organization_id", "all_organizations")
    if Scope.ADMIN in token.scopes and not token.all_organizations:
        raise BadRecord("admin is only allowed with all_organizations: dead letters belong to none", "scopes")
    return token
