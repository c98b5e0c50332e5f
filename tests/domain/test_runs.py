"""Joining what events say of a run (SPEC section 3), case by case. Any order: test_run_properties."""

from __future__ import annotations

from functools import reduce

import pytest

from streamnotify.domain.runs import Facts, Notify, RunError, RunUpdate, fold, join, started_at, wants_mail
from streamnotify.domain.status import Status
from tests.domain.run_builders import an_update, at

PENDING, QUEUED, RUNNING = Status.PENDING, Status.QUEUED, Status.RUNNING
COMPLETED, STOPPED, INVALIDATED = Status.COMPLETED, Status.STOPPED, Status.INVALIDATED


def facts_of(*updates: RunUpdate) -> Facts:
    return reduce(join, (update.facts for update in updates))


def test_a_higher_attempt_wins_over_any_status_of_a_lower_one() -> None:
    facts = facts_of(an_update(COMPLETED, 50), an_update(PENDING, 10, attempt=2))
    assert (facts.step.status, facts.step.attempt) == (PENDING, 2)


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        (an_update(PENDING, 9), an_update(QUEUED, 1)),
        (an_update(QUEUED, 9), an_update(RUNNING, 1)),
        (an_update(RUNNING, 9), an_update(STOPPED, 1, final=False)),
        (an_update(STOPPED, 1, final=False), an_update(COMPLETED, 9)),
        (an_update(COMPLETED, 1), an_update(INVALIDATED, 9)),
    ],
)
def test_of_one_attempt_the_higher_rank_wins_whenever_it_occurred(lower: RunUpdate, higher: RunUpdate) -> None:
    assert facts_of(lower, higher).step == facts_of(higher, lower).step == higher.facts.step


def test_of_two_ends_of_one_attempt_the_earliest_wins_then_the_smallest_event_id() -> None:
    first, later = an_update(STOPPED, 1, event_id="b"), an_update(COMPLETED, 2, event_id="a")
    smaller = an_update(COMPLETED, 1, event_id="a")
    assert facts_of(later, first).step == first.facts.step
    assert facts_of(first, later, smaller).step == smaller.facts.step


def test_of_two_ends_that_are_not_final_the_earliest_wins_too() -> None:
    first, later = an_update(STOPPED, 1, final=False), an_update(Status.CANCELLED, 2, final=False)
    assert facts_of(later, first).step == facts_of(first, later).step == first.facts.step


def test_two_contents_under_one_event_id_lead_to_the_same_state_in_any_order() -> None:
    one, other = an_update(STOPPED, 1), an_update(COMPLETED, 1, duration_s=3.0)
    assert facts_of(one, other).step == facts_of(other, one).step


def test_a_later_running_clears_the_interruption_and_an_earlier_one_does_not() -> None:
    lost = an_update(RUNNING, 5, redelivery_s=60)
    assert facts_of(lost, an_update(RUNNING, 6)).step.redelivery_s is None
    assert facts_of(lost, an_update(RUNNING, 4)).step.redelivery_s == 60


def test_the_earliest_reported_times_count() -> None:
    facts = facts_of(
        an_update(RUNNING, 5, started_at=at(5), submitted_at=at(1)),
        an_update(RUNNING, 6, attempt=2, started_at=at(6), queued_at=at(2)),
    )
    assert (facts.submitted_at, facts.queued_at, facts.started_at) == (at(1), at(2), at(5))


def test_each_field_is_what_the_newest_event_says_that_says_anything() -> None:
    facts = facts_of(
        an_update(RUNNING, 5, event_id="a", user_id="new", display_name="Sync"),
        an_update(PENDING, 1, event_id="b", user_id="old", organization_id="org-a"),
        an_update(COMPLETED, 9, event_id="c", result="{}"),
    )
    said = {
        name: [value for details in facts.details if (value := getattr(details, name)) is not None]
        for name in ("user_id", "display_name", "organization_id", "result")
    }
    assert said == {"user_id": ["new"], "display_name": ["Sync"], "organization_id": ["org-a"], "result": ["{}"]}


def test_what_newer_events_repeat_is_not_kept_twice() -> None:
    updates = [an_update(RUNNING, n, event_id=str(n), user_id="u1", organization_id="o") for n in range(5)]
    assert len(facts_of(*updates).details) == 1


def test_a_later_refusal_silences_the_task() -> None:
    wanted, silent = an_update(RUNNING, 1, notify=Notify()), an_update(RUNNING, 2, notify=Notify(wanted=False))
    assert wants_mail(facts_of(wanted)) == Notify()
    assert wants_mail(facts_of(silent, wanted)) is None
    assert wants_mail(facts_of(an_update(RUNNING, 3))) is None


def test_started_at_is_as_reported_if_it_is_reported() -> None:
    assert started_at(facts_of(an_update(COMPLETED, 50, started_at=at(7), duration_s=1.0))) == at(7)
    assert started_at(facts_of(an_update(QUEUED, 50, started_at=at(7)))) == at(7)


def test_an_ended_run_started_its_duration_before_it_finished() -> None:
    facts = facts_of(an_update(COMPLETED, 50, finished_at=at(48), duration_s=8.0), an_update(RUNNING, 45))
    assert started_at(facts) == at(40)


def test_a_run_of_unknown_duration_started_with_the_earliest_running_or_end_event() -> None:
    assert started_at(facts_of(an_update(COMPLETED, 50), an_update(RUNNING, 45), an_update(PENDING, 1))) == at(45)
    assert started_at(facts_of(an_update(COMPLETED, 50))) == at(50)
    assert started_at(facts_of(an_update(RUNNING, 45))) == at(45)


def test_a_run_that_only_waits_has_not_started() -> None:
    assert started_at(facts_of(an_update(QUEUED, 45), an_update(PENDING, 1))) is None


def test_a_duration_longer_than_time_itself_is_as_good_as_none() -> None:
    assert started_at(facts_of(an_update(COMPLETED, 50, duration_s=1e18))) == at(50)


def test_an_update_that_ends_the_run_or_opts_in_is_not_folded_further() -> None:
    assert fold(an_update(COMPLETED), an_update(RUNNING, 1)) is None
    assert fold(an_update(RUNNING, notify=Notify()), an_update(RUNNING, 1)) is None


def test_a_folded_update_says_what_both_say_and_carries_the_end() -> None:
    a, b = an_update(RUNNING, 1, user_id="u1"), an_update(STOPPED, 2, error=RunError("boom"))
    folded = fold(a, b)
    assert folded is not None
    assert folded.facts == facts_of(a, b)
    assert folded.end == b.facts.step


def test_neither_an_end_that_is_not_final_nor_an_invalidation_is_an_end_to_mail() -> None:
    assert an_update(STOPPED, final=False).end is None
    assert an_update(INVALIDATED).end is None


def test_repeating_events_changes_nothing() -> None:
    a, b = an_update(RUNNING, 1, user_id="u1"), an_update(STOPPED, 2, error=RunError("boom"))
    assert facts_of(a, b, b, a) == facts_of(a, b)
    assert facts_of(a, a) == a.facts


def test_an_event_published_again_much_later_does_not_make_the_first_one_stale() -> None:
    fresh, again = an_update(STOPPED, 2), an_update(STOPPED, 2, stale=True)
    assert not facts_of(fresh, again).step.stale
