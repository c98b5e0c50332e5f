"""What people want to be told, and what of it they refuse (SPEC 2.3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from streamnotify.domain.alerts import HEALTH
from streamnotify.domain.digest_wishes import DigestWish, QuietHours
from streamnotify.domain.notifications import SuppressionReason

MANDATORY_KINDS = frozenset({HEALTH})  # nobody can turn them off


@dataclass(frozen=True, slots=True)
class Preferences:
    """What one source says somebody wants; None and what is not named are no opinion.

    ``organizations`` and ``kinds`` say by id or kind whether mails are wanted.
    """

    email: bool | None = None
    organizations: dict[str, bool] = field(default_factory=dict)
    kinds: dict[str, bool] = field(default_factory=dict)
    digest: DigestWish | None = None
    quiet_hours: QuietHours | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """A person of the directory. ``organizations`` None: an event's organization is not checked."""

    user_id: str
    email: str | None = None
    name: str | None = None
    email_verified: bool = True
    is_active: bool = True
    is_superuser: bool = False
    organizations: tuple[str, ...] | None = None
    timezone: str = "UTC"
    locale: str | None = None
    preferences: Preferences = field(default_factory=Preferences)


@dataclass(frozen=True, slots=True)
class OptOuts:
    """What a mailbox refuses; the default refuses nothing.

    ``everything`` says why no mail at all is wanted. ``members_of``: events of other organizations are none of theirs.
    """

    everything: SuppressionReason | None = None
    organizations: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    members_of: tuple[str, ...] | None = None

    def refusal(self, kind: str, organization_id: str | None) -> SuppressionReason | None:
        """Why a notification of this kind from this organization is refused; None if it is not."""
        if self.everything in _NOT_TO_BE_MAILED:
            return self.everything
        if kind not in MANDATORY_KINDS:
            if self.everything is not None:
                return self.everything
            if organization_id is not None and organization_id in self.organizations:
                return SuppressionReason.OPTED_OUT_ORGANIZATION
            if kind in self.kinds:
                return SuppressionReason.OPTED_OUT_KIND
        if organization_id is not None and self.members_of is not None and organization_id not in self.members_of:
            return SuppressionReason.CROSS_ORGANIZATION
        return None


# These are about the address and the person, not about what they want: they hold for mandatory kinds too.
_NOT_TO_BE_MAILED = frozenset({SuppressionReason.UNVERIFIED, SuppressionReason.INACTIVE})


@dataclass(frozen=True, slots=True)
class UnsubscribeScope:
    """What an unsubscribe link is about: a mailbox, and the organization and kinds of the mail it stood in."""

    mailbox: str
    kinds: tuple[str, ...]
    organization_id: str | None = None


def opt_outs(profile: Profile | None, overlays: Iterable[Preferences]) -> OptOuts:
    """What somebody refuses: any explicit false of any source counts, whatever the others say (SPEC 2.3).

    Args:
        profile: of a user; None for an address that belongs to nobody.
        overlays: what is said apart from the profile.
    """
    said = [*overlays] if profile is None else [profile.preferences, *overlays]
    return OptOuts(
        everything=_refuses_everything(profile, said),
        organizations=_refused(each.organizations for each in said),
        kinds=tuple(kind for kind in _refused(each.kinds for each in said) if kind not in MANDATORY_KINDS),
        members_of=None if profile is None else profile.organizations,
    )


def without(preferences: Preferences, *, kinds: Iterable[str] = (), organization_id: str | None = None) -> Preferences:
    """``preferences`` with all mails refused; with everything of an organization only, or else these kinds only, if
    they are given. Mandatory kinds cannot be refused and are passed over."""
    named = {*kinds}
    if organization_id is not None:
        return replace(preferences, organizations=preferences.organizations | {organization_id: False})
    if named:
        refused = dict.fromkeys(sorted(named - MANDATORY_KINDS), False)
        return replace(preferences, kinds=preferences.kinds | refused)
    return replace(preferences, email=False)


def refusals_of(preferences: Preferences) -> Preferences:
    """Only what ``preferences`` refuse."""
    return Preferences(
        email=False if preferences.email is False else None,
        organizations={name: False for name, wanted in preferences.organizations.items() if wanted is False},
        kinds={kind: False for kind, wanted in preferences.kinds.items() if wanted is False},
    )


def with_refusals(preferences: Preferences, refusals: Preferences) -> Preferences:
    """``preferences`` with what ``refusals`` refuse refused as well; see :func:`refusals_of`."""
    return replace(
        preferences,
        email=False if refusals.email is False else preferences.email,
        organizations=preferences.organizations | refusals.organizations,
        kinds=preferences.kinds | refusals.kinds,
    )


def digest_wish(profile: Profile | None, overlays: Iterable[Preferences]) -> DigestWish | None:
    """How somebody wants their digests; the first source that says anything counts, the profile last."""
    said = [*overlays] if profile is None else [*overlays, profile.preferences]
    return next((preferences.digest for preferences in said if preferences.digest is not None), None)


def quiet_hours(profile: Profile | None, overlays: Iterable[Preferences]) -> QuietHours | None:
    """When somebody wants no mails; as :func:`digest_wish`."""
    said = [*overlays] if profile is None else [*overlays, profile.preferences]
    return next((preferences.quiet_hours for preferences in said if preferences.quiet_hours is not None), None)


def _refuses_everything(profile: Profile | None, said: Iterable[Preferences]) -> SuppressionReason | None:
    if profile is not None and not profile.email_verified:
        return SuppressionReason.UNVERIFIED
    if profile is not None and not profile.is_active:
        return SuppressionReason.INACTIVE
    return SuppressionReason.OPTED_OUT_USER if any(each.email is False for each in said) else None


def _refused(said: Iterable[dict[str, bool]]) -> tuple[str, ...]:
    return tuple(sorted({name for names in said for name, wanted in names.items() if wanted is False}))
