"""The checks that an outage of ours held up, gathered for one mail to all superusers (SPEC section 5)."""

from __future__ import annotations

import logging

from streamnotify.domain.alerts import HealthNotification, LateCheck, WrongNow, health_id
from streamnotify.domain.outages import Outage, gather, health_of
from streamnotify.stations.context import Context
from streamnotify.stations.superusers import recipients, tell_all
from streamnotify.wire.commands import NotifyHealth
from streamnotify.wire.rows import Row

log = logging.getLogger(__name__)

OUTAGE = Row(b"o", Outage)  # its one key: THE_ONE; until superusers have been told
WRONG: Row[tuple[WrongNow, ...]] = Row(
    b"w", tuple[WrongNow, ...]
)  # likewise; apart, since it is large and changes little
THE_ONE = ""


def gather_late_check(late: LateCheck, ctx: Context) -> None:
    """Add a late check to the outage at hand."""
    old, wrong = ctx.get(OUTAGE, THE_ONE), ctx.get(WRONG, THE_ONE) or ()
    outage, named = gather(old, wrong, late, ctx.now)
    ctx.put(OUTAGE, THE_ONE, outage)
    if named != wrong:
        ctx.put(WRONG, THE_ONE, named)
    if old is None:
        ctx.wake(OUTAGE, THE_ONE, outage.tell_at)


def tell_of_outage(ctx: Context) -> None:
    """Tell superusers, unless late checks still come."""
    outage = ctx.get(OUTAGE, THE_ONE)
    if outage is None:
        return
    if outage.tell_at > ctx.now:
        ctx.wake(OUTAGE, THE_ONE, outage.tell_at)
        return
    health = health_of(outage, ctx.get(WRONG, THE_ONE) or ())
    ctx.delete(OUTAGE, THE_ONE)
    ctx.delete(WRONG, THE_ONE)
    if told := recipients(ctx):
        tell_all(NotifyHealth(health), told, health_id(health.since, health.until, ""), ctx)
    else:
        log.error("%s; there is no superuser to tell", _in_words(health))


def _in_words(health: HealthNotification) -> str:
    words = (
        f"No checks were made from {health.since:%Y-%m-%d %H:%M:%S} to {health.until:%Y-%m-%d %H:%M:%S} UTC,"
        f" {health.skipped} never will be"
    )
    if not health.wrong:
        return words
    named = ", ".join(f"{task.task_name} ({task.monitor})" for task in health.wrong)
    return f"{words}; {health.wrong_count} are not as expected now: {named}"
