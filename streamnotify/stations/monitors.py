"""monitors: what is to be checked when; tells the tasks station (DESIGN section 1).

A record that cannot be used changes nothing: the monitor goes on as it was. Why is said on ``monitor-results``, beside
the dead letter.
"""

from __future__ import annotations

import logging
from datetime import datetime

from streamnotify.domain.alerts import Verdict
from streamnotify.errors import BadRecord
from streamnotify.stations.context import Context, Record, Station
from streamnotify.stations.public_records import content_of, key_of, published_at
from streamnotify.wire.commands import DefineMonitor
from streamnotify.wire.fields import NAME_LENGTH
from streamnotify.wire.monitor_config import name_in, parse
from streamnotify.wire.monitor_result import MonitorResult
from streamnotify.wire.topics import MONITOR_CONFIGS, MONITOR_RESULTS, TASKS

logger = logging.getLogger(__name__)


def station() -> Station:
    """The monitors station."""
    return Station("monitors", (MONITOR_CONFIGS,), handle)


def handle(record: Record, ctx: Context) -> None:
    """Pass on what the record says of the monitor it is about.

    Raises:
        BadRecord: if it is none, with what is told about it.
    """
    published, key = published_at(record), key_of(record)
    if record.value is None:
        if not key:
            raise BadRecord("a record without value deletes the monitor that its key names, and this one has no key")
        ctx.emit(TASKS, key, DefineMonitor(key, None))
        return
    value = None
    try:
        value = content_of(record)
        monitor, warnings = parse(value, key)
    except BadRecord as error:
        name = (key or name_in(value) or "")[:NAME_LENGTH]
        if name:
            error.told = [(MONITOR_RESULTS, name, _said(name, Verdict.REFUSED, str(error), published))]
        raise
    ctx.emit(TASKS, monitor.name, DefineMonitor(monitor.name, monitor))
    for warning in warnings:
        logger.warning("monitor %s: %s", monitor.name, warning)
        ctx.emit(MONITOR_RESULTS, monitor.name, _said(monitor.name, Verdict.WARNING, warning, published))


def _said(name: str, verdict: Verdict, reason: str, at: datetime) -> MonitorResult:
    return MonitorResult(monitor=name, verdict=verdict, reason=reason, check_time=at, evaluated_at=at)
