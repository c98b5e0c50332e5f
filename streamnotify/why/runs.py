"""Why a run has no notification: what its events on ``task-events`` say, and which of them could not be used."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from streamnotify.domain.runs import Facts, wants_mail
from streamnotify.domain.status import Rank
from streamnotify.why.words import utc


@dataclass(frozen=True, slots=True)
class RunFindings:
    """What is known of a run without a notification.

    ``facts``: what its events say, by task name; ``dead_letters``: the records about it that could not be used;
    ``is_task_name``: there are runs of a task of this name.
    """

    task_id: str
    facts: Mapping[str, Facts]
    dead_letters: Sequence[dict[str, Any]]
    is_task_name: bool = False

    def lines(self) -> Iterator[str]:
        """Why there is no notification, for a person."""
        for task_name, facts in self.facts.items():
            yield f"The run {self.task_id} of task {task_name} has no notification: {why_silent(facts)}"
        for letter in self.dead_letters:
            yield (
                f"A record about {self.task_id} could not be used by {letter['stage']}: {said(letter)}; "
                f"see `streamnotify dead-letters show {letter['id']}`"
            )
        if self.facts or self.dead_letters:
            return
        if self.is_task_name:
            yield (
                f"{self.task_id} is the name of a task: --task takes the id of a run, task_id; "
                f"`streamnotify runs {shlex.quote(self.task_id)}` lists its runs with theirs"
            )
        else:
            yield (
                f"Nobody knows a run {self.task_id}: ids are case-sensitive, events are kept for 7 d and notifications "
                "for 30 d; was the event published to this cluster and topic prefix?"
            )


def why_silent(facts: Facts) -> str:
    """Why nobody has been told how a run ended, by what its events say (SPEC sections 3 and 4)."""
    step = facts.step
    now = f"{step.status} since {utc(step.occurred_at)}"
    if step.rank < Rank.ATTEMPT_ENDED:
        return f"it has not ended, it is {now}"
    if step.rank == Rank.ATTEMPT_ENDED:
        return f"only attempt {step.attempt} is over, {now}: the event says final false, so that the run goes on"
    if step.rank == Rank.INVALIDATED:
        return f"it was invalidated to be tried again, which is never mailed: {now}"
    if wants_mail(facts) is None:
        refused = any(details.notify is not None for details in facts.details)
        silent = "says notify false" if refused else "has a notify"
        number = "its newest event with a notify" if refused else "none of its events"
        return f"it is a silent task, since {number} {silent}; it is {now}"
    return (
        f"it is {now} and somebody is to be told, but no worker has come to it yet: is `streamnotify worker` running, "
        "and ready?"
    )


def said(letter: Mapping[str, Any]) -> str:
    """Why a dead letter could not be used, with the field it is about in front."""
    return f"{letter['field']}: {letter['reason']}" if letter["field"] else str(letter["reason"])
