"""What changes about mailboxes' owners, and who is told of it: addresses, superusers, deliveries."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import islice

from streamnotify.domain.notifications import SuppressionReason
from streamnotify.domain.preference_changes import PreferenceChange, changed
from streamnotify.domain.preferences import (
    MANDATORY_KINDS,
    OptOuts,
    Preferences,
    Profile,
    refusals_of,
    with_refusals,
    without,
)
from streamnotify.domain.recipients import ADDRESS, SUPERUSERS, USER, address_mailbox
from streamnotify.stations.context import Context
from streamnotify.stations.owners import NO_OPINION, NOBODY, OWN, OWNER, Owner, owner_of
from streamnotify.wire.commands import (
    ChangePreferences,
    SetAlias,
    SetOptOuts,
    SetPreferences,
    SetSuperuser,
    Unsubscribe,
)
from streamnotify.wire.rows import Row, keys_below
from streamnotify.wire.topics import MAILBOXES, OUTBOX, USER_PREFERENCES
from streamnotify.wire.user_preferences import has_room, public_preferences

log = logging.getLogger(__name__)

_SURE, _UNSURE = "0", "1"  # claims of users who are verified and active, and of others
CLAIM = Row(b"c", bool, ordered=True)  # key: below the address, one of these two, user_id; there while it is theirs
_MOST_CLAIMS = 3  # that are looked at: whether there are none, one or several is all that matters
_MOST_SOURCES = 10  # of what is said of a mailbox, so that it stays small
_MOST_FORMER = 3  # addresses; more often nobody moves within the days that a mail may wait in the outbox


def set_profile(mailbox: str, profile: Profile | None, ctx: Context) -> Owner:
    """A user is this now, or there is none any more. The owner as it is now."""
    before = owner_of(mailbox, ctx)
    after = replace(before, profile=profile)
    if after == before:
        return after
    old, new = before.address(mailbox), after.address(mailbox)
    if old is not None and new is not None and old != new:
        others = [address for address in before.former if address not in (old, new)]
        after = replace(after, former=(*others, old)[-_MOST_FORMER:])
    user_id = mailbox.removeprefix(USER)
    if old is not None and old != new:
        ctx.emit(MAILBOXES, address_mailbox(old), SetAlias(old, user_id, is_theirs=False))
    if new is not None and (old, _is_sure(before)) != (new, _is_sure(after)):
        ctx.emit(MAILBOXES, address_mailbox(new), SetAlias(new, user_id, is_theirs=True, is_sure=_is_sure(after)))
    membership = _as_superuser(user_id, profile)
    if membership != _as_superuser(user_id, before.profile):
        ctx.emit(MAILBOXES, SUPERUSERS, membership)
    return _changed(mailbox, before, after, ctx)


def set_preferences(command: SetPreferences, ctx: Context) -> Owner:
    """What one source says the owner wants is this now. The owner as it is now."""
    before, said = owner_of(command.mailbox, ctx), command.preferences
    if command.source != OWN:
        if len(before.preferences) >= _MOST_SOURCES and command.source not in before.preferences:
            log.warning("%s: what %s refuses is passed over, so many share it", command.mailbox, command.source)
            return before
        return _changed(command.mailbox, before, _with(before, command.source, said), ctx)
    if command.revision is not None:
        if command.revision < before.revision:
            return before  # our own record, overtaken by the next one
        seen = replace(before, revision=command.revision, unseen=None)
        return _changed(command.mailbox, before, _with(seen, OWN, said), ctx)
    after = _with(before, OWN, said)
    if before.unseen is not None:  # written by somebody who could not know what was turned off here meanwhile
        after = _published(command.mailbox, _with(after, OWN, with_refusals(said or NO_OPINION, before.unseen)), ctx)
    elif lost := _lost(before.own, after.own):
        log.warning("%s: a record on user-preferences takes back what was turned off: %s", command.mailbox, lost)
    return _changed(command.mailbox, before, after, ctx)


def unsubscribe(command: Unsubscribe, ctx: Context) -> Owner:
    """The owner wants no more of this: it counts at once, and is published. The owner as it is now."""
    scope = command.scope
    before = owner_of(scope.mailbox, ctx)
    if command.everything:
        refused = without(NO_OPINION)
    elif command.whole_organization and scope.organization_id is not None:
        refused = without(NO_OPINION, organization_id=scope.organization_id)
    elif not MANDATORY_KINDS.issuperset(scope.kinds):
        refused = without(NO_OPINION, kinds=scope.kinds)
    else:
        log.warning("%s cannot be turned off", ", ".join(scope.kinds))
        return before
    after = replace(
        _with(before, OWN, with_refusals(before.own, refused)),
        unseen=with_refusals(before.unseen or NO_OPINION, refused),
    )
    return _changed(scope.mailbox, before, _published(scope.mailbox, after, ctx), ctx)


def change_preferences(command: ChangePreferences, ctx: Context) -> Owner:
    """The owner wants something to be otherwise: it counts at once, and is published. The owner as it is now.

    Of a person with two mailboxes the other one is told: the user of an address all of it, since their wishes go before
    the address's, and the address of a user what is not refused any more, since what it refuses counts as well.
    """
    mailbox, change = command.mailbox, command.change
    before = owner_of(mailbox, ctx)
    if not command.to_stay:
        if before.only_user is not None:
            ctx.emit(MAILBOXES, before.only_user, ChangePreferences(before.only_user, change, to_stay=True))
        elif mailbox.startswith(USER):
            _turn_on_at_addresses(before, change.turned_on, ctx)
    own = changed(before.own, change)
    if own == before.own:
        return before
    if not has_room(own):
        log.warning("%s: what its person wants is passed over, so much they have named already", mailbox)
        return before
    unseen = changed(before.unseen or NO_OPINION, change.turned_on)
    unseen = with_refusals(unseen, change.turned_off)
    after = replace(_with(before, OWN, own), unseen=None if unseen == NO_OPINION else unseen)
    return _changed(mailbox, before, _published(mailbox, after, ctx), ctx)


def set_alias(command: SetAlias, ctx: Context) -> Owner:
    """An address is a user's, or is not any more. Its owner as it is now.

    Whoever is verified and active has it before others: signing up with an address takes it from nobody.
    """
    address = command.address.lower()
    mailbox = address_mailbox(address)
    start, stop = keys_below(address)
    for sureness in (_SURE, _UNSURE):
        if command.is_theirs and command.is_sure is (sureness == _SURE):
            ctx.put(CLAIM, f"{start}{sureness}{command.user_id}", value=True)
        else:
            ctx.delete(CLAIM, f"{start}{sureness}{command.user_id}")
    sure = [key for key, _ in islice(ctx.scan(CLAIM, start + _SURE, start + _UNSURE), _MOST_CLAIMS)]
    keys = sure or [key for key, _ in islice(ctx.scan(CLAIM, start + _UNSURE, stop), _MOST_CLAIMS)]
    before = owner_of(mailbox, ctx)
    after = replace(before, claimed_by=tuple(sorted(key[len(start) + 1 :] for key in keys)))
    if not command.is_theirs:
        after = _with(after, USER + command.user_id, None)
    if len(after.claimed_by) > 1 >= len(before.claimed_by):
        users = " and ".join(after.claimed_by)
        log.warning("%s is the address of %s: what is sent to it is none of theirs", address, users)
    if before.only_user != after.only_user:
        if before.only_user is not None:
            ctx.emit(MAILBOXES, before.only_user, SetPreferences(before.only_user, None, address))
        if after.only_user is not None and after.own != NO_OPINION:
            ctx.emit(MAILBOXES, after.only_user, SetPreferences(after.only_user, after.own, address))
    return _changed(mailbox, before, after, ctx)


def _turn_on_at_addresses(owner: Owner, turned_on: PreferenceChange, ctx: Context) -> None:
    for source, said in owner.preferences.items():
        if source != OWN and changed(said, turned_on) != said:
            mailbox = address_mailbox(source)
            ctx.emit(MAILBOXES, mailbox, ChangePreferences(mailbox, turned_on, to_stay=True))


def _with(owner: Owner, source: str, said: Preferences | None) -> Owner:
    """The owner with this as what the source says."""
    others = {name: each for name, each in owner.preferences.items() if name != source}
    return replace(owner, preferences=others if said is None else others | {source: said})


def _published(mailbox: str, owner: Owner, ctx: Context) -> Owner:
    """Publish what is said of the mailbox itself; the owner with the record's revision."""
    # By time, so that what another deployment publishes on the same topic is news here, and the other way round.
    revision = max(int(ctx.now.timestamp() * 1000), owner.revision + 1)
    key = mailbox.removeprefix(USER) if mailbox.startswith(USER) else mailbox.removeprefix(ADDRESS)
    ctx.emit(USER_PREFERENCES, key, public_preferences(owner.own, revision))
    return replace(owner, revision=revision)


