"""What the preferences page says, in words."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import available_timezones

from streamnotify.domain.digest_wishes import DigestWish, QuietHours
from streamnotify.domain.preference_changes import USUAL, PreferenceChange
from streamnotify.web.recipients.kinds import SHIPPED, name_of
from streamnotify.web.recipients.known import Known
from streamnotify.web.recipients.preference_view import DAILY, KEEP, WINDOWS, PreferenceView, locked, written
from streamnotify.wire.durations import duration

_LABELS = {
    "email": "Send me mails",
    "digest": "Mails about tasks",
    "daily_at": "Send it at",
    "quiet": "Keep quiet hours",
    "quiet_from": "From",
    "quiet_to": "To",
    "quiet_zone": "Time zone",
}
_AT_ONCE = "Send each by itself, at once"
_window = duration(zero=True)


def shown_words(known: Known | None, view: PreferenceView) -> dict[str, Any]:
    """The page's variables that say what the form's fields are about."""
    account = None if known is None else known.account
    locked_kinds, locked_organizations = ([], []) if known is None else locked(known)
    return {
        "is_known": known is not None,
        "labels": _labels(view),
        "names": {kind: name_of(kind) for kind in (*view.kinds, *locked_kinds)},
        "about": {kind: about for kind, (_, about) in SHIPPED.items()},
        "locked_kinds": locked_kinds,
        "locked_organizations": locked_organizations,
        "is_account_off": account is not None and account.email is False,
        "choices": _choices(view, None if account is None else account.digest),
        "account_hours": None if account is None or account.quiet_hours is None else hours(account.quiet_hours),
        "zones": _zones(),
        "timezone": None if known is None else known.timezone,
    }


def wished_for(change: PreferenceChange) -> list[str]:
    """What is different from now on, one sentence each."""
    said = []
    if change.email is not None:
        said.append("Mails are turned on again." if change.email else "All mails are turned off.")
    for words, wanted in (("On again", True), ("Off", False)):
        named = [name_of(kind) for kind, is_wanted in change.kinds.items() if is_wanted is wanted]
        named += [name for name, is_wanted in change.organizations.items() if is_wanted is wanted]
        if named:
            said.append(f"{words}: {', '.join(named)}.")
    if change.digest is not None:
        said.append("Mails about tasks come as usual." if change.digest == USUAL else f"{_wish(change.digest)}.")
    if change.quiet_hours is not None:
        said.append(
            "No quiet hours any more." if change.quiet_hours == USUAL else f"Quiet hours: {hours(change.quiet_hours)}."
        )
    return said


def hours(of: QuietHours) -> str:
    """Such as ``22:00 to 07:00, Europe/Rome time``."""
    zone = f", {of.timezone.replace('_', ' ')} time" if of.timezone else ""
    return f"{written(of.start)} to {written(of.end)}{zone}"


def _labels(view: PreferenceView) -> dict[str, str]:
    """What the fields are called."""
    found = dict(_LABELS)
    found.update((f"kind.{at}", name_of(kind)) for at, kind in enumerate(view.kinds))
    found.update((f"organization.{at}", name) for at, name in enumerate(view.organizations))
    return found


def _choices(view: PreferenceView, account: DigestWish | None) -> list[tuple[str, str]]:
    """How often mails may come: value and words."""
    usual = "As usual" if account is None else f"As your account says: {_lower(_wish(account))}"
    others = () if view.digest in (KEEP, USUAL, DAILY, *WINDOWS) else (view.digest,)
    found = [(USUAL, usual), *((window, _gathered(_window(window))) for window in (*WINDOWS, *others))]
    return [*([(KEEP, "Leave it as it is")] if view.digest == KEEP else []), *found, (DAILY, "Send one a day")]


def _wish(wish: DigestWish) -> str:
    if wish.window is not None:
        return _gathered(wish.window)
    return f"Send one a day at {written(wish.daily_at)}" if wish.daily_at is not None else _AT_ONCE


def _gathered(window: timedelta) -> str:
    return f"Gather what comes within {length(window)}" if window else _AT_ONCE


def length(window: timedelta) -> str:
    """Such as ``1 hour 30 minutes``."""
    minutes, seconds = divmod(window.total_seconds(), 60)
    hours_, left = divmod(int(minutes), 60)
    parts = ((hours_, "hour"), (left, "minute"), (round(seconds), "second"))
    return " ".join(f"{number} {unit}{'' if number == 1 else 's'}" for number, unit in parts if number) or "0 seconds"


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]


@lru_cache(maxsize=1)
def _zones() -> dict[str, list[str]]:
    """The time zones that are offered, by region."""
    regions = (
        "Africa",
        "America",
        "Antarctica",
        "Arctic",
        "Asia",
        "Atlantic",
        "Australia",
        "Europe",
        "Indian",
        "Pacific",
    )
    found: dict[str, list[str]] = {region: [] for region in regions}
    for zone in sorted(available_timezones()):
        region, slash, _ = zone.partition("/")
        if slash and region in found:
            found[region].append(zone)
    return found
