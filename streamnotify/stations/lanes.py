"""A mailbox's lane as it is kept: how it stands, and the items that wait in it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

from streamnotify.domain import digest, pending
from streamnotify.domain.alerts import AlertNotification
from streamnotify.domain.digest import Lane, LaneState, Rhythm
from streamnotify.domain.lean_items import LARGE, lean
from streamnotify.domain.notifications import DIGEST, TaskNotification, notification_id
from streamnotify.domain.pending import DigestItem, Pending, PendingDigest, Tally
from streamnotify.stations.context import Context
from streamnotify.stations.mailing import MailboxPolicy
from streamnotify.stations.owners import Owner, owner_of
from streamnotify.wire.rows import Row, keys_below


@dataclass(frozen=True, slots=True)
class LaneRow:
    """A lane. ``look_at``: when it is looked at next, which may be before there is anything to do."""

    state: LaneState = field(default_factory=LaneState)
    pending: Pending = field(default_factory=Pending)
    look_at: datetime | None = None


LANE = Row(b"d", LaneRow)  # key: mailbox, 0, lane; while there is anything to remember
_TASK_ITEM = Row(b"i", TaskNotification)  # key: below the lane's key, number of the item
_ALERT_ITEM = Row(b"j", AlertNotification)  # likewise
PLACE: Row[tuple[str, int]] = Row(b"x", tuple[str, int])  # key: notification_id of an item; its lane's key, its number
ITEM: dict[Lane, Row[DigestItem]] = {Lane.TASKS: _TASK_ITEM, Lane.ALERTS: _ALERT_ITEM}  # type: ignore[dict-item]  # each lane has its own
ROWS = (LANE, _TASK_ITEM, _ALERT_ITEM, PLACE)


@dataclass(frozen=True)
class OpenLane:
    """One mailbox's lane at hand."""

    policy: MailboxPolicy
    mailbox: str
    lane: Lane
    owner: Owner
    ctx: Context

    @property
    def key(self) -> str:
        """Of its row."""
        return f"{self.mailbox}\0{self.lane}"

    @cached_property
    def rhythm(self) -> Rhythm:
        """The lane's policy as the owner wants it."""
        policy, owner = self.policy.lanes[self.lane], self.owner
        return digest.rhythm(policy, self.lane, owner.digest_wish, owner.quiet_hours, owner.timezone)

    @property
    def row(self) -> LaneRow | None:
        """How it stands; None if nothing is remembered."""
        return self.ctx.get(LANE, self.key)

    def digest_id(self, state: LaneState) -> str:
        """What the digest at hand is called: mailbox, lane and sequence name it (DESIGN section 9)."""
        return notification_id(DIGEST, self.mailbox, self.lane.value, str(state.sequence))

    def keep(self, row: LaneRow, *, exactly: bool = False) -> None:
        """Write the lane, and see to it that it is looked at in time.

        A look set before, for a time that has moved on, is left as it is: looking once in vain costs less than moving
        it with each item. ``exactly`` sets it anew.
        """
        at = digest.next_look(row.state, self.rhythm, self.ctx.now)
        if at is None:
            self.forget()
            return
        if exactly or row.look_at is None or at < row.look_at or row.look_at <= self.ctx.now:
            row = replace(row, look_at=at)
            self.ctx.wake(LANE, self.key, at)
        self.ctx.put(LANE, self.key, row)

    def forget(self) -> None:
        """Nothing needs to be remembered of the lane."""
        self.ctx.delete(LANE, self.key)
        self.ctx.wake(LANE, self.key, None)

    def items(self, row: LaneRow) -> list[DigestItem]:
        """The items that are kept, the newest first.

        They are looked up one by one: a scan would walk over those of other mailboxes that have just been flushed.
        """
        numbers = sorted((number for tally in row.pending.tallies for number, _ in tally.kept), reverse=True)
        return [item for number in numbers if (item := self.item(number)) is not None]

    def add(self, row: LaneRow, item: DigestItem) -> LaneRow:
        """The lane with one more item in it."""
        if row.pending.total == 1:
            row = replace(row, pending=self._only_one_made_lean(row.pending))
        number = row.pending.next_number
        kept, size = self._as_kept(item, alone=not row.pending.total)
        self.ctx.put(ITEM[self.lane], self._place(number), kept)
        self.ctx.put(PLACE, item.notification_id, (self.key, number))
        show = self.policy.lanes[self.lane].show
        grown, surplus = pending.surplus(pending.add(row.pending, kept, size), show)
        for gone in surplus:
            self.remove(gone)
        return replace(row, pending=grown)

    def clear(self, row: LaneRow) -> None:
        """Remove all items."""
        for tally in row.pending.tallies:
            for number, _ in tally.kept:
                self.remove(number)

    def handed_on(self, state: LaneState, tallies: tuple[Tally, ...], items: list[DigestItem]) -> PendingDigest:
        """What is left of the digest, to be handed on; ``items`` are the newest first."""
        assert state.first_at is not None
        assert state.last_at is not None
        return PendingDigest(
            digest_id=self.digest_id(state),
            lane=self.lane.value,
            first_at=state.first_at,
            last_at=state.last_at,
            tallies=tuple(replace(tally, kept=()) for tally in tallies),
            tasks=tuple(item for item in reversed(items) if isinstance(item, TaskNotification)),
            alerts=tuple(item for item in reversed(items) if isinstance(item, AlertNotification)),
        )

    def _place(self, number: int) -> str:
        return f"{keys_below(self.key)[0]}{number:012d}"

    def item(self, number: int) -> DigestItem | None:
        """The kept item of this number."""
        return self.ctx.get(ITEM[self.lane], self._place(number))

    def remove(self, number: int) -> None:
        """Keep the item of this number no longer."""
        place = self._place(number)
        item = self.ctx.get(ITEM[self.lane], place)
        if item is not None:
            self.ctx.delete(PLACE, item.notification_id)
            self.ctx.delete(ITEM[self.lane], place)

    def _as_kept(self, item: DigestItem, *, alone: bool) -> tuple[DigestItem, int]:
        """An item as it is kept, and its size. One that may yet be mailed by itself is kept whole."""
        size = len(ITEM[self.lane].encode(item))
        if size <= (pending.KEPT_BYTES if alone else LARGE):
            return item, size
        kept = lean(item)
        return kept, len(ITEM[self.lane].encode(kept))

    def _only_one_made_lean(self, waiting: Pending) -> Pending:
        """The first item was kept whole; now that there is a second it need not be."""
        [tally] = waiting.tallies
        for number, size in tally.kept:
            item = self.ctx.get(ITEM[self.lane], self._place(number)) if size > LARGE else None
            if item is not None:
                kept, size = self._as_kept(item, alone=False)  # noqa: PLW2901 there is one
                self.ctx.put(ITEM[self.lane], self._place(number), kept)
                return replace(waiting, tallies=(replace(tally, kept=((number, size),)),))
        return waiting


def open_lane(policy: MailboxPolicy, key: str, ctx: Context) -> OpenLane:
    """The lane whose row has this key."""
    mailbox, _, lane = key.rpartition("\0")
    return OpenLane(policy, mailbox, Lane(lane), owner_of(mailbox, ctx), ctx)


def lanes_of(policy: MailboxPolicy, mailbox: str, owner: Owner, ctx: Context) -> list[tuple[OpenLane, LaneRow]]:
    """The lanes of a mailbox of which anything is remembered."""
    lanes = [OpenLane(policy, mailbox, lane, owner, ctx) for lane in Lane]
    return [(lane, row) for lane in lanes if (row := lane.row) is not None]
