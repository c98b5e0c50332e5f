"""The records on ``user-preferences``: what somebody wants to be told by mail, and how (SPEC 2.3)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import time, timedelta
from typing import Annotated, Any, Literal

import msgspec
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from streamnotify.domain import preferences as domain
from streamnotify.domain.digest_wishes import DigestWish
from streamnotify.domain.digest_wishes import QuietHours as DomainQuietHours
from streamnotify.domain.preferences import MANDATORY_KINDS
from streamnotify.errors import BadRecord
from streamnotify.wire.durations import duration, format_duration
from streamnotify.wire.fields import Name
from streamnotify.wire.reading import below, read_json
from streamnotify.wire.timezones import known_timezone

LONGEST_WINDOW = timedelta(days=7)
MOST_NAMED = 100  # organizations, and kinds
MOST_BYTES = 4 * 1024  # of what is kept of a record: a mailbox keeps a few, and stays below 64 KB with all its digests

_CLOCK = r"([01]?[0-9]|2[0-3]):[0-5][0-9]"
_DAILY = rf"daily at {_CLOCK}"
_OPEN = ConfigDict(strict=True, extra="allow", frozen=True, serialize_by_alias=True)

_encode = msgspec.msgpack.Encoder().encode
_parse_duration = duration(zero=True)


def _clock(text: str) -> str:
    if not re.fullmatch(_CLOCK, text, re.ASCII):
        raise PydanticCustomError("clock", "a time of day from 00:00 to 23:59 is allowed")
    return text


def _window(text: str) -> str:
    try:
        window = _parse_duration(text)
    except ValueError as error:
        raise PydanticCustomError("window", "{why}", {"why": str(error)}) from None
    if window > LONGEST_WINDOW:
        raise PydanticCustomError("window", "at most {most} is allowed", {"most": format_duration(LONGEST_WINDOW)})
    return text


def _an_object(allowed: str) -> BeforeValidator:
    """Refuses what is no JSON object with an example of one."""

    def check(given: Any) -> Any:
        if not isinstance(given, dict | BaseModel):
            raise PydanticCustomError("object", "{allowed} is allowed", {"allowed": allowed})
        return given

    return BeforeValidator(check)


Clock = Annotated[str, AfterValidator(_clock), Field(json_schema_extra={"pattern": f"^{_CLOCK}$"})]
Daily = Annotated[str, Field(json_schema_extra={"pattern": f"^{_DAILY}$"})]


class OrganizationPreferences(BaseModel):
    """What somebody wants from one organization; keyed ``organization:<id>``, what everybody gets from it."""

    model_config = _OPEN

    email: bool | None = Field(default=None, description="false: no mails; null: no opinion.")


class Digest(BaseModel):
    """Digests by a window of one's own."""

    model_config = _OPEN

    window: Annotated[str, AfterValidator(_window)] = Field(
        description='How long a digest waits for more, such as "1h", up to 7d; "0" is the same as false.'
    )


def _way(digest: Any) -> str | None:
    if isinstance(digest, dict | Digest):
        return "window"
    if isinstance(digest, str):
        return "daily" if re.fullmatch(_DAILY, digest, re.ASCII) else None
    return "off" if digest is False else None


Wish = Annotated[
    Annotated[Digest, Tag("window")] | Annotated[Literal[False], Tag("off")] | Annotated[Daily, Tag("daily")],
    Discriminator(
        _way,
        custom_error_type="digest",
        custom_error_message='{"window": "1h"}, "daily at 08:00" or false is allowed',
    ),
]


class QuietHours(BaseModel):
    """When no mails are wanted: they wait, and come together."""

    model_config = _OPEN

    start: Clock = Field(alias="from", description='Such as "22:00".')
    end: Clock = Field(alias="to", description='Such as "07:00": on the next day, if it is earlier.')
    timezone: Name | None = Field(default=None, description="IANA name; default: the person's.")


Organizations = Annotated[
    dict[Name, Annotated[OrganizationPreferences, _an_object('{"email": false}')] | None],
    Field(max_length=MOST_NAMED),
    _an_object('{"org-a": {"email": false}}'),
]
Kinds = Annotated[dict[Name, bool | None], Field(max_length=MOST_NAMED), _an_object('{"task_completion": false}')]
Hours = Annotated[QuietHours, _an_object('{"from": "22:00", "to": "07:00"} or null')]


class Preferences(BaseModel):
    """What somebody wants to be told by mail, and how. null is no opinion."""

    model_config = _OPEN

    email: bool | None = Field(default=None, description="false: no mails at all.")
    organizations: Organizations | None = Field(default=None, description="By organization.")
    kinds: Kinds | None = Field(
        default=None, description="By kind, such as task_completion; false: none of these mails."
    )
    digest: Wish | None = Field(
        default=None,
        description='{"window": "1h"}, "daily at 08:00" in the person\'s zone, or false: each mail at once.',
    )
    quiet_hours: Hours | None = Field(default=None, description="Within them mails wait, and come together after.")


