"""What a digest holds: exact numbers of all, and the newest notifications in little space."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamnotify.domain.alerts import ALERT, RECOVERY
from streamnotify.domain.lean_items import LARGE
from streamnotify.domain.notifications import SuppressionReason
from streamnotify.domain.pending import (
    KEPT_BYTES,
    NUMBERS_BYTES,
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
ROOM = KEPT_BYTES - 1_000  # for items, beside the numbers of a few organizations
KEYS = 100  # bytes of an item without a mailbox, beside its row
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
    pending = pending_of(*of("org-a", 20), size=ROOM // 20 - KEYS)
    assert surplus(pending, SHOW) == (pending, ())


def test_the_oldest_of_the_organization_that_keeps_most_goes_first() -> None:
    pending = pending_of(*of("quiet", 3), *of("loud", 30), size=ROOM // 20 - KEYS)
    left, gone = surplus(pending, SHOW)
    assert gone == tuple(range(3, 16))
    assert numbers_of(left) == [0, 1, 2, *range(16, 33)]


def test_those_that_are_shown_stay_though_another_organization_keeps_older_ones() -> None:
    pending = pending_of(*of("a", 7), *of("b", 7), *of("loud", 10), size=ROOM // 21 - KEYS)
    left, gone = surplus(pending, SHOW)
    assert [*range(14, 24)] == [number for number in numbers_of(left) if number >= 14]
    assert gone == (0, 7, 1)


def test_the_newest_of_each_organization_and_kind_stays_if_there_is_room() -> None:
    pending = pending_of(*of("a", 1), *of("b", 1), *of(None, 1), a_task_item(kind="own"), *of("loud", 100), size=1_000)
    left, _ = surplus(pending, SHOW)
    assert numbers_of(left)[:4] == [0, 1, 2, 3]


def test_where_each_keeps_but_one_the_oldest_goes_and_last_the_only_one_of_its_own() -> None:
    twice = [item for name in "abcd" for item in of(name, 2)]
    pending = pending_of(*of("only", 1), *twice, *of("loud", SHOW), size=ROOM // 12 - KEYS)
    left, gone = surplus(pending, SHOW)
    assert gone == (1, 3, 5, 7, 2, 4, 6)
    assert [(tally.organization_id, tally.total) for tally in left.tallies if not tally.kept] == [
        ("a", 2),
        ("b", 2),
        ("c", 2),
    ]
    left, gone = surplus(pending_of(*of("only", 1), *of("loud", SHOW), size=ROOM // SHOW - KEYS), SHOW)
    assert gone == (0,)
    assert left.total == 1 + SHOW


def test_what_is_kept_stays_small_however_many_are_to_be_shown() -> None:
    left, gone = surplus(pending_of(*of("quiet", 1), *of("a", 100), size=1_000), show=1_000)
    assert gone == tuple(range(1, len(gone) + 1))
    assert KEPT_BYTES - 1_100 < left.kept_bytes <= KEPT_BYTES


def test_one_that_is_too_large_by_itself_is_kept_nonetheless() -> None:
    pending = pending_of(a_task_item(), size=2 * KEPT_BYTES)
    assert surplus(pending, SHOW) == (pending, ())
    pending = add(pending, a_task_item(kind="own"), 2 * KEPT_BYTES)
    assert numbers_of(surplus(pending, SHOW)[0]) == [1]


def test_the_names_of_a_mailbox_count_as_it_is_in_the_keys() -> None:
    anonymous, named = pending_of(a_task_item()), pending_of(a_task_item(mailbox="user:" + "x" * 95))
    assert named.kept_bytes == anonymous.kept_bytes + 200


def test_there_is_room_until_the_numbers_themselves_are_many() -> None:
    pending = Pending()
    while pending.has_room_for(another := a_task_item(organization_id=f"org-{len(pending.tallies):032d}")):
        pending, _ = surplus(add(pending, another, LARGE), SHOW)
    assert len(pending.tallies) == 83
    assert not pending.has_room_for(pending.tallies[0], another)
    assert pending.has_room_for(*pending.tallies)
    numbers = add_numbers(Pending(), pending.tallies)
    assert NUMBERS_BYTES - 200 < numbers.kept_bytes <= NUMBERS_BYTES
    assert pending.kept_bytes <= KEPT_BYTES
    assert numbers_of(pending)[-5:] == [78, 79, 80, 81, 82]


@settings(deadline=None)
@given(st.none() | st.text(max_size=255), st.text(max_size=255), st.integers(1, 2**31 - 1))
def test_numbers_take_no_more_room_than_is_said(organization_id: str | None, kind: str, count: int) -> None:
    tally = Tally(organization_id, kind, count, count, count)
    assert len(msgspec.msgpack.encode(tally)) <= Pending((tally,)).kept_bytes


@pytest.mark.parametrize(("organizations", "size"), [(1, 1_800), (20, 1_800), (41, 300), (60, 300), (60, LARGE)])
def test_a_flood_of_many_organizations_is_one_digest_with_exact_numbers(organizations: int, size: int) -> None:
    pending = Pending()
    for number in range(1_200):
        item = a_task_item(organization_id=f"organization-{number % organizations}")
        assert pending.has_room_for(item), number
        pending, _ = surplus(add(pending, item, size), SHOW)
        assert pending.kept_bytes <= KEPT_BYTES, number
    assert {tally.total for tally in pending.tallies} == {1_200 // organizations, -(-1_200 // organizations)}
    assert pending.total == 1_200
    assert len(numbers_of(pending)) >= 7
    assert numbers_of(pending)[-7:] == [*range(1_193, 1_200)]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 1_500)), max_size=150))
def test_whatever_comes_the_newest_are_kept_in_little_space(items: list[tuple[int, int]]) -> None:
    pending = Pending()
    for number, (organization, size) in enumerate(items):
        item = a_task_item(organization_id=f"org-{organization}")
        assert pending.has_room_for(item)
        pending, _ = surplus(add(pending, item, size), SHOW)
        assert pending.kept_bytes <= KEPT_BYTES
        assert {*range(max(0, number + 1 - SHOW), number + 1)} <= {*numbers_of(pending)}
    assert counts_of(pending) == counts_of(pending_of(*(a_task_item(organization_id=f"org-{of}") for of, _ in items)))


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
