"""Whatever the order, however often repeated, folded or not: the same end, and one mail (SPEC section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streamnotify.domain.run_mail import MailDecision
from streamnotify.domain.run_steps import TasksPolicy, merge
from streamnotify.domain.runs import Facts, Notify, Run, RunContext, RunError, RunUpdate, fold, join
from streamnotify.domain.status import Rank, Status
from tests.domain.run_builders import NOW, an_update, at

POLICY = TasksPolicy()
OLD = 2  # events before this second are stale
SAID = {
    "notify": st.sampled_from([Notify(), Notify(wanted=False), Notify(email="ann@example.com", on=("success",))]),
    "user_id": st.sampled_from(["u1", "u2"]),
    "organization_id": st.sampled_from(["org-a", "org-b"]),
    "display_name": st.sampled_from(["Sync", "Report"]),
    "context": st.sampled_from([RunContext(id="1"), RunContext(model="m", type="t")]),
    "error": st.sampled_from([RunError("boom"), RunError("bang", "ValueError")]),
    "result": st.sampled_from(["{}", '{"test_run_id": "t1"}', "[1]"]),
}


@st.composite
def events(draw: st.DrawFn) -> RunUpdate:
    """One event of a run. Few instants and ids, so that ties and clashes of identity happen."""
    status = draw(st.sampled_from(Status))
    seconds = draw(st.integers(0, 6))
    fields: dict[str, Any] = draw(st.fixed_dictionaries({}, optional=SAID))
    for name in ("submitted_at", "queued_at", "started_at"):
        if draw(st.booleans()):
            fields[name] = at(draw(st.integers(-5, 5)))
    if status.rank > Rank.RUNNING and draw(st.booleans()):
        fields["duration_s"] = float(draw(st.integers(0, 3)))
    if status is Status.RUNNING and draw(st.booleans()):
        fields["redelivery_s"] = 60.0
    return an_update(
        status,
        seconds,
        attempt=draw(st.integers(1, 3)),
        final=draw(st.sampled_from([True, True, False])),
        event_id=draw(st.sampled_from("abc")),
        stale=seconds < OLD,
        **fields,
    )


RUNS = st.lists(events(), min_size=1, max_size=8)


@st.composite
def shuffled_twice(draw: st.DrawFn) -> tuple[list[RunUpdate], list[RunUpdate]]:
    """The same events in two orders, each repeated now and then."""
    updates = draw(RUNS)
    orders = []
    for _ in range(2):
        repeated = updates + draw(st.lists(st.sampled_from(updates), max_size=4))
        orders.append(draw(st.permutations(repeated)))
    return orders[0], orders[1]


@st.composite
def chunked(draw: st.DrawFn) -> tuple[list[RunUpdate], list[RunUpdate]]:
    """Events in their order of arrival, and the same with those of each chunk folded as far as they can be."""
    updates = draw(RUNS)
    folded: list[RunUpdate] = []
    new_chunk = True
    for update in updates:
        both = None if new_chunk else fold(folded[-1], update)
        folded[-1:] = [both] if both is not None else [*folded[-1:], update]
        new_chunk = draw(st.sampled_from([False, False, True]))
    return updates, folded


def replay(updates: Sequence[RunUpdate]) -> tuple[Run, list[MailDecision]]:
    run, decisions = merge(None, updates[0], NOW, POLICY)
    mails = [decisions]
    for update in updates[1:]:
        run, decision = merge(run, update, NOW, POLICY)
        mails.append(decision)
    return run, [mail for mail in mails if mail is not None]


@given(shuffled_twice())
@settings(max_examples=150, deadline=None)
def test_any_order_and_repetition_lead_to_the_same_state(orders: tuple[list[RunUpdate], list[RunUpdate]]) -> None:
    (one, _), (other, _) = map(replay, orders)
    assert one.facts == other.facts
    assert (one.status, one.started_at, one.finished_at) == (other.status, other.started_at, other.finished_at)


@given(shuffled_twice())
@settings(max_examples=150, deadline=None)
def test_in_any_order_there_is_at_most_one_mail(orders: tuple[list[RunUpdate], list[RunUpdate]]) -> None:
    for order in orders:
        assert len(replay(order)[1]) <= 1


@given(chunked())
@settings(max_examples=300, deadline=None)
def test_folding_first_leads_to_the_same_state_and_the_same_mail(
    arrivals: tuple[list[RunUpdate], list[RunUpdate]],
) -> None:
    (one, mails), (folded, mails_folded) = map(replay, arrivals)
    assert one.facts == folded.facts
    assert (one.first_end, one.mail_decided) == (folded.first_end, folded.mail_decided)
    assert mails == mails_folded


@given(RUNS)
@settings(max_examples=150, deadline=None)
def test_the_state_is_the_one_the_specification_names(updates: list[RunUpdate]) -> None:
    """Read off all events at once, where the code joins them one by one."""
    step = reduce(join, (update.facts for update in updates)).step
    steps = [update.facts.step for update in updates]
    attempt = max(step.attempt for step in steps)
    rank = max(step.rank for step in steps if step.attempt == attempt)
    best = [(step.occurred_at, step.event_id) for step in steps if (step.attempt, step.rank) == (attempt, rank)]
    assert (step.attempt, step.rank) == (attempt, rank)
    assert (step.occurred_at, step.event_id) == (min(best) if rank >= Rank.ATTEMPT_ENDED else max(best))


@given(RUNS)
@settings(max_examples=150, deadline=None)
def test_each_field_is_the_newest_one_said(updates: list[RunUpdate]) -> None:
    facts = reduce(join, (update.facts for update in updates))
    for name in SAID:
        said = [(d.occurred_at, d.event_id, getattr(d, name)) for u in updates for d in u.facts.details]
        said = [entry for entry in said if entry[2] is not None]
        kept = _kept(facts, name)
        assert len(kept) == min(1, len(said))
        if said:
            newest = max(entry[:2] for entry in said)
            assert kept[0] in [entry for entry in said if entry[:2] == newest]


@given(RUNS)
@settings(max_examples=150, deadline=None)
def test_the_first_end_to_arrive_is_the_one_that_mails(updates: list[RunUpdate]) -> None:
    """If all opt in from the start and nothing is invalidated, the mail is about the first final end."""
    wanted = an_update(Status.PENDING, 100, event_id="z", notify=Notify(on=("success", "failure", "cancelled")))
    updates = [wanted, *(update for update in updates if update.facts.step.status is not Status.INVALIDATED)]
    _, mails = replay(updates)
    ends = [update.end for update in updates if update.end is not None]
    assert len(mails) == min(1, len(ends))
    for mail in mails:
        assert mail.notification.completed_at == ends[0].finished_at


def _kept(facts: Facts, name: str) -> list[tuple[Any, ...]]:
    said = [(details.occurred_at, details.event_id, getattr(details, name)) for details in facts.details]
    return [entry for entry in said if entry[2] is not None]
