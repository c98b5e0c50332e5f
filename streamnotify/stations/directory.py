"""directory: who is who. Tells ``@superusers`` which users are superusers, and at what address (SPEC section 5)."""

from __future__ import annotations

import logging
from collections import Counter

from email_validator import EmailNotValidError

from streamnotify.domain.recipients import SUPERUSERS
from streamnotify.stations.context import Context, Record, Station
from streamnotify.stations.public_records import content_of, count_misspelt, key_of
from streamnotify.wire.commands import SetSuperuser
from streamnotify.wire.fields import NAME_LENGTH, ascii_address
from streamnotify.wire.topics import MAILBOXES, USERS
from streamnotify.wire.user import User, parse, user_id_in

logger = logging.getLogger(__name__)

_FIELDS = tuple(User.model_fields)


def station() -> Station:
    """The directory station."""
    misspelt: Counter[str] = Counter()

    def handle(record: Record, ctx: Context) -> None:
        key = key_of(record)
        if record.value is None:
            user_id = user_id_in(key)
            ctx.emit(MAILBOXES, SUPERUSERS, SetSuperuser(user_id, None))
            return
        user_id, user = parse(content_of(record), key)
        count_misspelt(user.model_extra, _FIELDS, misspelt, "a user", logger)
        email = _superusers_address(user_id, user)
        ctx.emit(MAILBOXES, SUPERUSERS, SetSuperuser(user_id, email, (user.name or None) if email else None))

    return Station("directory", (USERS,), handle)


def _superusers_address(user_id: str, user: User) -> str | None:
    """Where a superuser is told; None if the user is none, or cannot be told."""
    wanted = user.is_superuser and user.is_active is not False and user.email_verified is not False
    if not wanted or not user.email:
        return None
    try:
        return ascii_address(user.email)
    except EmailNotValidError:
        logger.warning("superuser %s is told nothing: %r is no address", user_id, user.email[:NAME_LENGTH])
        return None
