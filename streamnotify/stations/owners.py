"""Whose mailbox it is: the person or address behind it, what they want, and who must be told when that changes."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace

from streamnotify.domain.digest_wishes import DigestWish, QuietHours
from streamnotify.domain.notifications import SuppressionReason
from streamnotify.domain.preferences import (
    MANDATORY_KINDS,
    OptOuts,
    Preferences,
    Profile,
    digest_wish,
    opt_outs,
    quiet_hours,
    without,
)
from streamnotify.domain.recipients import ADDRESS, SUPERUSERS, USER, address_mailbox, user_mailbox
from streamnotify.stations.context import Context
from streamnotify.wire.commands import (
    SetAlias,
    SetOptOuts,
    SetOrganization,
    SetPreferences,
    SetSuperuser,
    Unsubscribe,
)
from streamnotify.wire.rows import Row
from streamnotify.wire.topics import MAILBOXES, OUTBOX, USER_PREFERENCES
from streamnotify.wire.user_preferences import public_preferences

log = logging.getLogger(__name__)

OWN = ""  # the source of what is said of the mailbox itself


@dataclass(frozen=True, slots=True)
class Owner:
    """What is known of a mailbox's owner.

    ``profile`` is a user's. ``preferences`` are by source: :data:`OWN`, or an address that is the user's.
    ``claimed_by`` are the users whose address it is. ``revision`` is of what the mailbox has published last itself.
    """

    profile: Profile | None = None
    preferences: dict[str, Preferences] = field(default_factory=dict)
    claimed_by: tuple[str, ...] = ()
    revision: int = 0

    @property
    def opt_outs(self) -> OptOuts:
        """What they refuse."""
        return opt_outs(self.profile, self._said)

    @property
    def digest_wish(self) -> DigestWish | None:
        """How they want their digests."""
        return digest_wish(self.profile, self._said)

    @property
    def quiet_hours(self) -> QuietHours | None:
        """When they want no mails."""
        return quiet_hours(self.profile, self._said)

    @property
    def timezone(self) -> str:
        """Their zone's IANA name."""
        return "UTC" if self.profile is None else self.profile.timezone

    @property
    def only_user(self) -> str | None:
        """The mailbox of the one user whose address it is; an address of two is nobody's."""
        return user_mailbox(self.claimed_by[0]) if len(self.claimed_by) == 1 else None

    @property
    def _said(self) -> list[Preferences]:
        """What is said, the mailbox's own first."""
        return [self.preferences[source] for source in sorted(self.preferences)]


NOBODY = Owner()
OWNER = Row(b"p", Owner)  # key: the mailbox
ORGANIZATION_OFF = Row(b"g", bool)  # key: the organization's id; there while its mails are switched off


def owner_of(mailbox: str, ctx: Context) -> Owner:
    """The owner of a mailbox."""
    return ctx.get(OWNER, mailbox) or NOBODY


def refusal(owner: Owner, ctx: Context, kind: str, organization_id: str | None) -> SuppressionReason | None:
    """Why the owner gets no notification of this kind from this organization; None if they do."""
    reason = owner.opt_outs.refusal(kind, organization_id) if owner is not NOBODY else None
    if reason is None and organization_id is not None and ctx.get(ORGANIZATION_OFF, organization_id):
        return SuppressionReason.ORGANIZATION_OFF
    return reason


def set_organization(command: SetOrganization, ctx: Context) -> None:
    """An organization's mails are switched off, or on again."""
    if command.is_off:
        ctx.put(ORGANIZATION_OFF, command.organization_id, value=True)
    else:
        ctx.delete(ORGANIZATION_OFF, command.organization_id)


def set_profile(mailbox: str, profile: Profile | None, ctx: Context) -> Owner:
    """A user is this now, or there is none any more; whoever must know is told. The owner as it is now."""
    before = owner_of(mailbox, ctx)
    after = replace(before, profile=profile)
    if after == before:
        return after
    _put(mailbox, after, ctx)
    user_id = mailbox.removeprefix(USER)
    old, new = _address(mailbox, before), _address(mailbox, after)
    if old != new:
        if old is not None:
            ctx.emit(MAILBOXES, address_mailbox(old), SetAlias(old, user_id, is_theirs=False))
        if new is not None:
            ctx.emit(MAILBOXES, address_mailbox(new), SetAlias(new, user_id, is_theirs=True))
    membership = _as_superuser(user_id, profile)
    if membership != _as_superuser(user_id, before.profile):
        ctx.emit(MAILBOXES, SUPERUSERS, membership)
    _tell_deliveries(mailbox, before, after, ctx)
    return after