class UserPreferences(Preferences):
    """What is said of the user or address that the key names. A record without value takes all of it back."""

    model_config = ConfigDict(title="user-preferences")

    revision: Annotated[int, Field(ge=1, le=2**63 - 1)] | None = Field(
        default=None, description="streamnotify's own, which records an unsubscribe; leave it out."
    )


def parse(value: bytes | None) -> UserPreferences:
    """A record's value as what a user or address wants.

    Raises:
        BadRecord: if it is none, with the reason and the field.
    """
    return read_json(UserPreferences, value, "somebody's preferences")


def parse_organization(value: bytes | None) -> OrganizationPreferences:
    """A record's value as what everybody gets from an organization.

    Raises:
        BadRecord: if it is none, with the reason and the field.
    """
    return read_json(OrganizationPreferences, value, "an organization's preferences")


def preferences_in(record: Preferences, path: str = "") -> domain.Preferences:
    """What a record says, as the rules know it. That a mandatory kind is not wanted is passed over.

    Args:
        record: what was read.
        path: where it stood in the record, such as ``preferences``.

    Raises:
        BadRecord: naming the field, if its parts do not fit together, or are too much to be kept.
    """
    organizations, kinds = record.organizations or {}, record.kinds or {}
    said = domain.Preferences(
        email=record.email,
        organizations={name: each.email for name, each in organizations.items() if each and each.email is not None},
        kinds={
            name: is_wanted
            for name, is_wanted in kinds.items()
            if is_wanted is True or (is_wanted is False and name not in MANDATORY_KINDS)
        },
        digest=_wish(record.digest),
        quiet_hours=None
        if record.quiet_hours is None
        else _quiet_hours(record.quiet_hours, below(path, "quiet_hours")),
    )
    size = len(_encode(said))
    if size > MOST_BYTES:
        largest = max(("organizations", "kinds"), key=lambda field: len(_encode(getattr(said, field))))
        raise BadRecord(f"its names take {size} bytes; at most {MOST_BYTES} are allowed", below(path, largest))
    return said


def public_preferences(preferences: domain.Preferences, revision: int | None = None) -> UserPreferences:
    """The record that :func:`parse` and :func:`preferences_in` read as ``preferences``."""
    hours = preferences.quiet_hours
    return UserPreferences.model_construct(  # what is kept already is not held against the limits again
        email=preferences.email,
        organizations={
            name: OrganizationPreferences(email=is_wanted) for name, is_wanted in preferences.organizations.items()
        }
        or None,
        kinds=dict(preferences.kinds) or None,
        digest=_public_wish(preferences.digest),
        quiet_hours=None
        if hours is None
        else QuietHours(**{"from": _written(hours.start), "to": _written(hours.end)}, timezone=hours.timezone),
        revision=revision,
    )


def has_room(preferences: domain.Preferences) -> bool:
    """Whether a mailbox can keep ``preferences``, and their record be read again."""
    named = max(len(preferences.organizations), len(preferences.kinds))
    return named <= MOST_NAMED and len(_encode(preferences)) <= MOST_BYTES


def without_effect(record: Preferences, path: str = "") -> list[str]:
    """What in a record changes nothing though it says so: path and reason."""
    return [
        f"{below(path, 'kinds')}.{kind}: cannot be turned off"
        for kind in sorted(MANDATORY_KINDS)
        if (record.kinds or {}).get(kind) is False
    ]


def parts(record: Preferences, path: str = "") -> Iterator[tuple[str, BaseModel]]:
    """A record and what stands in it, whatever may have misspelt fields, each after its path."""
    yield path, record
    for name, each in (record.organizations or {}).items():
        if each is not None:
            yield below(below(path, "organizations"), name), each
    if isinstance(record.digest, Digest):
        yield below(path, "digest"), record.digest
    if record.quiet_hours is not None:
        yield below(path, "quiet_hours"), record.quiet_hours


def field_names(model: type[BaseModel]) -> tuple[str, ...]:
    """The fields of a record as they are written."""
    return tuple(field.alias or name for name, field in model.model_fields.items())


def _wish(digest: Digest | bool | str | None) -> DigestWish | None:
    if digest is None:
        return None
    if isinstance(digest, Digest):
        return DigestWish(window=_parse_duration(digest.window))
    return DigestWish(daily_at=_time(digest.split()[-1])) if isinstance(digest, str) else DigestWish(window=timedelta())


def _public_wish(wish: DigestWish | None) -> Any:
    if wish is None:
        return None
    if wish.daily_at is not None:
        return f"daily at {_written(wish.daily_at)}"
    return Digest(window=format_duration(wish.window)) if wish.window else False


def _quiet_hours(hours: QuietHours, path: str) -> DomainQuietHours:
    start, end = _time(hours.start), _time(hours.end)
    if start == end:
        raise BadRecord(f"from and to are both {_written(start)}; two different times are allowed", f"{path}.to")
    zone = known_timezone(hours.timezone, f"{path}.timezone") if hours.timezone else None
    return DomainQuietHours(start, end, zone)


def _time(text: str) -> time:
    hour, minute = text.split(":")
    return time(int(hour), int(minute))


def _written(at: time) -> str:
    return at.strftime("%H:%M")
