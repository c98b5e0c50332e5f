"""What the read model knows of somebody's preferences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from streamnotify.domain.preferences import Preferences, Profile, refusals_of, with_refusals
from streamnotify.domain.recipients import ADDRESS, USER, address_mailbox, user_mailbox
from streamnotify.web.read_model.answers import Notification
from streamnotify.web.read_model.queries import ReadModel

_LATEST = 200  # notifications that are looked at for kinds and organizations
_MOST_LOOKED_UP = 40  # organizations that may be switched off


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of somebody's preferences.

    ``own`` is what they have said by links, on the page and by records on ``user-preferences``; ``account`` what the
    application says on ``users``, which nobody can change here; ``switched_off`` are organizations whose mails are off
    for everybody. ``kinds`` and ``organizations`` are those that they were told about. ``timezone`` None: unknown.
    """

    own: Preferences = field(default_factory=Preferences)
    account: Preferences = field(default_factory=Preferences)
    switched_off: frozenset[str] = frozenset()
    kinds: tuple[str, ...] = ()
    organizations: tuple[str, ...] = ()
    timezone: str | None = None


def known_of(mailbox: str, read_model: ReadModel, organization_id: str | None) -> Known | None:
    """What is known of a mailbox's person; None: there is no read model yet, or it is still being built.

    An address that is one user's is that user's, as it is for the mailboxes themselves.

    Args:
        mailbox: whose.
        read_model: may lag: what was said a moment ago is not in it then.
        organization_id: of the mail whose link was followed.
    """
    freshness = read_model.freshness()
    if freshness is None or freshness.caught_up_at is None:
        return None
    profile = _profile(mailbox, read_model)
    mailbox = mailbox if profile is None else user_mailbox(profile.user_id)
    own = _said(mailbox, read_model)
    address = profile.email if profile is not None else None
    if address is not None and _only_user(address, read_model) is not None:
        own = with_refusals(own, refusals_of(_said(address_mailbox(address), read_model)))
    told = _told(mailbox, read_model)
    organizations = [each.organization_id for each in told if each.organization_id]
    organizations += profile.organizations or () if profile is not None else ()
    asked = dict.fromkeys((*([organization_id] if organization_id else ()), *organizations))
    return Known(
        own=own,
        account=profile.preferences if profile is not None else Preferences(),
        switched_off=frozenset(filter(read_model.is_organization_off, [*asked][:_MOST_LOOKED_UP])),
        kinds=tuple(dict.fromkeys(each.kind for each in told if each.kind)),
        organizations=tuple(dict.fromkeys(organizations)),
        timezone=profile.timezone if profile is not None else None,
    )


def _told(mailbox: str, read_model: ReadModel) -> Sequence[Notification]:
    """The latest notifications to a mailbox. One of the two always narrows them down, so that none are another's."""
    if mailbox.startswith(USER):
        user_id = mailbox.removeprefix(USER)
        return read_model.notifications(organization=None, user_id=user_id, limit=_LATEST).items
    address = mailbox.removeprefix(ADDRESS)
    return read_model.notifications(organization=None, address=address, limit=_LATEST).items


def _profile(mailbox: str, read_model: ReadModel) -> Profile | None:
    if mailbox.startswith(ADDRESS):
        return _only_user(mailbox.removeprefix(ADDRESS), read_model)
    user = read_model.user(mailbox.removeprefix(USER))
    return None if user is None else user.profile


def _only_user(address: str, read_model: ReadModel) -> Profile | None:
    """The one user whose address it is; whoever is verified and active has it before others."""
    profiles = [user.profile for user in read_model.users_at(address)]
    sure = [profile for profile in profiles if profile.email_verified and profile.is_active] or profiles
    return sure[0] if len(sure) == 1 else None


def _said(mailbox: str, read_model: ReadModel) -> Preferences:
    record = read_model.preferences(mailbox)
    return Preferences() if record is None else record.preferences
