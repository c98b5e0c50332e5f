"""What the preferences page's form holds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import time

import msgspec

from streamnotify.domain.digest_wishes import DigestWish
from streamnotify.domain.notifications import DIGEST
from streamnotify.domain.preferences import MANDATORY_KINDS, Preferences
from streamnotify.web.recipients.kinds import SHIPPED
from streamnotify.web.recipients.known import Known
from streamnotify.wire.durations import format_duration

KEEP, USUAL, DAILY = "keep", "usual", "daily"
WINDOWS = ("0s", "10m", "30m", "1h", "2h", "4h")  # that are offered
MOST_LISTED = 40  # kinds, and organizations; enough to be chosen from by hand
_NO_CHOICE = MANDATORY_KINDS | {DIGEST}  # a digest is of the kinds that it lists
_LISTED_BYTES = 6 * 1024  # of names, so that what is posted stays small


class PreferenceView(msgspec.Struct, frozen=True):
    """What the form holds. Of a switch None is: it is not known, and stays as it is unless it is touched.

    ``digest`` is :data:`KEEP`, :data:`USUAL`, :data:`DAILY` or a window such as ``1h``; times of day are ``08:00``;
    ``quiet_zone`` is empty for the person's own.
    """

    email: bool | None = None
    kinds: dict[str, bool | None] = msgspec.field(default_factory=dict)
    organizations: dict[str, bool | None] = msgspec.field(default_factory=dict)
    digest: str = KEEP
    daily_at: str = "08:00"
    quiet: bool | None = None
    quiet_from: str = "22:00"
    quiet_to: str = "07:00"
    quiet_zone: str = ""


def view_of(known: Known | None, kinds: Iterable[str], organization_id: str | None) -> PreferenceView:
    """The form as it is shown first.

    Args:
        known: None: nothing is, at the moment.
        kinds: of the mail whose link was followed.
        organization_id: likewise.
    """
    own = known.own if known is not None else Preferences()
    said = (known.kinds, known.organizations) if known is not None else ((), ())
    named = _listed((*SHIPPED, *_refused(own.kinds), *kinds, *said[0]))
    organizations = _listed((*_refused(own.organizations), *filter(None, [organization_id]), *said[1]))
    if known is None:
        return PreferenceView(kinds=dict.fromkeys(named), organizations=dict.fromkeys(organizations))
    locked_kinds, locked_organizations = locked(known)
    hours = own.quiet_hours
    at = own.digest.daily_at if own.digest is not None else None
    shown = PreferenceView(
        email=None if known.account.email is False else own.email is not False,  # then there is no switch
        kinds={kind: own.kinds.get(kind) is not False for kind in named if kind not in locked_kinds},
        organizations={
            name: own.organizations.get(name) is not False for name in organizations if name not in locked_organizations
        },
        digest=choice_of(own.digest),
        quiet=hours is not None,
    )
    if at is not None:
        shown = msgspec.structs.replace(shown, daily_at=written(at))
    if hours is not None:
        shown = msgspec.structs.replace(
            shown, quiet_from=written(hours.start), quiet_to=written(hours.end), quiet_zone=hours.timezone or ""
        )
    return shown


def locked(known: Known) -> tuple[list[str], list[str]]:
    """The kinds and organizations that are off, and cannot be turned on here."""
    account = known.account
    kinds = [kind for kind in _refused(account.kinds) if kind not in MANDATORY_KINDS]
    return kinds, [*dict.fromkeys((*_refused(account.organizations), *sorted(known.switched_off)))]


def choice_of(wish: DigestWish | None) -> str:
    """A wish as the form has it."""
    if wish is None:
        return USUAL
    return DAILY if wish.window is None else format_duration(wish.window)


def written(at: time) -> str:
    """A time of day as forms have it."""
    return at.strftime("%H:%M")


def _refused(said: dict[str, bool]) -> list[str]:
    return [name for name, wanted in said.items() if wanted is False]


def _listed(names: Iterable[str]) -> list[str]:
    """Those that there is room for, each once, without what nobody can turn off."""
    found: list[str] = []
    room = _LISTED_BYTES
    for name in dict.fromkeys(names):
        room -= len(name.encode("utf-8", "replace"))
        if name and name not in _NO_CHOICE and room >= 0 and len(found) < MOST_LISTED:
            found.append(name)
    return found
