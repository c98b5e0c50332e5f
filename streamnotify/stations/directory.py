"""directory: who is who, and what they want to be told; tells the mailboxes (SPEC 2.3)."""

from __future__ import annotations

import logging
from collections import Counter
from itertools import islice

from email_validator import EmailNotValidError
from pydantic import BaseModel

from streamnotify.domain.preferences import Preferences
from streamnotify.domain.recipients import address_mailbox, user_mailbox
from streamnotify.errors import BadRecord
from streamnotify.stations.context import Context, Record, Station
from streamnotify.stations.public_records import content_of, count_misspelt, key_of
from streamnotify.wire import user_preferences
from streamnotify.wire.commands import SetOrganization, SetPreferences, SetProfile
from streamnotify.wire.fields import NAME_LENGTH, ascii_address
from streamnotify.wire.topics import MAILBOXES, OUTBOX, USER_PREFERENCES, USERS
from streamnotify.wire.user import has_bad_address, parse, profile_of, user_id_in

logger = logging.getLogger(__name__)

_ORGANIZATION = "organization:"
_LONGEST_ADDRESS = 320  # characters
_PARTS_LOOKED_AT = 20  # for misspelt names, which takes time: a record may name 100 organizations


def station() -> Station:
    """The directory station."""
    misspelt: Counter[str] = Counter()

    def handle(record: Record, ctx: Context) -> None:
        key = key_of(record)
        if not record.topic.endswith(USER_PREFERENCES.name):
            _set_person(record, key, ctx, misspelt)
        elif key and key.startswith(_ORGANIZATION):
            _set_organization(record, key.removeprefix(_ORGANIZATION), ctx, misspelt)
        else:
            _set_preferences(record, key, ctx, misspelt)

    return Station("directory", (USERS, USER_PREFERENCES), handle)


def _set_person(record: Record, key: str | None, ctx: Context, misspelt: Counter[str]) -> None:
    if record.value is None:
        user_id, profile = user_id_in(key), None
    else:
        user_id, user = parse(content_of(record), key)
        profile = profile_of(user_id, user)
        _look_at_names(user, "a user", misspelt)
        if has_bad_address(user):
            logger.warning("user %s gets no mails: %r is no address", user_id, (user.email or "")[:NAME_LENGTH])
        if user.preferences is not None:
            _look_at_preferences(user_id, user.preferences, "preferences", misspelt)
    mailbox = user_mailbox(user_id)
    ctx.emit(MAILBOXES, mailbox, SetProfile(user_id, profile))


def _set_preferences(record: Record, key: str | None, ctx: Context, misspelt: Counter[str]) -> None:
    """Told to the user whose id the key is, and, as ids may be addresses, to the address that it is."""
    if not key:
        raise BadRecord("the record has no key: a user_id, an address or organization:<id> is allowed")
    most = _LONGEST_ADDRESS if "@" in key else NAME_LENGTH
    if len(key) > most:
        raise BadRecord(f"the record's key has {len(key)} characters; at most {most} are allowed")
    preferences: Preferences | None = None
    revision: int | None = None
    if record.value is not None:
        said = user_preferences.parse(content_of(record))
        preferences, revision = user_preferences.preferences_in(said), said.revision
        _look_at_preferences(key, said, "", misspelt)
    for mailbox in _mailboxes(key):
        ctx.emit(MAILBOXES, mailbox, SetPreferences(mailbox, preferences, revision=revision))


def _set_organization(record: Record, organization_id: str, ctx: Context, misspelt: Counter[str]) -> None:
    if not 1 <= len(organization_id) <= NAME_LENGTH:
        raise BadRecord(f"the record's key is no {_ORGANIZATION}<id> with 1 to {NAME_LENGTH} characters of id")
    is_off = False
    if record.value is not None:
        said = user_preferences.parse_organization(content_of(record))
        is_off = said.email is False
        _look_at_names(said, "an organization's preferences", misspelt)
    for topic in (MAILBOXES, OUTBOX):
        ctx.emit_everywhere(topic, SetOrganization(organization_id, is_off))


def _look_at_preferences(whose: str, said: user_preferences.Preferences, path: str, misspelt: Counter[str]) -> None:
    for _, part in islice(user_preferences.parts(said), _PARTS_LOOKED_AT):
        _look_at_names(part, "somebody's preferences", misspelt)
    for warning in user_preferences.without_effect(said, path):
        logger.warning("%s: %s", whose[:NAME_LENGTH], warning)


def _look_at_names(part: BaseModel, what: str, misspelt: Counter[str]) -> None:
    count_misspelt(part.model_extra, user_preferences.field_names(type(part)), misspelt, what, logger)


def _mailboxes(key: str) -> list[str]:
    if "@" in key:
        try:
            return [user_mailbox(key), address_mailbox(ascii_address(key))]
        except EmailNotValidError:
            pass
    return [user_mailbox(key)]
