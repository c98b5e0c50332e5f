"""Whatever comes, in whatever order: no item is lost or sent twice, the count is exact, the flush is in time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from streamnotify.domain import digest, pending
from streamnotify.domain.digest import TRANSITIONS, Effect, Lane, LanePolicy, LaneState, Phase, Rhythm
from streamnotify.domain.digest_wishes import DigestWish, QuietHours
from streamnotify.domain.lean_items import LARGE
from streamnotify.domain.pending import KEPT_BYTES, DigestItem, Pending, outcome_of
from tests.domain.digest_builders import a_task_item

SHOW = 3
DAY = timedelta(days=1)
POLICIES = (LanePolicy(), LanePolicy(after=3), LanePolicy(window=timedelta(), max_wait=timedelta()))
WISHES = (None, None, DigestWish(timedelta()), DigestWish(timedelta(hours=1)), DigestWish(daily_at=time(2, 30)))
QUIET = (None, None, QuietHours(time(22), time(7)), QuietHours(time(2), time(2, 45)), QuietHours(time(12), time(11)))
ZONES = ("UTC", "Europe/Rome", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
EVES = (datetime(2024, 1, 15, tzinfo=UTC), datetime(2024, 3, 30, tzinfo=UTC), datetime(2024, 10, 26, tzinfo=UTC))

minutes = st.sampled_from([0, 0, 1, 10, 29, 30, 31, 119, 400]) | st.integers(0, 3_000)
organizations = st.sampled_from(["org-a", "org-b", None])
KINDS = st.sampled_from(["task_completion", "own"])


@dataclass
class Waiting:
    """What really waits, and when it came; ``number`` is the one it is or was kept under."""

    item: DigestItem
    number: int | None
    came_at: datetime


class AMailboxLane(RuleBasedStateMachine):
    """One lane with its items, as a station drives it; ``waiting`` is what it should hold."""

    def __init__(self) -> None:
        super().__init__()
        self.state, self.pending = LaneState(), Pending()
        self.waiting: list[Waiting] = []
        self.kept: dict[int, DigestItem] = {}
        self.ended: Counter[str] = Counter()
        self.sequences: set[int] = set()
        self.came = 0
        self.policy = POLICIES[0]
        self.own = Rhythm(1, timedelta(), timedelta())

    @initialize(
        eve=st.sampled_from(EVES),
        policy=st.sampled_from(POLICIES),
        wish=st.sampled_from(WISHES),
        quiet=st.sampled_from(QUIET),
        zone=st.sampled_from(ZONES),
    )
    def begin(
        self, eve: datetime, policy: LanePolicy, wish: DigestWish | None, quiet: QuietHours | None, zone: str
    ) -> None:
        """A mailbox, its owner, and a day, also one before the clocks change."""
        self.now, self.on_time_since, self.policy = eve, eve, policy
        self.own = digest.rhythm(policy, Lane.TASKS, wish, quiet, zone)

    @rule(
        organization_id=organizations,
        kind=KINDS,
        status=st.sampled_from(["success", "failed", "cancelled"]),
        urgent=st.sampled_from([False, False, False, True]),
        size=st.integers(1, LARGE),
        many=st.sampled_from([1, 1, 1, 2, 15]),
    )
    def items_come(
        self, organization_id: str | None, kind: str, status: str, urgent: bool, size: int, many: int
    ) -> None:
        """Notifications: each goes at once, or waits."""
        for _ in range(many):
            self.came += 1
            item = a_task_item(str(self.came), organization_id=organization_id, kind=kind, status=status, urgent=urgent)
            waited = self.state.phase is Phase.PENDING
            effect = self.step(lambda: digest.arrive(self.state, self.now, self.own, urgent=urgent))
            if effect is Effect.SEND:
                assert urgent or not waited, "it has overtaken what waits"
                assert urgent or not self.is_quiet(self.now)
                assert urgent or self.own.daily_at is None
                self.ended[item.notification_id] += 1
            else:
                assert not urgent
                self.keep(item, size, self.now)

    @rule(organization_id=organizations, kind=KINDS, ages=st.lists(st.integers(0, 29), min_size=1, max_size=5))
    def a_digest_moves_in(self, organization_id: str | None, kind: str, ages: list[int]) -> None:
        """From another mailbox, one item of it counted only."""
        self.on_time_since = self.now
        came_at = [self.now - timedelta(minutes=age) for age in sorted(ages, reverse=True)]
        self.step(lambda: (digest.take_over(self.state, came_at[0], came_at[-1], self.now), Effect.SQUASH))
        elsewhere = Pending()
        for came in came_at:
            self.came += 1
            item = a_task_item(str(self.came), organization_id=organization_id, kind=kind)
            if came is came_at[0]:
                elsewhere = pending.add(elsewhere, item, 1)
                self.waiting.append(Waiting(item, None, came))
                self.pending = pending.add_numbers(self.pending, elsewhere.tallies)
            else:
                self.keep(item, 100, came)

    @rule(after=minutes)
    def time_passes(self, after: int) -> None:
        """The lane is looked at whenever it asks for it."""
        until = self.now + timedelta(minutes=after)
        while (at := digest.next_look(self.state, self.own, self.now)) is not None and at <= until:
            self.now = max(self.now, at)
            self.look()
        self.now = until
        assert digest.look(self.state, self.now, self.own) is not Effect.FLUSH

    @rule(after=minutes)
    def nobody_looks_for_a_while(self, after: int) -> None:
        """The worker is down; when it is back it looks."""
        self.now += timedelta(minutes=after)
        self.on_time_since = self.now
        self.look()

    @rule(wish=st.sampled_from(WISHES), quiet=st.sampled_from(QUIET), zone=st.sampled_from(ZONES))
    def something_else_is_wished(self, wish: DigestWish | None, quiet: QuietHours | None, zone: str) -> None:
        """It counts for what waits, too."""
        self.on_time_since = self.now
        self.own = digest.rhythm(self.policy, Lane.TASKS, wish, quiet, zone)
        self.look()

    @precondition(lambda self: self.kept)
    @rule(data=st.data())
    def one_is_read(self, data: st.DataObject) -> None:
        """One that is kept is taken out; with the last the digest is gone."""
        number = data.draw(st.sampled_from(sorted(self.kept)))
        self.pending = pending.take_out(self.pending, number, self.kept[number])
        self.ended[self.kept.pop(number).notification_id] += 1
        self.waiting = [each for each in self.waiting if each.number != number]
        if not self.waiting:
            self.empty(mailed=False)

    @precondition(lambda self: self.waiting)
    @rule(organization_id=organizations)
    def an_organization_is_turned_off_at_the_flush(self, organization_id: str | None) -> None:
        """What is left is mailed, with nothing of it."""
        left = [tally for tally in self.pending.tallies if tally.organization_id != organization_id]
        self.mail(left)

    @invariant()
    def the_numbers_are_exact(self) -> None:
        """In all, and by organization, kind and outcome."""
        counted = Counter(
            {
                (tally.organization_id, tally.kind, outcome): getattr(tally, outcome)
                for tally in self.pending.tallies
                for outcome in ("failed", "completed", "cancelled")
            }
        )
        really = Counter((w.item.organization_id, w.item.kind, outcome_of(w.item).value) for w in self.waiting)
        assert +counted == really
        assert self.pending.total == len(self.waiting)

    @invariant()
    def little_is_kept_and_the_newest_of_each_organization_and_kind(self) -> None:
        """Unless these were read."""
        assert self.pending.kept_bytes <= KEPT_BYTES
        numbers = {number for tally in self.pending.tallies for number, _ in tally.kept}
        assert numbers == {*self.kept}
        newest = {(w.item.organization_id, w.item.kind): w.number for w in self.waiting if w.number is not None}
        gone = {w.number for w in self.waiting} - numbers
        assert all(number in numbers or not self.has_kept(key) for key, number in newest.items()), gone

    @invariant()
    def the_phase_tells_whether_something_waits(self) -> None:
        """And it knows since when, and of the last that came."""
        assert (self.state.phase is Phase.PENDING) == bool(self.waiting)
        if self.waiting:
            first, last = min(w.came_at for w in self.waiting), max(w.came_at for w in self.waiting)
            assert self.state.first_at is not None
            assert self.state.last_at is not None
            assert self.state.first_at <= first
            assert self.state.last_at >= last

    def teardown(self) -> None:
        """In the end everything has been sent or read, each once."""
        while self.waiting:
            self.time_passes(1_440)
        assert self.ended == Counter(f"n-{number + 1}" for number in range(self.came))

    # How the station does it

    def step(self, do: Callable[[], tuple[LaneState, Effect]]) -> Effect:
        """A step, which the table must list."""
        before = self.state.phase
        self.state, effect = do()
        assert (effect, self.state.phase) in {after for (phase, _), after in TRANSITIONS.items() if phase is before}
        return effect

    def keep(self, item: DigestItem, size: int, came_at: datetime) -> None:
        """Add an item to what waits."""
        number = self.pending.next_number
        self.waiting.append(Waiting(item, number, came_at))
        self.kept[number] = item
        self.pending, gone = pending.surplus(pending.add(self.pending, item, size), SHOW)
        for each in gone:
            del self.kept[each]

    def look(self) -> None:
        """Do what the time has come for."""
        effect = digest.look(self.state, self.now, self.own)
        if effect is Effect.FLUSH:
            assert not self.is_quiet(self.now)
            assert self.now <= self.latest()
            if self.own.daily_at is None and self.own.quiet_hours is None:
                assert self.state.first_at is not None
                assert self.state.last_at is not None
                cooled_off = self.now >= self.state.last_at + self.own.window
                assert cooled_off or self.now >= self.state.first_at + self.own.max_wait
            self.mail(list(self.pending.tallies))
        elif effect is Effect.FORGET:
            assert not self.waiting
            self.state = LaneState()

    def mail(self, left: list[pending.Tally]) -> None:
        """Flush the digest, of which ``left`` is left."""
        of_these = {(tally.organization_id, tally.kind) for tally in left}
        survivors = [w.item for w in self.waiting if (w.item.organization_id, w.item.kind) in of_these]
        newest_first = [self.kept[number] for number in sorted(self.kept, reverse=True)]
        kept = [item for item in newest_first if (item.organization_id, item.kind) in of_these]
        shown = pending.sections(left, kept, SHOW)
        assert sum(section.total for section in shown) == len(survivors)
        assert {item.notification_id for section in shown for item in section.items} <= {
            item.notification_id for item in survivors
        }
        self.ended.update(w.item.notification_id for w in self.waiting)
        self.empty(mailed=bool(survivors))

    def empty(self, *, mailed: bool) -> None:
        """Nothing waits any more."""
        assert self.state.sequence not in self.sequences, "a mail of this number has been sent"
        self.sequences |= {self.state.sequence} if mailed else set()
        self.waiting, self.kept, self.pending = [], {}, replace(self.pending, tallies=())
        before = self.state.phase
        self.state = digest.flushed(self.state, self.now, self.own, mailed=mailed)
        assert any(phase is before and after[1] is self.state.phase for (phase, _), after in TRANSITIONS.items())

    def is_quiet(self, at: datetime) -> bool:
        """Whether ``at`` is within the quiet hours."""
        return self.own.quiet_hours is not None and self.own.quiet_hours.over_at(at, self.own.timezone) is not None

    def has_kept(self, key: tuple[str | None, str]) -> bool:
        """Whether any item of the organization and kind is kept."""
        return any((item.organization_id, item.kind) == key for item in self.kept.values())

    def latest(self) -> datetime:
        """No later is anything flushed: at the cap or the daily time, then at the end of quiet hours."""
        assert self.state.first_at is not None
        wait = self.own.max_wait if self.own.daily_at is None else DAY + timedelta(hours=1)
        held = timedelta() if self.own.quiet_hours is None else DAY
        return max(self.on_time_since, self.state.first_at + wait) + held


TestAMailboxLane = AMailboxLane.TestCase
TestAMailboxLane.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
