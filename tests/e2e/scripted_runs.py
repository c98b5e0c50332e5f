"""Runs with known ends: their events in many orders, and what must come of them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

Script = list[tuple[str, int, bool]]  # status, attempt, final

SCRIPTS: list[Script] = [
    [("Pending", 1, True), ("Queued", 1, True), ("Running", 1, True), ("Completed", 1, True)],
    [("Pending", 1, True), ("Queued", 1, True), ("Running", 1, True), ("Stopped", 1, True)],
    [("Running", 1, True), ("Stopped", 1, False), ("Running", 2, True), ("Completed", 2, True)],
    [("Queued", 1, True), ("Running", 1, True), ("Running", 1, True), ("Cancelled", 1, True)],
    [("Running", 1, True), ("Completed", 1, True), ("Invalidated", 1, True), ("Queued", 2, True)],
    [("Pending", 1, True), ("Queued", 1, True), ("Running", 1, True), ("Running", 1, True)],
]
MAILING = SCRIPTS[:3]  # those whose one final end mails by default


@dataclass(frozen=True, slots=True)
class ScriptedRun:
    """One run: the events to publish, in this order, and its expected end."""

    task_name: str
    task_id: str
    events: list[dict[str, Any]]
    status: str
    attempt: int
    mails_to: str | None


def scripted_run(number: int, rng: random.Random, *, mails: bool) -> ScriptedRun:
    """Run ``number``: one script in six, its events shuffled and one repeated now and then."""
    script = rng.choice(MAILING if mails else SCRIPTS)
    task_name, task_id = f"task-{number % 50}", f"run-{number}"
    began = datetime.now(UTC) - timedelta(minutes=5)
    address = f"owner{number}@example.com" if mails else None
    events = []
    for step, (status, attempt, final) in enumerate(script):
        event: dict[str, Any] = {
            "task_name": task_name,
            "task_id": task_id,
            "status": status,
            "attempt": attempt,
            "event_id": f"{task_id}-{step}",
            "occurred_at": (began + timedelta(seconds=step)).isoformat(),
        }
        if not final:
            event["final"] = False
        if address is not None:
            event["notify"] = {"email": address}
        events.append(event)
    if rng.random() < 0.2:
        rng.shuffle(events)
    if rng.random() < 0.05:
        events.append(rng.choice(events))
    last_attempt = max(attempt for _, attempt, _ in script)
    ranks = ["Pending", "Queued", "Running", "Stopped", "Cancelled", "Completed", "Invalidated"]
    status = max((s for s, attempt, _ in script if attempt == last_attempt), key=ranks.index)
    return ScriptedRun(task_name, task_id, events, status, last_attempt, address)
