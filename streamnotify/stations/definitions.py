"""Which tasks each monitor covers: a definition lies with the monitor's name, its checks with the tasks' names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from streamnotify.domain.monitors import Monitor, TaskCheck
from streamnotify.stations.context import Context
from streamnotify.wire.commands import DefineMonitor, SetCheck
from streamnotify.wire.rows import Row
from streamnotify.wire.topics import TASKS


@dataclass(frozen=True, slots=True)
class Definition:
    """A monitor as it was last defined; ``phase`` is when its schedule began to count."""

    monitor: Monitor
    phase: datetime


DEFINITION = Row(b"d", Definition)  # key: the monitor's name


def define(command: DefineMonitor, ctx: Context) -> None:
    """Tell the tasks concerned what has changed. A schedule keeps its phase unless it, its zone or ``enabled`` changed
    (SPEC 2.2)."""
    old = ctx.get(DEFINITION, command.name)
    new = None
    if command.monitor is not None:
        phase = old.phase if old is not None and _same_schedule(old.monitor, command.monitor) else ctx.now
        new = Definition(command.monitor, phase)
    if new == old:
        return
    if new is None:
        ctx.delete(DEFINITION, command.name)
    else:
        ctx.put(DEFINITION, command.name, new)
    _tell_tasks(command.name, old, new, ctx)


def _same_schedule(old: Monitor, new: Monitor) -> bool:
    return (old.schedule, old.enabled) == (new.schedule, new.enabled)


def _tell_tasks(name: str, old: Definition | None, new: Definition | None, ctx: Context) -> None:
    before, after = _checks(old), _checks(new)
    definition = new or old
    assert definition is not None
    rescheduled = old is None or new is None or old.phase != new.phase
    for task_name in [*after, *(gone for gone in before if gone not in after)]:
        check = after.get(task_name)
        if rescheduled or check != before.get(task_name):
            told = SetCheck(name, task_name, check, definition.monitor.schedule, definition.phase)
            ctx.emit(TASKS, task_name, told)


def _checks(definition: Definition | None) -> dict[str, TaskCheck]:
    return definition.monitor.tasks if definition is not None and definition.monitor.enabled else {}
