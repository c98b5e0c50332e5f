"""What waits in a digest: exact numbers of everything, and the newest notifications themselves (SPEC section 6).

The numbers are kept by organization and kind, since that is what people turn off, so that what a digest says is exact
however much of it is dropped. Of the notifications only so many are kept as leave a mailbox small, so that a digest
need not go early because they are many or large.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import TypeAlias

from streamnotify.domain.alerts import RECOVERY, AlertNotification
from streamnotify.domain.notifications import DIGEST, SuppressionReason, TaskNotification

DigestItem: TypeAlias = TaskNotification | AlertNotification

KEPT_BYTES = 24_000  # of a lane; both lanes and all else of a mailbox stay below 64 KB
NUMBERS_BYTES = 11_000  # of these; with numbers of one more organization or kind than that, a digest is flushed first
_TALLY_BYTES = 80  # of one, as it is stored, beside its names and what it keeps
_KEYS_BYTES = 100  # of an item's keys, and of the row that finds it, beside the two names of its mailbox


class ItemOutcome(enum.StrEnum):
    """How an item counts in a digest's subject."""

    FAILED = "failed"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Tally:
    """How many notifications of an organization and kind wait, and which of them are kept, the oldest first.

    An alert counts as failed, a recovery as completed. ``kept`` are numbers of items, if any, and their sizes in bytes.
    """

    organization_id: str | None
    kind: str
    failed: int = 0
    completed: int = 0
    cancelled: int = 0
    kept: tuple[tuple[int, int], ...] = ()

    @property
    def total(self) -> int:
        """All of them."""
        return self.failed + self.completed + self.cancelled


@dataclass(frozen=True, slots=True)
class Pending:
    """What waits in a lane. ``next_number`` is the number of the next item."""

    tallies: tuple[Tally, ...] = ()
    next_number: int = 0

    @property
    def total(self) -> int:
        """How many notifications wait."""
        return sum(tally.total for tally in self.tallies)

    @property
    def kept_bytes(self) -> int:
        """The size of all: the numbers, and the notifications that are kept."""
        return sum(_tally_bytes(tally) + sum(size for _, size in tally.kept) for tally in self.tallies)

    def has_room_for(self, *counted: DigestItem | Tally) -> bool:
        """Whether the numbers stay small with these. Notifications find room: others are kept no longer then."""
        return sum({_key(each): _tally_bytes(each) for each in (*self.tallies, *counted)}.values()) <= NUMBERS_BYTES


@dataclass(frozen=True, slots=True)
class PendingDigest:
    """A whole digest on its way from one place to another: its numbers and its kept items, the oldest first.

    ``tallies`` keep no item numbers then. ``lane`` is tasks or alerts.
    """

    digest_id: str
    lane: str
    first_at: datetime
    last_at: datetime
    tallies: tuple[Tally, ...]
    tasks: tuple[TaskNotification, ...] = ()
    alerts: tuple[AlertNotification, ...] = ()

    @property
    def items(self) -> tuple[DigestItem, ...]:
        """The kept notifications, the oldest first."""
        return self.tasks or self.alerts

    @property
    def total(self) -> int:
        """How many notifications it stands for."""
        return sum(tally.total for tally in self.tallies)

    def refusal(self, refuses: Callable[[str, str | None], SuppressionReason | None]) -> SuppressionReason | None:
        """Why any part of it is refused, asked by kind and organization; None if nothing is."""
        reasons = (refuses(tally.kind, tally.organization_id) for tally in self.tallies)
        return next((reason for reason in reasons if reason is not None), None)


@dataclass(frozen=True, slots=True)
class DigestSection:
    """One organization's part of a digest; None: of no organization. ``items``: failures first, then the newest."""

    organization_id: str | None
    failed: int
    completed: int
    cancelled: int
    items: tuple[DigestItem, ...]

    @property
    def total(self) -> int:
        """All of its notifications, shown or not."""
        return self.failed + self.completed + self.cancelled


@dataclass(frozen=True, slots=True)
class DigestNotification:
    """A digest as it is mailed: what the survivors of its flush are, by organization, those of none last.

    ``organization_id`` is set if all are of one. ``kinds`` are those it contains. ``mailbox``, ``email``, ``name`` and
    ``timezone`` are the recipient's.
    """

    notification_id: str
    lane: str
    sections: tuple[DigestSection, ...]
    kinds: tuple[str, ...]
    email: str
    mailbox: str
    name: str | None = None
    timezone: str | None = None
    organization_id: str | None = None
    user_id: str | None = None
    pending: PendingDigest | None = field(default=None, repr=False)
    kind: str = DIGEST
    task_name: str | None = None
    task_id: str | None = None
    monitor: str | None = None
    urgent: bool = False

    @property
    def failed(self) -> int:
        """How many failed; of alerts, how many tasks were not as expected."""
        return sum(section.failed for section in self.sections)

    @property
    def completed(self) -> int:
        """How many succeeded; of alerts, how many were as expected again."""
        return sum(section.completed for section in self.sections)

    @property
    def cancelled(self) -> int:
        """How many were cancelled."""
        return sum(section.cancelled for section in self.sections)

    @property
    def total(self) -> int:
        """How many notifications there are in all."""
        return sum(section.total for section in self.sections)

    @property
    def shown(self) -> int:
        """How many of them are listed."""
        return sum(len(section.items) for section in self.sections)


