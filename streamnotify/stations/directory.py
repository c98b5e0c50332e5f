"""directory: who is who, and what they want to be told; tells the mailboxes (SPEC 2.3)."""

from __future__ import annotations

import logging
from collections import Counter
from itertools import islice

from email_validator import EmailNotValidError
from pydantic import BaseModel

from streamnotify.domain.alerts import ALERT, HEALTH, RECOVERY
from streamnotify.domain.preferences import Preferences
from streamnotify.domain.recipients import ORGANIZATION, address_mailbox, user_mailbox
from streamnotify.domain.run_mail import DEFAULT_KIND
from streamnotify.errors import BadRecord
from streamnotify.stations.context import Context, Record, Station
from streamnotify.stations.public_records import content_of, count_misspelt, is_new, key_of, shown
from streamnotify.wire import user_preferences
from streamnotify.wire.addresses import ascii_address
from streamnotify.wire.commands import SetOrganization, SetPreferences, SetProfile
from streamnotify.wire.fields import NAME_LENGTH
from streamnotify.wire.reading import below, near_miss
from streamnotify.wire.topics import MAILBOXES, OUTBOX, USER_PREFERENCES, USERS
from streamnotify.wire.user import User, has_bad_address, parse, profile_of, user_id_in

logger = logging.getLogger(__name__)

_ORGANIZATIONS = (ORGANIZATION.removesuffix(":"),)
_KINDS = (DEFAULT_KIND, "test_execution_summary", ALERT, RECOVERY, HEALTH)  # there are own templates besides
_LONGEST_ADDRESS = 320  # characters
_PARTS_LOOKED_AT = 20  # for misspelt names, which takes time: a record may name 100 organizations


def station() -> Station:
    """The directory station."""
    misspelt: Counter[str] = Counter()

    def handle(record: Record, ctx: Context) -> None:
        key = key_of(record)
        if not record.topic.endswith(USER_PREFERENCES.name):
            _set_person(record, key, ctx, misspelt)
        elif key and key.startswith(ORGANIZATION):
            _set_organization(record, key.removeprefix(ORGANIZATION), ctx, misspelt)
        else:
            _set_preferences(record, key, ctx, misspelt)

    return Station("directory", (USERS, USER_PREFERENCES), handle)


def _set_person(record: Record, key: str | None, ctx: Context, misspelt: Counter[str]) -> None:
    if record.value is None:
        user_id, profile = user_id_in(key), None
    else:
        user_id, user = parse(content_of(record), key)
        profile = profile_of(user_id, user)
        whose = f"user {shown(user_id)}"
        _look_at_names(user, whose, misspelt)
        if has_bad_address(user):
            logger.warning("user %s gets no mails: %r is no address", user_id, (user.email or "")[:NAME_LENGTH])
        if user.preferences is not None:
            _look_at_preferences(user.preferences, whose, misspelt, "preferences", tuple(User.model_fields))
            _warn_of_what_is_without_effect(user_id, user.preferences, "preferences")
    mailbox = user_mailbox(user_id)
    ctx.emit(MAILBOXES, mailbox, SetProfile(user_id, profile))


def _set_preferences(record: Record, key: str | None, ctx: Context, misspelt: Counter[str]) -> None:
    """Told to the user whose id the key is, and, as ids may be addresses, to the address that it is."""
    if not key:
        raise BadRecord("the record has no key: a user_id, an address or organization:<id> is allowed")
    most = _LONGEST_ADDRESS if "@" in key else NAME_LENGTH
    if len(key) > most:
        raise BadRecord(f"the record's key has {len(key)} characters; at most {most} are allowed")
    _look_at_key(key, misspelt)
    preferences: Preferences | None = None
    revision: int | None = None
    if record.value is not None:
        said = user_preferences.parse(content_of(record))
        preferences, revision = user_preferences.preferences_in(said), said.revision
        _look_at_preferences(said, f"the preferences of {shown(key)}", misspelt)
        _warn_of_what_is_without_effect(key, said)
    for mailbox in _mailboxes(key):
        ctx.emit(MAILBOXES, mailbox, SetPreferences(mailbox, preferences, revision=revision))


def _set_organization(record: Record, organization_id: str, ctx: Context, misspelt: Counter[str]) -> None:
    if not 1 <= len(organization_id) <= NAME_LENGTH:
        raise BadRecord(f"the record's key is no {ORGANIZATION}<id> with 1 to {NAME_LENGTH} characters of id")
    is_off = False
    if record.value is not None:
        said = user_preferences.parse_organization(content_of(record))
        is_off = said.email is False
        _look_at_names(said, f"the preferences of {shown(ORGANIZATION + organization_id)}", misspelt)
    for topic in (MAILBOXES, OUTBOX):
        ctx.emit_everywhere(topic, SetOrganization(organization_id, is_off))


def _look_at_key(key: str, misspelt: Counter[str]) -> None:
    """Whatever it is, it may be a user_id; but this kind of one was probably meant to be an organization."""
    kind, colon, _ = key.partition(":")
    if (colon and (kind.lower() == "org" or near_miss(kind, _ORGANIZATIONS))) and is_new(kind + colon, misspelt):
        logger.warning("key %s is taken for a user_id: did you mean %s<id>?", shown(key), ORGANIZATION)


def _look_at_preferences(
    said: user_preferences.Preferences,
    what: str,
    misspelt: Counter[str],
    path: str = "",
    beside: tuple[str, ...] = (),
) -> None:
    """Point out misspelt and misplaced names; ``path`` is where ``said`` stands in the record, ``beside`` what else."""
    within = user_preferences.field_names(type(said))
    for at, part in islice(user_preferences.parts(said, path), _PARTS_LOOKED_AT):
        if part is said:
            _look_at_names(part, what, misspelt, path, beside)
        elif isinstance(part, user_preferences.OrganizationPreferences):
            _look_at_names(part, what, misspelt, below(path, "organizations.<id>"))  # a name in many of them is one
        else:
            _look_at_names(part, what, misspelt, at, within)
    for kind in said.kinds or ():
        meant = None if kind in _KINDS else near_miss(kind, _KINDS)
        if meant is not None and is_new(f"kinds.{kind}", misspelt):
            logger.warning("kind %r in %s: did you mean %s?", kind, what, meant)


def _look_at_names(
    part: BaseModel, what: str, misspelt: Counter[str], inside: str = "", beside: tuple[str, ...] = ()
) -> None:
    known = user_preferences.field_names(type(part))
    count_misspelt(part.model_extra, known, misspelt, what, logger, inside=inside, beside=beside)


def _warn_of_what_is_without_effect(whose: str, said: user_preferences.Preferences, path: str = "") -> None:
    for warning in user_preferences.without_effect(said, path):
        logger.warning("%s: %s", whose[:NAME_LENGTH], warning)


def _mailboxes(key: str) -> list[str]:
    if "@" in key:
        try:
            return [user_mailbox(key), address_mailbox(ascii_address(key))]
        except EmailNotValidError:
            pass
    return [user_mailbox(key)]
