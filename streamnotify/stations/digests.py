"""What happens to the digests of a mailbox: items come, times come, items and whole digests go (SPEC section 6)."""

from __future__ import annotations

import logging
from functools import partial

import msgspec

from streamnotify.domain import digest, pending
from streamnotify.domain.alerts import HealthNotification
from streamnotify.domain.digest import Effect, Lane, Phase
from streamnotify.domain.notifications import SuppressionReason, TaskNotification
from streamnotify.domain.pending import DigestItem, Pending
from streamnotify.domain.recipients import Notification
from streamnotify.render.renderer import Renderer
from streamnotify.stations.context import Context
from streamnotify.stations.flushes import drop, flush
from streamnotify.stations.lanes import ITEM, LANE, PLACE, LaneRow, OpenLane, lanes_of, open_lane
from streamnotify.stations.mailing import MailboxPolicy, mail_at_once, report, report_digest, suppress
from streamnotify.stations.owners import Owner, owner_of, refusal
from streamnotify.wire.commands import LaneSeen, MovePending
from streamnotify.wire.notification_status import NotificationStep
from streamnotify.wire.topics import MAILBOXES

log = logging.getLogger(__name__)


def send_or_squash(
    policy: MailboxPolicy, renderer: Renderer | None, notification: Notification, owner: Owner, ctx: Context
) -> None:
    """Mail a notification that its recipient's mailbox has taken, or squash it into the next digest."""
    assert notification.mailbox is not None
    assert notification.email is not None
    which = Lane.TASKS if isinstance(notification, TaskNotification) else Lane.ALERTS
    lane = OpenLane(policy, notification.mailbox, which, owner, ctx)
    row = lane.row
    if renderer is None or (row is None and lane.rhythm.is_plain):
        mail_at_once(policy, renderer, notification, notification.email, ctx)
        return
    item = None if isinstance(notification, HealthNotification) or notification.urgent else notification
    row = row or LaneRow()
    if item is not None and row.state.phase is Phase.PENDING and not row.pending.has_room_for(item):
        row = flush(lane, row, renderer)
    state, effect = digest.arrive(row.state, ctx.now, lane.rhythm, urgent=item is None)
    row = LaneRow(state, row.pending, row.look_at)
    if item is not None and effect is Effect.SQUASH:
        _squash(lane, row, item)
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


def drop_all(policy: MailboxPolicy, mailbox: str, owner: Owner, reason: SuppressionReason, ctx: Context) -> None:
    """Nothing that waits here is wanted any more, and the lanes are forgotten."""
    for lane, row in lanes_of(policy, mailbox, owner, ctx):
        items = lane.items()
        for tally in row.pending.tallies:
            drop(lane, row.state, tally, reason, items)
        lane.clear(row)
        lane.forget()


def move_all(policy: MailboxPolicy, mailbox: str, owner: Owner, to: str, ctx: Context) -> None:
    """What waits here is to wait in the mailbox ``to``, and the lanes are forgotten."""
    for lane, row in lanes_of(policy, mailbox, owner, ctx):
        if row.state.phase is Phase.PENDING:
            moved = lane.handed_on(row.state, row.pending.tallies, lane.items())
            ctx.emit(MAILBOXES, to, MovePending(to, moved))
            lane.clear(row)
        lane.forget()


def take_over(policy: MailboxPolicy, renderer: Renderer | None, command: MovePending, ctx: Context) -> None:
    """What was pending elsewhere is pending here.

    What was refused right before it went out is flushed again at once, without what is refused; where nothing is known
    of a refusal here yet, it waits its time.
    """
    owner, moved = owner_of(command.mailbox, ctx), command.digest
    if owner.only_user is not None:
        ctx.emit(MAILBOXES, owner.only_user, msgspec.structs.replace(command, mailbox=owner.only_user))
        return
    lane = OpenLane(policy, command.mailbox, Lane(moved.lane), owner, ctx)
    row = lane.row or LaneRow()
    if row.state.phase is Phase.PENDING and not row.pending.has_room_for(*moved.items):
        row = flush(lane, row, renderer)
    state = digest.take_over(row.state, moved.first_at, moved.last_at, ctx.now)
    beside = Pending(moved.tallies)
    for item in moved.items:
        beside = pending.take_out(beside, -1, item)
    row = LaneRow(state, pending.add_numbers(row.pending, beside.tallies), row.look_at)
    for item in moved.items:
        row = lane.add(row, item)
    at_once = command.at_once and moved.refusal(partial(refusal, owner, ctx)) is not None
    report_digest(
        moved.digest_id,
        moved.total,
        ctx,
        NotificationStep.BATCHED,
        moved_to=lane.digest_id(state),
        next_at=ctx.now if at_once else digest.flush_at(state, lane.rhythm, ctx.now),
    )
    lane.keep(flush(lane, row, renderer) if at_once else row, exactly=True)


def mark_read(policy: MailboxPolicy, notification_id: str, ctx: Context) -> None:
    """Take what its recipient has seen elsewhere out of the digest it waits for, if it waits for one here."""
    place = ctx.get(PLACE, notification_id)
    if place is None:
        return
    key, _, number = place.rpartition("\0")
    lane = open_lane(policy, key, ctx)
    row, item = lane.row, ctx.get(ITEM[lane.lane], place)
    ctx.delete(PLACE, notification_id)
    ctx.delete(ITEM[lane.lane], place)
    if row is None or item is None:
        return
    suppress(item, SuppressionReason.READ, ctx, digest_id=lane.digest_id(row.state))
    left = pending.take_out(row.pending, int(number), item)
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
            items=tuple((item.notification_id, item.task_name) for item in lane.items()),
        )
        for lane, row in lanes_of(policy, mailbox, owner, ctx)
    )


def _squash(lane: OpenLane, row: LaneRow, item: DigestItem) -> None:
    lane.keep(lane.add(row, item))
    until = digest.flush_at(row.state, lane.rhythm, lane.ctx.now)
    log.info("Notification for %s held for digest until %s", item.email, f"{until:%Y-%m-%d %H:%M:%S} UTC")
    digest_id = lane.digest_id(row.state)
    report(item, lane.ctx, NotificationStep.BATCHED, to=item.email, digest_id=digest_id, next_at=until)
