"""How the published monitors stand: their definitions from the topic, their checks from a running worker."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import click

from streamnotify import bootstrap
from streamnotify.domain.monitors import Monitor, TaskCheck
from streamnotify.domain.schedule import Schedule
from streamnotify.errors import BadRecord
from streamnotify.settings import Settings
from streamnotify.stream.asking import NoAnswer, ask
from streamnotify.stream.config import EngineConfig
from streamnotify.wire.commands import Answer, AskCheck, AskMonitor, CheckAnswer, MonitorAnswer
from streamnotify.wire.durations import format_duration
from streamnotify.wire.monitor_config import parse

_AT_ONCE = 2000  # questions; a producer takes 100,000 records


@dataclass(frozen=True, slots=True)
class MonitorState:
    """One monitor. ``refused``: why its record cannot be used; ``monitor`` is then the last good version, if any.

    ``checks`` has what a worker answered, by task.
    """

    name: str
    monitor: Monitor | None
    refused: str | None = None
    checks: Mapping[str, CheckAnswer] = field(default_factory=dict)


class States(NamedTuple):
    """All monitors, and why not everything that was asked was answered."""

    monitors: list[MonitorState]
    unanswered: str | None


def states(loaded: Settings, records: Mapping[str, bytes]) -> States:
    """How the monitors stand whose records these are, by name.

    Raises:
        EngineFailure: if the cluster does not answer.
        TopicsError: if the workers' topics do not exist.
    """
    config = bootstrap.engine_config(loaded, Path())
    found = [_read(name, value) for name, value in records.items()]
    try:
        found = _with_last_good(config, found)
    except NoAnswer as error:
        return States(found, str(error))
    checks, unanswered = _checks(config, found)
    return States([replace(each, checks=checks.get(each.name, {})) for each in found], unanswered)


def described(state: MonitorState) -> dict[str, Any]:
    """A monitor's state for a script."""
    monitor = state.monitor
    return {
        "name": state.name,
        "enabled": monitor and monitor.enabled,
        "schedule": monitor and _schedule(monitor.schedule),
        "refused": state.refused,
        "tasks": [_described_task(name, state.checks.get(name)) for name in (monitor.tasks if monitor else ())],
    }


def lines(state: MonitorState) -> list[str]:
    """A monitor's state for a person."""
    monitor = state.monitor
    enabled = "" if monitor is None or monitor.enabled else "  disabled"
    schedule = "" if monitor is None else f"  {_schedule(monitor.schedule)}"
    found = [f"{state.name}{schedule}{enabled}"]
    if state.refused is not None:
        instead = "" if monitor is None else "; the version before it goes on:"
        found.append(f"  refused: {state.refused}{instead}")
    tasks = monitor.tasks if monitor else {}
    return found + [f"  {_called(name, check)}{_line(state.checks.get(name))}" for name, check in tasks.items()]


def _read(name: str, value: bytes) -> MonitorState:
    try:
        return MonitorState(name, parse(value, name).monitor)
    except BadRecord as error:
        return MonitorState(name, None, refused=str(error))


def _with_last_good(config: EngineConfig, found: list[MonitorState]) -> list[MonitorState]:
    refused = [each.name for each in found if each.refused is not None]
    answers = ask(config, [AskMonitor("", name) for name in refused], MonitorAnswer)
    last_good = dict(zip(refused, (answer.monitor for answer in answers), strict=True))
    return [replace(each, monitor=last_good.get(each.name, each.monitor)) for each in found]


def _checks(config: EngineConfig, found: list[MonitorState]) -> tuple[dict[str, dict[str, CheckAnswer]], str | None]:
    """What was answered about the checks, by monitor and task, and why that is not everything."""
    monitors = [each.monitor for each in found if each.monitor is not None and each.monitor.enabled]
    queries = [AskCheck("", monitor.name, task_name) for monitor in monitors for task_name in monitor.tasks]
    checks: dict[str, dict[str, CheckAnswer]] = defaultdict(dict)
    for first in range(0, len(queries), _AT_ONCE):
        if first:
            click.echo(f"Asked about {first} of {len(queries)} checks", err=True)
        asked, unanswered = queries[first : first + _AT_ONCE], None
        answers: Sequence[Answer | None]
        try:
            answers = ask(config, asked, CheckAnswer)
        except NoAnswer as error:
            answers, unanswered = error.answers, str(error)
        for query, answer in zip(asked, answers, strict=True):
            if isinstance(answer, CheckAnswer):
                checks[query.monitor][query.task_name] = answer
        if unanswered is not None:
            return checks, unanswered
    return checks, None


def _schedule(schedule: Schedule) -> str:
    return f"every {format_duration(schedule.every)}" if schedule.every else f"{schedule.crontab} {schedule.timezone}"


def _called(name: str, check: TaskCheck) -> str:
    return f"{name} ({check.display_name})" if check.display_name else name


def _line(check: CheckAnswer | None) -> str:
    if check is None:
        return ""
    if check.now is None:
        return "  not taken up yet"
    last = (
        "never checked"
        if check.last_verdict is None
        else f"last {check.last_verdict} at {_time(check.last_checked_at)}"
    )
    return f"  now {check.now.verdict}, {last}, next due {_time(check.next_due)}"


def _described_task(name: str, check: CheckAnswer | None) -> dict[str, Any]:
    now = check.now if check else None
    return {
        "task_name": name,
        "state": now and now.verdict.value,
        "current_status": now and now.current_status,
        "last_verdict": check and check.last_verdict,
        "last_checked_at": _iso(check.last_checked_at if check else None),
        "next_due": _iso(check.next_due if check else None),
    }


def _time(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else "never"


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