def set_preferences(command: SetPreferences, ctx: Context) -> Owner:
    """What one source says the owner wants is this now. The owner as it is now."""
    before = owner_of(command.mailbox, ctx)
    if command.revision is not None and command.revision < before.revision:
        return before  # our own record, overtaken by the next one
    preferences = {source: said for source, said in before.preferences.items() if source != command.source}
    if command.preferences is not None:
        preferences[command.source] = command.preferences
    revision = max(before.revision, command.revision or 0)
    return _with_preferences(command.mailbox, before, replace(before, preferences=preferences, revision=revision), ctx)


def unsubscribe(command: Unsubscribe, ctx: Context) -> Owner:
    """The owner wants no more of this: it counts at once, and is published. The owner as it is now."""
    scope = command.scope
    before = owner_of(scope.mailbox, ctx)
    own = before.preferences.get(OWN, Preferences())
    if command.everything:
        own = without(own)
    elif command.whole_organization and scope.organization_id is not None:
        own = without(own, organization_id=scope.organization_id)
    elif not MANDATORY_KINDS.issuperset(scope.kinds):
        own = without(own, kinds=scope.kinds)
    else:
        log.warning("%s cannot be turned off", ", ".join(scope.kinds))
        return before
    # By time, so that what another deployment publishes on the same topic is news here, and the other way round.
    revision = max(int(ctx.now.timestamp() * 1000), before.revision + 1)
    after = replace(before, preferences=before.preferences | {OWN: own}, revision=revision)
    key = scope.mailbox.removeprefix(USER).removeprefix(ADDRESS)
    ctx.emit(USER_PREFERENCES, key, public_preferences(own, after.revision))
    return _with_preferences(scope.mailbox, before, after, ctx)


def set_alias(command: SetAlias, ctx: Context) -> Owner:
    """An address is a user's, or is not any more. Its owner as it is now."""
    mailbox = address_mailbox(command.address)
    before = owner_of(mailbox, ctx)
    claimed_by = {*before.claimed_by} - {command.user_id} | ({command.user_id} if command.is_theirs else set())
    after = replace(before, claimed_by=tuple(sorted(claimed_by)))
    if after == before:
        return after
    _put(mailbox, after, ctx)
    if len(after.claimed_by) > 1:
        users = " and ".join(after.claimed_by)
        log.warning("%s is the address of %s: what is sent to it is none of theirs", command.address, users)
    if before.only_user != after.only_user:
        said, source = after.preferences.get(OWN), command.address.lower()
        if before.only_user is not None:
            ctx.emit(MAILBOXES, before.only_user, SetPreferences(before.only_user, None, source))
        if after.only_user is not None and said is not None:
            ctx.emit(MAILBOXES, after.only_user, SetPreferences(after.only_user, said, source))
    return after


def _with_preferences(mailbox: str, before: Owner, after: Owner, ctx: Context) -> Owner:
    if after == before:
        return after
    _put(mailbox, after, ctx)
    if after.only_user is not None:
        source = mailbox.removeprefix(ADDRESS)
        ctx.emit(MAILBOXES, after.only_user, SetPreferences(after.only_user, after.preferences.get(OWN), source))
    _tell_deliveries(mailbox, before, after, ctx)
    return after


def _put(mailbox: str, owner: Owner, ctx: Context) -> None:
    if owner == NOBODY:
        ctx.delete(OWNER, mailbox)
    else:
        ctx.put(OWNER, mailbox, owner)


def _address(mailbox: str, owner: Owner) -> str | None:
    """Where the mailbox's mails go, in lower case."""
    if mailbox.startswith(ADDRESS):
        return mailbox.removeprefix(ADDRESS)
    return owner.profile.email.lower() if owner.profile is not None and owner.profile.email else None


def _as_superuser(user_id: str, profile: Profile | None) -> SetSuperuser:
    told = profile is not None and profile.is_superuser and profile.is_active and profile.email_verified
    if profile is None or not told or profile.email is None:
        return SetSuperuser(user_id, None)
    return SetSuperuser(user_id, profile.email, profile.name)


def _tell_deliveries(mailbox: str, before: Owner, after: Owner, ctx: Context) -> None:
    """Mails that wait in the outbox are held against what the owner refuses now; of users who are gone none goes."""
    old, new = _address(mailbox, before), _address(mailbox, after)
    refused, refuses = _for_deliveries(before), _for_deliveries(after)
    if old is not None and old != new:
        last = refuses if after.profile is not None else OptOuts(everything=SuppressionReason.INACTIVE)
        ctx.emit(OUTBOX, old, SetOptOuts(mailbox, last, is_last=True))
    if new is not None and refuses != (refused if new == old else OptOuts()):
        ctx.emit(OUTBOX, new, SetOptOuts(mailbox, refuses))


def _for_deliveries(owner: Owner) -> OptOuts:
    """Without memberships: nearly every user has some, and they were looked at when the mail was made."""
    return replace(owner.opt_outs, members_of=None)