def _changed(mailbox: str, before: Owner, after: Owner, ctx: Context) -> Owner:
    """Write the owner, and tell whoever goes by what they want; the owner as it is now."""
    if after == before:
        return after
    if mailbox.startswith(USER):
        _tell_address(mailbox, before, after, ctx)
    elif after.only_user is not None and after.only_user == before.only_user and after.own != before.own:
        said = after.preferences.get(OWN)
        ctx.emit(MAILBOXES, after.only_user, SetPreferences(after.only_user, said, mailbox.removeprefix(ADDRESS)))
    _tell_deliveries(mailbox, before, after, ctx)
    if mailbox.startswith(USER) and after.profile is None:
        after = replace(after, former=())
    if after == NOBODY:
        ctx.delete(OWNER, mailbox)
    else:
        ctx.put(OWNER, mailbox, after)
    return after


def _tell_address(mailbox: str, before: Owner, after: Owner, ctx: Context) -> None:
    """A user's address must know what they refuse: it may be another's, too, and decide for itself then."""
    old, new = before.address(mailbox), after.address(mailbox)
    refused = None if old != new else _own_refusals(before)
    refuses = _own_refusals(after)
    if new is not None and refuses != refused and (refuses, refused) != (NO_OPINION, None):
        said = None if refuses == NO_OPINION else refuses
        ctx.emit(MAILBOXES, address_mailbox(new), SetPreferences(address_mailbox(new), said, mailbox))


