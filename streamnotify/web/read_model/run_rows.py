"""A run as the file keeps it: all that its events say, joined as the tasks station joins it (SPEC section 3)."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from streamnotify.domain.run_steps import TasksPolicy, worker_lost
from streamnotify.domain.runs import Details, Facts, RunContext, RunError, join, started_at
from streamnotify.domain.sightings import sighting_of
from streamnotify.domain.status import Rank
from streamnotify.web.read_model.answers import Run
from streamnotify.web.read_model.instants import micros

_LONGEST_S = TasksPolicy().silent_retention.total_seconds()  # that a successor is waited for
_NO_CONTEXT, _NO_ERROR = RunContext(), RunError()

encoded = msgspec.msgpack.Encoder().encode
facts_in = msgspec.msgpack.Decoder(Facts).decode


def merged(known: bytes | None, new: Facts) -> Facts:
    """All that is known of the run, and what is new."""
    return new if known is None else join(facts_in(known), new)


def columns(facts: Facts, seen: int) -> tuple[Any, ...]:
    """created_at, status, organization_id, user_id, presumed_end_at.

    Args:
        facts: of the run.
        seen: when its newest record was published, which none of its instants is taken to be after.
    """
    created_at, sighting = sighting_of(facts)
    status, user_id = facts.step.status.value, _said(facts, "user_id")
    return min(micros(created_at), seen), status, sighting.organization_id, user_id, _presumed_end_at(facts, seen)


def after_its_worker_was_lost(task_name: str, task_id: str, data: bytes) -> Facts:
    """The run of these facts, which has ended so that nobody could report it."""
    facts = facts_in(data)
    return join(facts, worker_lost(task_name, task_id, facts.step).facts)


def run_in(task_name: str, task_id: str, data: bytes) -> Run:
    """What the facts come to."""
    facts = facts_in(data)
    step = facts.step
    context: RunContext = _said(facts, "context") or _NO_CONTEXT
    error: RunError = _said(facts, "error") or _NO_ERROR
    result = _said(facts, "result")
    return Run(
        task_id=task_id,
        task_name=task_name,
        status=step.status,
        is_over=step.rank >= Rank.PRESUMED_END,
        attempt=step.attempt,
        created_at=sighting_of(facts)[0],
        submitted_at=facts.submitted_at,
        queued_at=facts.queued_at,
        started_at=started_at(facts),
        finished_at=step.finished_at,
        display_name=_said(facts, "display_name"),
        organization_id=_said(facts, "organization_id"),
        user_id=_said(facts, "user_id"),
        context_model=context.model,
        context_type=context.type,
        context_id=context.id,
        error_type=error.type,
        error_message=error.message,
        result=None if result is None else json.loads(result),
    )


def _presumed_end_at(facts: Facts, seen: int) -> int | None:
    """When it counts as stopped if nothing more is heard of it; None: its worker is not lost."""
    if facts.step.redelivery_s is None:
        return None
    return seen + int(min(facts.step.redelivery_s, _LONGEST_S) * 1e6)


def _said(facts: Facts, name: str) -> Any:
    """What the newest event says that says anything."""
    found: list[Details] = [each for each in facts.details if getattr(each, name) is not None]
    return getattr(found[0], name) if found else None
