"""What a worker knows of a mailbox, in words for a person or as data for a script."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from streamnotify.cli.why_reading import normalised
from streamnotify.domain.digest import Phase
from streamnotify.domain.digest_wishes import DigestWish, QuietHours
from streamnotify.domain.preferences import OptOuts, Preferences, Profile, digest_wish, quiet_hours
from streamnotify.domain.recipients import ADDRESS, SUPERUSERS, USER, address_mailbox
from streamnotify.why.words import utc
from streamnotify.wire.commands import LaneSeen, MailboxAnswer
from streamnotify.wire.durations import format_duration
from streamnotify.wire.user_preferences import public_preferences

_ITEMS_SHOWN = 10
_OWN = ""  # the source of what is said of the mailbox itself


def is_known(answer: MailboxAnswer) -> bool:
    """Whether anything is known of the mailbox."""
    return MailboxAnswer(answer.question, answer.mailbox, opt_outs=answer.opt_outs) != answer or (
        answer.opt_outs not in (None, OptOuts())
    )


def is_shadow(answer: MailboxAnswer, answers: Iterable[MailboxAnswer]) -> bool:
    """Whether a user's mailbox knows only what is said of the address that is its name. As ids may be addresses, it is
    told to the user of this id and to the address alike, whether there is such a user or not."""
    if not answer.mailbox.startswith(USER):
        return False
    nothing_else = MailboxAnswer(
        answer.question, answer.mailbox, preferences=answer.preferences, opt_outs=answer.opt_outs
    )
    address = address_mailbox(normalised(answer.mailbox.removeprefix(USER)))
    said = [{_OWN: each.preferences.get(_OWN)} for each in answers if each.mailbox == address]
    return answer == nothing_else and said == [answer.preferences]


def described(answer: MailboxAnswer) -> dict[str, Any]:
    """A mailbox for a script; preferences in the form of their topic, by the record that states them."""
    profile = answer.profile
    return {
        "mailbox": answer.mailbox,
        "profile": None if profile is None else _profile(profile),
        "preferences": {source: _public(said) for source, said in sources(answer).items()},
        "forwards_to": answer.forwards_to,
        "claimed_by": list(answer.claimed_by),
        "opt_outs": msgspec.to_builtins(answer.opt_outs),
        "lanes": [_lane(lane) for lane in answer.lanes],
        "held": answer.held,
    }


def lines(answer: MailboxAnswer) -> Iterator[str]:
    """A mailbox for a person."""
    yield answer.mailbox
    yield from (f"  {line}" for line in _details(answer))


def sources(answer: MailboxAnswer) -> Mapping[str, Preferences]:
    """What is said of the mailbox, by where it is said."""
    address = answer.mailbox.removeprefix(ADDRESS) if answer.mailbox.startswith(ADDRESS) else None
    said = {} if answer.profile is None else {"users": answer.profile.preferences}
    for source, preferences in answer.preferences.items():
        named = source or address
        by_user = f"user {source.removeprefix(USER)}" if address and source.startswith(USER) else None
        said[by_user or (f"user-preferences of {named}" if named else "user-preferences")] = preferences
    return said


def _details(answer: MailboxAnswer) -> Iterator[str]:
    if answer.mailbox == SUPERUSERS:
        yield f"told where a monitor names nobody: {', '.join(answer.claimed_by) or 'nobody'}"
        return
    if answer.profile is not None:
        yield _person(answer.profile)
    elif not answer.claimed_by:
        yield "nobody of the topic users"
    yield from _claims(answer)
    yield from _refusals(answer)
    overlays = answer.preferences.values()
    wish, quiet = digest_wish(answer.profile, overlays), quiet_hours(answer.profile, overlays)
    if wish is not None:
        yield f"digest: {_wish(wish)}"
    if quiet is not None:
        yield f"quiet hours: {_quiet(quiet)}"
    for lane in answer.lanes:
        yield from _lane_lines(lane, answer)
    if answer.held:
        yield f"held until the topic users has this user: {answer.held}"


def _person(profile: Profile) -> str:
    address = f"<{profile.email}>" if profile.email else "without an address"
    marks = [
        "verified" if profile.email_verified else "not verified: gets no mail",
        "active" if profile.is_active else "not active: gets no mail",
    ]
    if profile.is_superuser:
        marks.append("superuser")
    if profile.organizations is not None:
        marks.append(f"member of {', '.join(profile.organizations) or 'no organization'}")
    marks.append(profile.timezone)
    return f"{profile.name or profile.user_id} {address}, {', '.join(marks)}"


def _claims(answer: MailboxAnswer) -> Iterator[str]:
    if answer.forwards_to is not None:
        yield f"belongs to user {' '.join(answer.claimed_by)}: what comes here goes to {answer.forwards_to}"
    elif len(answer.claimed_by) > 1:
        claimants = " and ".join(answer.claimed_by)
        yield f"the address of {claimants} alike: what is sent to it is none of theirs; correct the topic users"


def _refusals(answer: MailboxAnswer) -> Iterator[str]:
    """What is refused, and by which record."""
    said = sources(answer)
    yield from (f"refuses all mails, says {source}" for source, each in said.items() if each.email is False)
    for source, each in said.items():
        for name in _refused(each.organizations):
            yield f"refuses mails of organization {name}, says {source}"
        for name in _refused(each.kinds):
            yield f"refuses {name}, says {source}"


def _refused(wanted: Mapping[str, bool]) -> Iterable[str]:
    return sorted(name for name, is_wanted in wanted.items() if is_wanted is False)


def _wish(wish: DigestWish) -> str:
    if wish.daily_at is not None:
        return f"daily at {wish.daily_at:%H:%M}"
    return f"every {format_duration(wish.window)}" if wish.window else "none, each mail at once"


def _quiet(quiet: QuietHours) -> str:
    return f"{quiet.start:%H:%M} to {quiet.end:%H:%M}{f' in {quiet.timezone}' if quiet.timezone else ''}"


def _lane_lines(lane: LaneSeen, answer: MailboxAnswer) -> Iterator[str]:
    sent = f"; sent within the window: {len(lane.sent_at)}"
    if lane.phase == Phase.PENDING:
        flush = _local(lane.next_at, "UTC" if answer.profile is None else answer.profile.timezone)
        yield f"{lane.lane}: {lane.pending} in digest {lane.digest_id}, flushed at {flush}{sent}"
        yield from _dropped(answer.opt_outs or OptOuts())
    else:
        yield f"{lane.lane}: nothing waits{sent if lane.sent_at else ''}"
    for notification_id, about in lane.items[:_ITEMS_SHOWN]:
        yield f"  {about}  {notification_id}"
    if lane.pending > len(lane.items[:_ITEMS_SHOWN]):
        yield f"  and {lane.pending - len(lane.items[:_ITEMS_SHOWN])} more"


def _dropped(refused: OptOuts) -> Iterator[str]:
    """What becomes of a digest that has begun before something was refused; which part of it is, nobody has told."""
    if refused.everything is not None:
        yield "  all of it is refused by now and dropped at the flush"
    elif refused.organizations or refused.kinds:
        yield "  what of it is refused by now is dropped at the flush"


def _local(at: datetime | None, timezone: str) -> str:
    if at is None or timezone == "UTC":
        return utc(at)
    try:
        here = at.astimezone(ZoneInfo(timezone))
    except (ZoneInfoNotFoundError, ValueError):
        return utc(at)
    return f"{here:%Y-%m-%d %H:%M:%S} {timezone} ({utc(at.astimezone(UTC))})"


def _profile(profile: Profile) -> dict[str, Any]:
    return {name: value for name, value in msgspec.to_builtins(profile).items() if name != "preferences"}


def _lane(lane: LaneSeen) -> dict[str, Any]:
    items = [{"notification_id": notification_id, "about": about} for notification_id, about in lane.items]
    return {
        "lane": lane.lane,
        "phase": lane.phase,
        "digest_id": lane.digest_id,
        "pending": lane.pending,
        "next_at": lane.next_at and lane.next_at.isoformat(),
        "sent_at": [at.isoformat() for at in lane.sent_at],
        "items": items,
    }


def _public(preferences: Preferences) -> Any:
    return public_preferences(preferences).model_dump(mode="json", exclude_none=True)
