"""Whole digests go from one mailbox to another, or come back from deliveries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial

import msgspec

from streamnotify.domain import digest, pending
from streamnotify.domain.digest import Lane, LaneState, Phase
from streamnotify.domain.notifications import SuppressionReason, TaskNotification
from streamnotify.domain.pending import DigestItem, Pending, PendingDigest, Tally
from streamnotify.domain.recipients import USER, mailbox_of
from streamnotify.render.renderer import Renderer
from streamnotify.stations.context import Context
from streamnotify.stations.flushes import flush
from streamnotify.stations.forwarding import forward
from streamnotify.stations.lanes import LaneRow, OpenLane, lanes_of
from streamnotify.stations.mailing import MailboxPolicy, report_digest
from streamnotify.stations.owners import Owner, owner_of, refusal
from streamnotify.wire.commands import MovePending, NotifyTask
from streamnotify.wire.notification_status import NotificationStep
from streamnotify.wire.topics import MAILBOXES


def move_all(policy: MailboxPolicy, mailbox: str, owner: Owner, to: str, ctx: Context) -> None:
    """What waits here is to wait in the mailbox ``to``, and the lanes are forgotten."""
    for lane, row in lanes_of(policy, mailbox, owner, ctx):
        if row.state.phase is Phase.PENDING:
            moved = lane.handed_on(row.state, row.pending.tallies, lane.items(row))
            ctx.emit(MAILBOXES, to, MovePending(to, moved))
            lane.clear(row)
        lane.forget()


def decide_anew(policy: MailboxPolicy, mailbox: str, owner: Owner, ctx: Context) -> None:
    """There is no such user any more: what waits for them is decided about as if it had come now.

    It may have been sent to an address, which is still there.
    """
    for lane, row in lanes_of(policy, mailbox, owner, ctx):
        _decide_anew(lane, lane.digest_id(row.state), row.pending.tallies, lane.items(row)[::-1])
        lane.clear(row)
        lane.forget()


def take_over(policy: MailboxPolicy, renderer: Renderer | None, command: MovePending, ctx: Context) -> None:
    """What was pending elsewhere is pending here.

    What was refused right before it went out is flushed again at once, without what is refused. Where nothing is known
    of a refusal here yet, it waits as if it had come now, so that it does not go round and round meanwhile.
    """
    owner, moved = owner_of(command.mailbox, ctx), command.digest
    if owner.only_user is not None:
        ctx.emit(MAILBOXES, owner.only_user, msgspec.structs.replace(command, mailbox=owner.only_user))
        return
    lane = OpenLane(policy, command.mailbox, Lane(moved.lane), owner, ctx)
    if command.mailbox.startswith(USER) and owner.profile is None:
        _decide_anew(lane, moved.digest_id, moved.tallies, moved.items)
        return
    row = lane.row or LaneRow()
    if row.state.phase is Phase.PENDING and not row.pending.has_room_for(*moved.tallies):
        row = flush(lane, row, renderer)
    at_once = command.at_once and moved.refusal(partial(refusal, owner, ctx)) is not None
    since = (moved.first_at, moved.last_at) if at_once or not command.at_once else (ctx.now, ctx.now)
    row = _with_moved(lane, row, moved, digest.take_over(row.state, *since, ctx.now))
    flush_at = ctx.now if at_once else digest.flush_at(row.state, lane.rhythm, ctx.now)
    _report_moved(lane, moved, row.state, flush_at)
    lane.keep(flush(lane, row, renderer) if at_once else row, exactly=True)


def _with_moved(lane: OpenLane, row: LaneRow, moved: PendingDigest, state: LaneState) -> LaneRow:
    row = LaneRow(state, pending.add_numbers(row.pending, _beside(moved.tallies, moved.items)), row.look_at)
    for item in moved.items:
        row = lane.add(row, item)
    return row


def _beside(tallies: Iterable[Tally], items: Iterable[DigestItem]) -> tuple[Tally, ...]:
    """What ``tallies`` count beside ``items``."""
    left = Pending(tuple(tallies))
    for item in items:
        left = pending.take_out(left, _NO_NUMBER, item)
    return left.tallies


_NO_NUMBER = -1  # of an item that is not kept here


def _report_moved(lane: OpenLane, moved: PendingDigest, state: LaneState, flush_at: datetime) -> None:
    report_digest(
        moved.digest_id,
        moved.total,
        lane.ctx,
        NotificationStep.BATCHED,
        moved_to=lane.digest_id(state),
        next_at=flush_at,
    )


def _decide_anew(lane: OpenLane, digest_id: str, tallies: Iterable[Tally], items: Sequence[DigestItem]) -> None:
    """``items``, the oldest first, come again; whom the others beside them were for is not known any more."""
    for item in items:
        mailbox = mailbox_of(item)
        if isinstance(item, TaskNotification) and mailbox is not None:
            lane.ctx.emit(MAILBOXES, mailbox, NotifyTask(item))
        elif mailbox is not None:
            forward(item, mailbox, lane.ctx)
    for tally in _beside(tallies, items):
        report_digest(
            digest_id,
            tally.total,
            lane.ctx,
            NotificationStep.SUPPRESSED,
            kind=tally.kind,
            organization_id=tally.organization_id,
            reason=SuppressionReason.NO_RECIPIENT,
        )
