"""The records on ``users``: one person of the directory (SPEC 2.3)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from email_validator import EmailNotValidError
from pydantic import BaseModel, ConfigDict, Field

from streamnotify.domain.preferences import Preferences as DomainPreferences
from streamnotify.domain.preferences import Profile
from streamnotify.domain.recipients import ORGANIZATION
from streamnotify.errors import BadRecord
from streamnotify.wire.addresses import ascii_address
from streamnotify.wire.fields import NAME_LENGTH, Name, OptionalId, RequiredId, Text
from streamnotify.wire.reading import read_json
from streamnotify.wire.timezones import known_timezone
from streamnotify.wire.user_preferences import Preferences, preferences_in

MOST_ORGANIZATIONS = 200
MOST_BYTES = 10 * 1024  # of what is kept of a person: their mailbox stays below 64 KB with all its digests

_encode = msgspec.msgpack.Encoder().encode


class User(BaseModel):
    """One person. null is the same as absent. A record without value removes the person its key names."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True, title="users")

    user_id: OptionalId | None = Field(
        default=None, description="The record's key; where there is none it is required."
    )
    email: Text | None = Field(default=None, description="Where mails go; one that is no address gets none.")
    name: Name | None = None
    email_verified: bool | None = Field(default=None, description="false: no mails. Default true.")
    is_active: bool | None = Field(default=None, description="false: no mails. Default true.")
    is_superuser: bool | None = Field(
        default=None, description="true: is told where a monitor names nobody. Default false."
    )
    organizations: Annotated[list[RequiredId], Field(max_length=MOST_ORGANIZATIONS)] | None = Field(
        default=None, description="Mails about other organizations are not sent. Absent: not checked."
    )
    timezone: Name | None = Field(default=None, description="IANA name; default UTC.")
    locale: Name | None = None
    preferences: Preferences | None = None


def parse(value: bytes | None, key: str | None) -> tuple[str, User]:
    """A record's value as a person, after their user_id.

    Args:
        key: the record's, which is the user_id; None or empty: the record must say it.

    Raises:
        BadRecord: if it is none, with the reason and the field.
    """
    user = read_json(User, value, "a user")
    if key and user.user_id and user.user_id != key:
        raise BadRecord(f"differs from the record's key {key[:NAME_LENGTH]!r}", "user_id")
    return user_id_in(user.user_id or key), user


def profile_of(user_id: str, user: User) -> Profile:
    """A person as the rules know them. An ``email`` that is no address is none (:func:`has_bad_address`).

    Raises:
        BadRecord: naming the field, if the zone is unknown, or it is too much to be kept.
    """
    profile = Profile(
        user_id=user_id,
        email=_address(user.email),
        name=user.name or None,
        email_verified=user.email_verified is not False,
        is_active=user.is_active is not False,
        is_superuser=user.is_superuser is True,
        organizations=None if user.organizations is None else tuple(dict.fromkeys(user.organizations)),
        timezone=known_timezone(user.timezone, "timezone") if user.timezone else "UTC",
        locale=user.locale or None,
        preferences=preferences_in(user.preferences, "preferences") if user.preferences else DomainPreferences(),
    )
    size = len(_encode(profile))
    if size > MOST_BYTES:
        raise BadRecord(f"the person takes {size} bytes; at most {MOST_BYTES} are allowed", "organizations")
    return profile


def has_bad_address(user: User) -> bool:
    """Whether ``email`` is something, but no address one could write to."""
    return bool(user.email) and _address(user.email) is None


def user_id_in(given: str | None) -> str:
    """A record's user_id.

    Raises:
        BadRecord: if it is empty or too long, or reads as what preferences of an organization are keyed by.
    """
    if not given:
        raise BadRecord("the record has no key, so it must say whom it is about", "user_id")
    if len(given) > NAME_LENGTH:
        raise BadRecord(f"the record's key has {len(given)} characters; at most {NAME_LENGTH} are allowed", "user_id")
    if given.startswith(ORGANIZATION):
        raise BadRecord(f"one that begins with {ORGANIZATION} is an organization's on user-preferences", "user_id")
    return given


def _address(email: str | None) -> str | None:
    try:
        return ascii_address(email) if email else None
    except EmailNotValidError:
        return None
