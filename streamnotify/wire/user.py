"""The records on ``users``: one person of the directory (SPEC 2.3)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from streamnotify.errors import BadRecord
from streamnotify.wire.fields import NAME_LENGTH, Name, OptionalId, RequiredId, Text
from streamnotify.wire.reading import read_json

_OPEN = ConfigDict(strict=True, extra="allow", frozen=True)


class OrganizationPreferences(BaseModel):
    """What somebody wants from one organization."""

    model_config = _OPEN

    email: bool | None = Field(default=None, description="false: no mails; null: no opinion.")


class Preferences(BaseModel):
    """What somebody wants to be told by mail. null is no opinion."""

    model_config = _OPEN

    email: bool | None = Field(default=None, description="false: no mails at all.")
    organizations: dict[Name, OrganizationPreferences | None] | None = Field(
        default=None, description="By organization."
    )
    kinds: dict[Name, bool | None] | None = Field(default=None, description="By kind, such as task_completion.")


class User(BaseModel):
    """One person. null is the same as absent. A record without value removes the person its key names."""

    model_config = ConfigDict(**_OPEN, title="users")

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
    organizations: list[RequiredId] | None = Field(default=None, description="Absent: not checked.")
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


def user_id_in(given: str | None) -> str:
    """A record's user_id.

    Raises:
        BadRecord: if it is empty or too long.
    """
    if not given:
        raise BadRecord("the record has no key, so it must say whom it is about", "user_id")
    if len(given) > NAME_LENGTH:
        raise BadRecord(f"the record's key has {len(given)} characters; at most {NAME_LENGTH} are allowed", "user_id")
    return given
