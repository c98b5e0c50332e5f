"""What a digest holds: exact numbers of all, and the newest notifications in little space."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamnotify.domain.alerts import ALERT, RECOVERY
from streamnotify.domain.lean_items import LARGE
from streamnotify.domain.notifications import SuppressionReason
from streamnotify.domain.pending import (
    KEPT_BYTES,
    MOST_TALLIES,
    DigestItem,
    DigestNotification,
    ItemOutcome,
    Pending,
    PendingDigest,
    Tally,
    add,
    add_numbers,
    outcome_of,
    sections,
    surplus,
    take_out,
)
from tests.domain.digest_builders import T0, a_task_item, an_alert_item

SHOW = 10
organizations = st.sampled_from(["org-a", "org-b", "org-c", None])
task_items = st.builds(
    a_task_item,
    kind=st.sampled_from(["task_completion", "own"]),
    status=st.sampled_from(["success", "failed", "cancelled"]),
    organization_id=organizations,
)
alert_items = st.builds(an_alert_item, kind=st.sampled_from([ALERT, RECOVERY]), organization_id=organizations)


def pending_of(*items: DigestItem, size: int = 100) -> Pending:
    """A digest with these in it, each ``size`` bytes."""
    pending = Pending()
    for item in items:
        pending = add(pending, item, size)
    return pending


def numbers_of(pending: Pending) -> list[int]:
    """The numbers of the kept items, the oldest first."""
    return sorted(number for tally in pending.tallies for number, _ in tally.kept)


def of(organization_id: str | None, count: int) -> list[DigestItem]:
    """Notifications of an organization."""
    return [a_task_item(str(number), organization_id=organization_id) for number in range(count)]


@pytest.mark.parametrize(
    ("item", "outcome"),
    [
        (a_task_item(status="success"), ItemOutcome.COMPLETED),
        (a_task_item(status="failed"), ItemOutcome.FAILED),
        (a_task_item(status="cancelled"), ItemOutcome.CANCELLED),
        (an_alert_item(), ItemOutcome.FAILED),
        (an_alert_item(kind=RECOVERY), ItemOutcome.COMPLETED),
    ],
)
def test_an_item_counts_by_its_outcome(item: DigestItem, outcome: ItemOutcome) -> None:
    assert outcome_of(item) is outcome
    [tally] = pending_of(item).tallies
    assert {name: getattr(tally, name) for name in ItemOutcome} == {name: int(name == outcome) for name in ItemOutcome}


@settings(deadline=None)
@given(st.lists(task_items, max_size=60) | st.lists(alert_items, max_size=60), st.integers(0, 3_000))
def test_the_total_is_exact_however_much_is_kept(items: list[DigestItem], size: int) -> None:
    pending = Pending()
    for item in items:
        pending, _ = surplus(add(pending, item, size), SHOW)
    assert pending.total == len(items)
    assert sum(tally.failed for tally in pending.tallies) == [*map(outcome_of, items)].count(ItemOutcome.FAILED)
    assert sum(tally.completed for tally in pending.tallies) == [*map(outcome_of, items)].count(ItemOutcome.COMPLETED)
    assert len({(tally.organization_id, tally.kind) for tally in pending.tallies}) == len(pending.tallies)


def test_a_flood_of_50_000_is_counted_to_the_last_and_stays_small() -> None:
    item = a_task_item(status="failed", organization_id="org-a")
    pending = Pending()
    for _ in range(50_000):
        pending, _ = surplus(add(pending, item, 500), SHOW)
    assert pending.total == pending.tallies[0].failed == 50_000
    assert pending.kept_bytes <= KEPT_BYTES
    assert numbers_of(pending) == list(range(50_000 - len(numbers_of(pending)), 50_000))


def test_what_fits_is_kept() -> None:
    pending = pending_of(*of("org-a", 20), size=1_000)
    assert surplus(pending, SHOW) == (pending, ())


def test_the_oldest_of_the_organization_that_keeps_most_goes_first() -> None:
    pending = pending_of(*of("quiet", 3), *of("loud", 30), size=1_000)
    left, gone = surplus(pending, SHOW)
    assert gone == tuple(range(3, 15))
    assert numbers_of(left) == [0, 1, 2, *range(15, 33)]


def test_those_that_are_shown_stay_though_another_organization_keeps_older_ones() -> None:
    pending = pending_of(*of("a", 7), *of("b", 7), *of("loud", 10), size=1_000)
    left, gone = surplus(pending, SHOW)
    assert [*range(14, 24)] == [number for number in numbers_of(left) if number >= 14]
    assert sorted(gone) == [0, 1, 7]


def test_the_newest_of_each_organization_and_kind_stays() -> None:
    pending = pending_of(*of("a", 1), *of("b", 1), *of(None, 1), a_task_item(kind="own"), *of("loud", 100), size=1_000)
    left, _ = surplus(pending, SHOW)
    assert numbers_of(left)[:4] == [0, 1, 2, 3]


def test_what_is_kept_stays_small_however_many_are_to_be_shown() -> None:
    left, gone = surplus(pending_of(*of("a", 100), size=1_000), show=1_000)
    assert len(gone) == 79
    assert left.kept_bytes <= KEPT_BYTES


def test_one_that_is_too_large_by_itself_is_kept_nonetheless() -> None:
    pending = pending_of(a_task_item(), size=2 * KEPT_BYTES)
    assert surplus(pending, SHOW) == (pending, ())


def test_there_is_room_for_so_many_organizations_and_kinds() -> None:
    pending = pending_of(*(a_task_item(organization_id=f"org-{number}") for number in range(MOST_TALLIES)), size=10)
    assert not pending.has_room_for(a_task_item(organization_id="one more"))
    assert not pending.has_room_for(a_task_item(organization_id="org-1"), a_task_item(organization_id="one more"))
    assert pending.has_room_for(a_task_item(organization_id="org-1"))


def test_there_is_no_room_for_more_than_can_be_kept_one_of_each() -> None:
    pending = pending_of(*(a_task_item(organization_id=f"org-{number}") for number in range(10)), size=LARGE)
    assert not pending.has_room_for(a_task_item(organization_id="one more"))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, LARGE)), max_size=150))
def test_one_of_each_is_kept_in_little_space_as_long_as_there_is_room(items: list[tuple[int, int]]) -> None:
    pending, newest = Pending(), {}
    for number, (organization, size) in enumerate(items):
        item = a_task_item(organization_id=f"org-{organization}")
        if pending.has_room_for(item):
            newest[organization] = pending.next_number
            pending, _ = surplus(add(pending, item, size), SHOW)
        assert pending.kept_bytes <= KEPT_BYTES, number
        assert {*newest.values()} <= {*numbers_of(pending)}


def test_a_large_one_that_waits_alone_leaves_room() -> None:
    assert Pending().has_room_for(a_task_item())
    assert pending_of(a_task_item(organization_id="a"), size=KEPT_BYTES).has_room_for(a_task_item(organization_id="b"))


@settings(deadline=None)
@given(st.lists(task_items, min_size=1, max_size=20), st.data())
def test_taking_one_out_leaves_what_there_would_be_without_it(items: list[DigestItem], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(items) - 1))
    left = take_out(pending_of(*items), number, items[number])
    others = pending_of(*(item for at, item in enumerate(items) if at != number))
    assert counts_of(left) == counts_of(others)
    assert numbers_of(left) == [at for at in range(len(items)) if at != number]
    assert left.next_number == len(items)  # numbers do not come again


def test_the_last_one_taken_out_leaves_nothing() -> None:
    assert take_out(pending_of(a_task_item()), 0, a_task_item()).tallies == ()


def counts_of(pending: Pending) -> dict[tuple[str | None, str], tuple[int, int, int]]:
    """What is counted, by organization and kind."""
    return {
        (tally.organization_id, tally.kind): (tally.failed, tally.completed, tally.cancelled)
        for tally in pending.tallies
    }


@settings(deadline=None)
@given(st.lists(task_items, max_size=20), st.lists(task_items, max_size=20))
def test_numbers_that_are_added_count_and_keep_nothing(here: list[DigestItem], there: list[DigestItem]) -> None:
    both = add_numbers(pending_of(*here), pending_of(*there).tallies)
    assert counts_of(both) == counts_of(pending_of(*here, *there))
    assert numbers_of(both) == [*range(len(here))]


# What is shown


def test_sections_are_by_organization_and_those_of_none_are_last() -> None:
    items = [*of("org-b", 2), *of(None, 1), *of("org-a", 1)]
    shown = sections(pending_of(*items).tallies, items, SHOW)
    assert [(section.organization_id, section.total) for section in shown] == [("org-a", 1), ("org-b", 2), (None, 1)]


def test_in_a_section_failures_come_first_and_then_the_newest() -> None:
    newest_first = [a_task_item(name, status="failed" if name in "bd" else "success") for name in "abcde"]
    [section] = sections(pending_of(*newest_first).tallies, newest_first, SHOW)
    assert [item.notification_id for item in section.items] == ["n-b", "n-d", "n-a", "n-c", "n-e"]
    assert (section.failed, section.completed, section.cancelled) == (2, 3, 0)


def test_only_the_newest_are_shown_and_all_are_counted() -> None:
    items = [*of("org-a", 9), *of("org-b", 3)]
    shown = sections(pending_of(*items).tallies, items, SHOW)
    digest = DigestNotification("n", "tasks", shown, ("task_completion",), "ann@example.com", "user:ann")
    assert [len(section.items) for section in shown] == [9, 1]
    assert (digest.total, digest.shown, digest.completed) == (12, 10, 12)
    assert [section.total for section in shown] == [9, 3]


def test_kinds_of_one_organization_make_one_section() -> None:
    items = [a_task_item(kind="own"), a_task_item(status="failed"), a_task_item(status="cancelled")]
    [section] = sections(pending_of(*items).tallies, items, SHOW)
    assert (section.failed, section.completed, section.cancelled) == (1, 1, 1)


@settings(deadline=None)
@given(st.lists(task_items, max_size=30))
def test_nothing_stands_in_another_organization_s_section(items: list[DigestItem]) -> None:
    shown = sections(pending_of(*items).tallies, items, SHOW)
    assert all(item.organization_id == section.organization_id for section in shown for item in section.items)
    assert sum(len(section.items) for section in shown) == min(SHOW, len(items))
    assert sum(section.total for section in shown) == len(items)


# On the way


def test_a_digest_on_its_way_is_refused_if_any_part_of_it_is() -> None:
    tallies = (Tally("org-a", "task_completion", failed=2), Tally(None, "own", completed=3))
    digest = PendingDigest("d", "tasks", T0, T0 + timedelta(1), tallies, tasks=(a_task_item(),))
    assert digest.total == 5
    assert digest.items == (a_task_item(),)
    assert digest.refusal(lambda kind, organization_id: None) is None
    reason = SuppressionReason.OPTED_OUT_KIND
    assert digest.refusal(lambda kind, organization_id: reason if kind == "own" else None) is reason
    reason = SuppressionReason.OPTED_OUT_ORGANIZATION
    assert digest.refusal(lambda kind, organization_id: reason if organization_id == "org-a" else None) is reason