def _own_refusals(owner: Owner) -> Preferences:
    """What a user refuses, apart from what is said of their address; an address hears it from those it is sure of."""
    if not _is_sure(owner):
        return NO_OPINION
    profile = NO_OPINION if owner.profile is None else owner.profile.preferences
    return refusals_of(with_refusals(owner.own, refusals_of(profile)))


def _tell_deliveries(mailbox: str, before: Owner, after: Owner, ctx: Context) -> None:
    """Mails that wait in the outbox are held against what the owner refuses now; of users who are gone none goes."""
    old, new = before.address(mailbox), after.address(mailbox)
    refused, refuses = _for_deliveries(before), _for_deliveries(after)
    is_gone = before.profile is not None and after.profile is None
    if is_gone or refuses != refused or old != new:
        last = OptOuts(everything=SuppressionReason.INACTIVE) if is_gone else refuses
        left = dict.fromkeys((*after.former, *((old,) if old is not None else ())))
        for address in left:
            if address != new:
                ctx.emit(OUTBOX, address, SetOptOuts(mailbox, last, is_last=True))
    if new is not None and refuses != (refused if new == old else OptOuts()):
        ctx.emit(OUTBOX, new, SetOptOuts(mailbox, refuses))


def _for_deliveries(owner: Owner) -> OptOuts:
    """Without memberships: nearly every user has some, and they were looked at when the mail was made."""
    return replace(owner.opt_outs, members_of=None)


def _is_sure(owner: Owner) -> bool:
    return owner.profile is not None and owner.profile.email_verified and owner.profile.is_active


def _as_superuser(user_id: str, profile: Profile | None) -> SetSuperuser:
    if profile is None or not profile.is_superuser or not _is_sure(Owner(profile)) or profile.email is None:
        return SetSuperuser(user_id, None)
    return SetSuperuser(user_id, profile.email, profile.name)


def _lost(before: Preferences, after: Preferences) -> str:
    """What was refused before and is not any more, in words."""
    lost = [kind for kind, wanted in before.kinds.items() if wanted is False and after.kinds.get(kind) is not False]
    lost += [
        f"organization {name}"
        for name, wanted in before.organizations.items()
        if wanted is False and after.organizations.get(name) is not False
    ]
    if before.email is False and after.email is not False:
        lost.append("all mails")
    return ", ".join(lost)
