"""What happens to a mailbox's digests: items come and are taken out, and times come (SPEC section 6)."""

from __future__ import annotations

import logging

from streamnotify.domain import digest, pending
from streamnotify.domain.alerts import HealthNotification
from streamnotify.domain.digest import Effect, Lane, Phase
from streamnotify.domain.notifications import SuppressionReason, TaskNotification
from streamnotify.domain.pending import DigestItem
from streamnotify.domain.recipients import Notification
from streamnotify.render.renderer import Renderer
from streamnotify.stations.context import Context
from streamnotify.stations.flushes import addressed, flush
from streamnotify.stations.lanes import LANE, PLACE, LaneRow, OpenLane, lanes_of, open_lane
from streamnotify.stations.mailing import MailboxPolicy, mail_at_once, report, suppress
from streamnotify.stations.owners import Owner
from streamnotify.wire.commands import LaneSeen
from streamnotify.wire.notification_status import NotificationStep

log = logging.getLogger(__name__)


def send_or_squash(
    policy: MailboxPolicy,
    renderer: Renderer | None,
    notification: Notification,
    given: Notification,
    owner: Owner,
    ctx: Context,
) -> None:
    """Mail a notification that its recipient's mailbox has taken, or squash it into the next digest.

    Args:
        policy: when which.
        renderer: of the mail; None if there is no relay.
        notification: with the recipient's address and name.
        given: as it came: what waits is addressed when it goes.
        owner: the recipient.
        ctx: the station's.
    """
    assert notification.mailbox is not None
    assert notification.email is not None
    which = Lane.TASKS if isinstance(notification, TaskNotification) else Lane.ALERTS
    lane = OpenLane(policy, notification.mailbox, which, owner, ctx)
    row = lane.row
    if renderer is None or (row is None and lane.rhythm.is_plain):
        mail_at_once(policy, renderer, notification, notification.email, ctx)
        return
    item = None if isinstance(given, HealthNotification) or given.urgent else given
    row = row or LaneRow()
    if item is not None and row.state.phase is Phase.PENDING and not row.pending.has_room_for(item):
        row = flush(lane, row, renderer)
    state, effect = digest.arrive(row.state, ctx.now, lane.rhythm, urgent=item is None)
    row = LaneRow(state, row.pending, row.look_at)
    if item is not None and effect is Effect.SQUASH:
        _squash(lane, row, item, notification)
    elif mail_at_once(policy, renderer, notification, notification.email, ctx):
        lane.keep(row)


def look(policy: MailboxPolicy, renderer: Renderer | None, key: str, ctx: Context) -> None:
    """The time has come to look at a lane: its digest may be due."""
    row = ctx.get(LANE, key)
    if row is None:
        return
    lane = open_lane(policy, key, ctx)
    effect = digest.look(row.state, ctx.now, lane.rhythm)
    if effect is Effect.FORGET:
        lane.forget()
        return
    lane.keep(flush(lane, row, renderer) if effect is Effect.FLUSH else row, exactly=True)


def reschedule(policy: MailboxPolicy, mailbox: str, owner: Owner, ctx: Context) -> None:
    """The owner may want other times now: what waits goes by these."""
    for lane, row in lanes_of(policy, mailbox, owner, ctx):
        lane.keep(row, exactly=True)


def mark_read(policy: MailboxPolicy, notification_id: str, ctx: Context) -> None:
    """Take what its recipient has seen elsewhere out of the digest it waits for, if it waits for one here."""
    place = ctx.get(PLACE, notification_id)
    if place is None:
        return
    key, number = place
    lane = open_lane(policy, key, ctx)
    row, item = lane.row, lane.item(number)
    lane.remove(number)
    if row is None or item is None:
        return
    own = addressed(item, lane.mailbox, lane.owner)
    suppress(own, SuppressionReason.READ, ctx, digest_id=lane.digest_id(row.state))
    left = pending.take_out(row.pending, number, item)
    state = row.state if left.total else digest.flushed(row.state, ctx.now, lane.rhythm, mailed=False)
    lane.keep(LaneRow(state, left, row.look_at))


def lanes_seen(policy: MailboxPolicy, mailbox: str, owner: Owner, ctx: Context) -> tuple[LaneSeen, ...]:
    """How the lanes of a mailbox stand, as far as there is anything to tell."""
    return tuple(
        LaneSeen(
            lane=lane.lane.value,
            phase=row.state.phase.value,
            digest_id=lane.digest_id(row.state) if row.state.phase is Phase.PENDING else None,
            pending=row.pending.total,
            next_at=digest.next_look(row.state, lane.rhythm, ctx.now),
            sent_at=row.state.sent_at,
            items=tuple((item.notification_id, item.task_name) for item in lane.items(row)),
        )
        for lane, row in lanes_of(policy, mailbox, owner, ctx)
    )


def _squash(lane: OpenLane, row: LaneRow, item: DigestItem, own: Notification) -> None:
    lane.keep(lane.add(row, item))
    until = digest.flush_at(row.state, lane.rhythm, lane.ctx.now)
    log.info("Notification for %s held for digest until %s", own.email, f"{until:%Y-%m-%d %H:%M:%S} UTC")
    digest_id = lane.digest_id(row.state)
    report(own, lane.ctx, NotificationStep.BATCHED, to=own.email, digest_id=digest_id, next_at=until)