def outcome_of(item: DigestItem) -> ItemOutcome:
    """How the item counts: an alert as failed, a recovery as completed."""
    if isinstance(item, AlertNotification):
        return ItemOutcome.COMPLETED if item.kind == RECOVERY else ItemOutcome.FAILED
    return _OUTCOMES.get(item.status, ItemOutcome.FAILED)


_OUTCOMES = {"success": ItemOutcome.COMPLETED, "cancelled": ItemOutcome.CANCELLED}


def add(pending: Pending, item: DigestItem, size: int) -> Pending:
    """``pending`` with one more, which is kept under ``pending.next_number``.

    Args:
        pending: it must have room for ``item``.
        item: the newest.
        size: of the row it is kept in, in bytes, without its key.
    """
    tally = _plus(_tally_like(pending, item), _one(item))
    size += _KEYS_BYTES + 2 * len((item.mailbox or "").encode())
    grown = replace(tally, kept=(*tally.kept, (pending.next_number, size)))
    return replace(_with(pending, grown), next_number=pending.next_number + 1)


def surplus(pending: Pending, show: int) -> tuple[Pending, tuple[int, ...]]:
    """``pending`` without the items that it keeps no longer, and their numbers, if it keeps too much.

    The newest ``show`` go last, and the very newest stays. Of the others, then of these, the oldest of whatever
    organization and kind keeps most goes first; where each keeps one, the oldest. One that is the only one of its own
    goes after these, as it may yet be mailed by itself.
    """
    size = pending.kept_bytes
    if size <= KEPT_BYTES:
        return pending, ()
    newest, *others = sorted((number for tally in pending.tallies for number, _ in tally.kept), reverse=True) or [-1]
    shown = {newest, *others[: show - 1]}
    in_turn = sorted(
        (number in shown, -newer, tally.total == 1, number, freed)
        for tally in pending.tallies
        for newer, (number, freed) in enumerate(reversed(tally.kept))
        if number != newest
    )
    gone: list[int] = []
    for *_, number, freed in in_turn:
        if size > KEPT_BYTES:
            gone.append(number)
            size -= freed
    left = (replace(each, kept=tuple(kept for kept in each.kept if kept[0] not in gone)) for each in pending.tallies)
    return replace(pending, tallies=tuple(left)), tuple(gone)


def take_out(pending: Pending, number: int, item: DigestItem) -> Pending:
    """``pending`` without ``item``, which counts in it, and is kept under ``number`` if it is kept."""
    tally = _tally_like(pending, item)
    kept = tuple(each for each in tally.kept if each[0] != number)
    return _with(pending, replace(_plus(tally, _one(item), times=-1), kept=kept))


def add_numbers(pending: Pending, tallies: Iterable[Tally]) -> Pending:
    """``pending`` with what ``tallies`` count: nothing of it is kept here."""
    for tally in tallies:
        pending = _with(pending, _plus(_tally_like(pending, tally), tally))
    return pending


def sections(tallies: Iterable[Tally], items: Iterable[DigestItem], show: int) -> tuple[DigestSection, ...]:
    """A digest's sections: by organization, those of none last; in each failures first, then the newest.

    Args:
        tallies: what is left of the digest.
        items: the kept ones of these, the newest first; the first ``show`` are shown.
    """
    # Sorted in a stable way: failures and others stay the newest first.
    shown = sorted(islice(items, show), key=lambda item: outcome_of(item) is not ItemOutcome.FAILED)
    counted: dict[str | None, Tally] = {}
    for tally in tallies:
        so_far = counted.get(tally.organization_id)
        counted[tally.organization_id] = tally if so_far is None else _plus(so_far, tally)
    return tuple(
        DigestSection(
            organization_id,
            total.failed,
            total.completed,
            total.cancelled,
            tuple(item for item in shown if item.organization_id == organization_id),
        )
        for organization_id, total in sorted(counted.items(), key=lambda each: (each[0] is None, each[0] or ""))
    )


def _key(counted: Tally | DigestItem) -> tuple[str | None, str]:
    return counted.organization_id, counted.kind


def _tally_bytes(counted: Tally | DigestItem) -> int:
    return _TALLY_BYTES + len((counted.organization_id or "").encode()) + len(counted.kind.encode())


def _one(item: DigestItem) -> Tally:
    """What one item counts."""
    failed, completed, cancelled = (int(outcome_of(item) is outcome) for outcome in ItemOutcome)
    return Tally(item.organization_id, item.kind, failed, completed, cancelled)


def _plus(tally: Tally, other: Tally, times: int = 1) -> Tally:
    return replace(
        tally,
        failed=tally.failed + times * other.failed,
        completed=tally.completed + times * other.completed,
        cancelled=tally.cancelled + times * other.cancelled,
    )


def _tally_like(pending: Pending, counted: Tally | DigestItem) -> Tally:
    """The tally of its organization and kind, an empty one if there is none yet."""
    known = (tally for tally in pending.tallies if _key(tally) == _key(counted))
    return next(known, Tally(counted.organization_id, counted.kind))


def _with(pending: Pending, tally: Tally) -> Pending:
    """With ``tally`` in place of the one of its organization and kind; without any if it counts nothing."""
    others = tuple(each for each in pending.tallies if _key(each) != _key(tally))
    return replace(pending, tallies=(*others, tally) if tally.total else others)
