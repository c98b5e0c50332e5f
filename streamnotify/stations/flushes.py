"""The flush of a digest: what is still wanted is mailed, the rest is reported (SPEC section 6)."""

from __future__ import annotations

from dataclasses import replace

from streamnotify.domain import digest, pending
from streamnotify.domain.digest import LaneState
from streamnotify.domain.notifications import SuppressionReason, TaskNotification, is_placeholder
from streamnotify.domain.pending import DigestItem, DigestNotification, Tally
from streamnotify.domain.recipients import USER, Notification
from streamnotify.render.renderer import Renderer
from streamnotify.stations.lanes import LaneRow, OpenLane
from streamnotify.stations.mailing import mail_at_once, report_digest, suppress
from streamnotify.stations.owners import Owner, refusal
from streamnotify.wire.notification_status import NotificationStep


def flush(lane: OpenLane, row: LaneRow, renderer: Renderer | None) -> LaneRow:
    """Mail what is left of the digest once everything unwanted has been dropped: nothing, one mail or a digest."""
    items = lane.items(row)
    email, nobody = _recipient(lane, items, renderer)
    verdicts = [
        (tally, nobody or refusal(lane.owner, lane.ctx, tally.kind, tally.organization_id))
        for tally in row.pending.tallies
    ]
    left = [tally for tally, reason in verdicts if reason is None]
    for tally, reason in verdicts:
        if reason is not None:
            drop(lane, row.state, tally, reason, items)
    survivors = [item for item in items if any(_counts(tally, item) for tally in left)]
    mailed = bool(left) and email is not None and _mail(lane, row.state, left, survivors, email, renderer)
    lane.clear(row)
    return LaneRow(digest.flushed(row.state, lane.ctx.now, lane.rhythm, mailed=mailed), look_at=row.look_at)


def drop(lane: OpenLane, state: LaneState, tally: Tally, reason: SuppressionReason, items: list[DigestItem]) -> None:
    """Report what is not sent: each item that is kept, and how many there were beside them."""
    named = [item for item in items if _counts(tally, item)]
    for item in named:
        suppress(addressed(item, lane.mailbox, lane.owner), reason, lane.ctx, digest_id=lane.digest_id(state))
    if beside := tally.total - len(named):
        report_digest(
            lane.digest_id(state),
            beside,
            lane.ctx,
            NotificationStep.SUPPRESSED,
            kind=tally.kind,
            organization_id=tally.organization_id,
            reason=reason,
        )


def addressed(notification: Notification, mailbox: str, owner: Owner) -> Notification:
    """The notification as its recipient gets it: their address, name and zone as the directory has them."""
    profile = owner.profile
    if profile is None:
        return replace(notification, mailbox=mailbox)
    known = replace(
        notification,
        mailbox=mailbox,
        email=profile.email or notification.email,
        name=profile.name or notification.name,
        user_id=profile.user_id,
    )
    return replace(known, timezone=profile.timezone) if isinstance(known, TaskNotification) else known


def _mail(
    lane: OpenLane,
    state: LaneState,
    left: list[Tally],
    survivors: list[DigestItem],
    email: str,
    renderer: Renderer | None,
) -> bool:
    """Mail the survivors, which are the newest first; whether it could be done."""
    if sum(tally.total for tally in left) == 1 and survivors:
        return mail_at_once(lane.policy, renderer, addressed(survivors[0], lane.mailbox, lane.owner), email, lane.ctx)
    profile = lane.owner.profile
    organizations = {tally.organization_id for tally in left}
    notification = DigestNotification(
        notification_id=lane.digest_id(state),
        lane=lane.lane.value,
        sections=pending.sections(left, survivors, lane.policy.lanes[lane.lane].show),
        kinds=tuple(sorted({tally.kind for tally in left})),
        email=email,
        mailbox=lane.mailbox,
        name=_name(lane, survivors),
        timezone=profile.timezone if profile is not None else None,
        organization_id=organizations.pop() if len(organizations) == 1 else None,
        user_id=profile.user_id if profile is not None else None,
        pending=lane.handed_on(state, tuple(left), survivors),
    )
    return mail_at_once(lane.policy, renderer, notification, email, lane.ctx)


def _name(lane: OpenLane, items: list[DigestItem]) -> str | None:
    known = None if lane.owner.profile is None else lane.owner.profile.name
    return known or next((item.name for item in items if item.name), None)


def _recipient(
    lane: OpenLane, items: list[DigestItem], renderer: Renderer | None
) -> tuple[str | None, SuppressionReason | None]:
    """The address as it is now, or why nothing can be mailed at all."""
    profile = lane.owner.profile
    if lane.mailbox.startswith(USER) and profile is None:
        return None, SuppressionReason.NO_RECIPIENT
    # As it was written last; letter case may matter to their server.
    given = next((item.email for item in items if item.email), lane.owner.address(lane.mailbox))
    email = given if profile is None or profile.email is None else profile.email
    if email is None:
        return None, SuppressionReason.NO_RECIPIENT
    if is_placeholder(email, lane.policy.placeholder_domains):
        return None, SuppressionReason.PLACEHOLDER_ADDRESS
    if renderer is None:
        return None, SuppressionReason.SMTP_NOT_CONFIGURED
    return email, None


def _counts(tally: Tally, item: DigestItem) -> bool:
    return (tally.organization_id, tally.kind) == (item.organization_id, item.kind)
