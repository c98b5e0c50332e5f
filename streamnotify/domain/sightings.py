"""Where checks find a run: by the time it counts from, and by whose it is (SPEC section 5)."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from streamnotify.domain.runs import Facts, RunContext, started_at


class Sighting(NamedTuple):
    """What a check looks at before it looks at the run itself. ``started`` False: pending or queued so far."""

    started: bool
    context_model: str | None = None
    context_type: str | None = None
    organization_id: str | None = None


def sighting_of(facts: Facts) -> tuple[datetime, Sighting]:
    """When a run counts from: its start, or as long as it has none the time it was queued or submitted."""
    context, organization_id = _whose(facts)
    at = started_at(facts)
    started = at is not None
    if at is None:
        at = facts.queued_at or facts.submitted_at or facts.step.occurred_at
    return at, Sighting(started, context.model, context.type, organization_id)


_NO_CONTEXT = RunContext()


def _whose(facts: Facts) -> tuple[RunContext, str | None]:
    context = organization_id = None
    for details in facts.details:
        context = context or details.context
        organization_id = organization_id or details.organization_id
    return context or _NO_CONTEXT, organization_id
