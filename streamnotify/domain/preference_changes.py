"""What somebody wants to be otherwise. It names only that, so that what they have said elsewhere meanwhile stays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from streamnotify.domain.digest_wishes import DigestWish, QuietHours
from streamnotify.domain.preferences import MANDATORY_KINDS, Preferences, with_refusals

Usual: TypeAlias = Literal["usual"]
USUAL: Usual = "usual"  # no wish of one's own any more


@dataclass(frozen=True, slots=True)
class PreferenceChange:
    """What is to change; what is None or not named stays as it is.

    ``email`` is about all mails; ``organizations`` and ``kinds`` say by id or kind whether mails are wanted from
    now on.
    """

    email: bool | None = None
    organizations: dict[str, bool] = field(default_factory=dict)
    kinds: dict[str, bool] = field(default_factory=dict)
    digest: DigestWish | Usual | None = None
    quiet_hours: QuietHours | Usual | None = None

    @property
    def turned_off(self) -> Preferences:
        """What is refused from now on."""
        return Preferences(
            email=False if self.email is False else None,
            organizations={name: False for name, wanted in self.organizations.items() if not wanted},
            kinds={kind: False for kind, wanted in self.kinds.items() if not wanted and kind not in MANDATORY_KINDS},
        )

    @property
    def turned_on(self) -> PreferenceChange:
        """Only what is not refused any more."""
        return PreferenceChange(
            email=True if self.email else None,
            organizations={name: True for name, wanted in self.organizations.items() if wanted},
            kinds={kind: True for kind, wanted in self.kinds.items() if wanted},
        )


def changed(preferences: Preferences, change: PreferenceChange) -> Preferences:
    """``preferences`` as they are after ``change``. Mandatory kinds cannot be refused and are passed over.

    What is turned on again is no opinion any more: that is what it was before it was turned off.
    """
    left = replace(
        preferences,
        email=None if change.email else preferences.email,
        organizations=_without(preferences.organizations, change.organizations),
        kinds=_without(preferences.kinds, change.kinds),
    )
    if change.digest is not None:
        left = replace(left, digest=None if change.digest == USUAL else change.digest)
    if change.quiet_hours is not None:
        left = replace(left, quiet_hours=None if change.quiet_hours == USUAL else change.quiet_hours)
    return with_refusals(left, change.turned_off)


def _without(said: dict[str, bool], wanted: dict[str, bool]) -> dict[str, bool]:
    """What is said, but for refusals of what is wanted now."""
    return {name: verdict for name, verdict in said.items() if verdict or not wanted.get(name, False)}
