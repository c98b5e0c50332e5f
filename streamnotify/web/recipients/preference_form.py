"""Reads the preferences page's form: what was changed in it, and what of it cannot be used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from typing import Annotated

import msgspec

from streamnotify.domain.digest_wishes import DigestWish, QuietHours
from streamnotify.domain.preference_changes import USUAL, PreferenceChange, Usual
from streamnotify.errors import BadRecord
from streamnotify.web.recipients import preference_view
from streamnotify.web.recipients.preference_view import DAILY, KEEP, WINDOWS, PreferenceView
from streamnotify.wire.durations import duration
from streamnotify.wire.timezones import known_timezone

MAX_BYTES = 64 * 1024
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
_SWITCHES = {"on": True, "off": False, KEEP: None}
_TEXT = 255  # characters; what a name may have, and more than any other field needs
_NOT_A_TIME = "Please enter a time from 00:00 to 23:59, such as 08:00."
_window = duration(zero=True)

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=_TEXT)]
_Switches = Annotated[dict[_Name, bool | None], msgspec.Meta(max_length=preference_view.MOST_LISTED)]


class BadForm(ValueError):
    """What was posted is not the page's form."""


class _Shown(PreferenceView, frozen=True):
    """What the form held when it was shown, as it comes back: from anybody, so that nothing in it is taken as given."""

    kinds: _Switches = msgspec.field(default_factory=dict)
    organizations: _Switches = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Posted:
    """A form that came back.

    ``view`` is what it holds now, ``shown`` what it held first, ``change`` the difference, and ``errors`` say by field
    what cannot be used; if there are any, there is no change.
    """

    view: PreferenceView
    shown: PreferenceView
    change: PreferenceChange
    errors: Mapping[str, str]


def posted(form: Mapping[str, str]) -> Posted:
    """The form that was posted.

    Raises:
        BadForm: if it is not ours.
    """
    try:
        shown = msgspec.json.decode(form.get("shown", ""), type=_Shown)
        if shown.digest not in (KEEP, USUAL, DAILY):
            _window(shown.digest)
    except (ValueError, RecursionError) as error:
        raise BadForm(str(error)) from None
    return _Reading(shown, form).posted()


class _Reading:
    """A form being read; what is wrong is gathered by field."""

    def __init__(self, shown: PreferenceView, form: Mapping[str, str]) -> None:
        self._shown = shown
        self._form = form
        self._errors: dict[str, str] = {}

    def posted(self) -> Posted:
        """All of it."""
        shown = self._shown
        view = PreferenceView(
            email=self._switch("email", shown.email),
            kinds=self._switches("kind", shown.kinds),
            organizations=self._switches("organization", shown.organizations),
            digest=self._text("digest", shown.digest),
            daily_at=self._text("daily_at", shown.daily_at),
            quiet=self._switch("quiet", shown.quiet),
            quiet_from=self._text("quiet_from", shown.quiet_from),
            quiet_to=self._text("quiet_to", shown.quiet_to),
            quiet_zone=self._text("quiet_zone", shown.quiet_zone),
        )
        change = PreferenceChange(
            email=None if view.email == shown.email else view.email,
            kinds=_changed(shown.kinds, view.kinds),
            organizations=_changed(shown.organizations, view.organizations),
            digest=self._digest(view),
            quiet_hours=self._quiet_hours(view),
        )
        # Of what cannot be chosen from a list the choice before is shown.
        kept = {name: getattr(shown, name) for name in ("digest", "quiet_zone") if name in self._errors}
        view = msgspec.structs.replace(view, **kept)
        return Posted(view, shown, PreferenceChange() if self._errors else change, self._errors)

    def _text(self, name: str, shown: str) -> str:
        return self._form.get(name, shown)[:_TEXT].strip()

    def _switch(self, name: str, shown: bool | None) -> bool | None:
        """A checkbox, which is not sent if it is off; of what was not known a choice of three."""
        value = self._form.get(name, KEEP if shown is None else "off")
        if value not in _SWITCHES or (value == KEEP and shown is not None):
            self._errors[name] = "Please choose on or off."
            return shown
        return _SWITCHES[value]

    def _switches(self, what: str, shown: Mapping[str, bool | None]) -> dict[str, bool | None]:
        return {name: self._switch(f"{what}.{at}", was) for at, (name, was) in enumerate(shown.items())}

    def _digest(self, view: PreferenceView) -> DigestWish | Usual | None:
        is_daily = view.digest == DAILY
        if view.digest == self._shown.digest and not is_daily:
            return None
        if is_daily:
            at = self._time("daily_at", view.daily_at)
            same = self._shown.digest == DAILY and self._shown.daily_at == view.daily_at
            return None if at is None or same else DigestWish(daily_at=at)
        if view.digest in WINDOWS:
            return DigestWish(window=_window(view.digest))
        if view.digest == USUAL:
            return USUAL
        self._errors["digest"] = "Please choose one of these."
        return None

    def _quiet_hours(self, view: PreferenceView) -> QuietHours | Usual | None:
        shown = self._shown
        if view.quiet is None or not view.quiet:
            return USUAL if shown.quiet is not False and view.quiet is False else None
        start, end = self._time("quiet_from", view.quiet_from), self._time("quiet_to", view.quiet_to)
        if start is not None and start == end:
            self._errors["quiet_to"] = "Please choose another time than the one they begin at."
        zone = self._zone(view.quiet_zone)
        if start is None or end is None or self._errors:
            return None
        same = shown.quiet and all(
            getattr(shown, name) == getattr(view, name) for name in ("quiet_from", "quiet_to", "quiet_zone")
        )
        return None if same else QuietHours(start, end, zone)

    def _time(self, name: str, text: str) -> time | None:
        match = _CLOCK.fullmatch(text)
        if match is None:
            self._errors[name] = _NOT_A_TIME
            return None
        return time(int(match[1]), int(match[2]))

    def _zone(self, name: str) -> str | None:
        if not name:
            return None
        try:
            return known_timezone(name, "quiet_zone")
        except BadRecord:
            self._errors["quiet_zone"] = "Please choose a time zone of the list."
            return None


def _changed(shown: Mapping[str, bool | None], now: Mapping[str, bool | None]) -> dict[str, bool]:
    return {name: wanted for name, wanted in now.items() if wanted is not None and wanted != shown[name]}
