"""An outage of ours as superusers are told of it: all the checks it held up, in one mail (SPEC section 5)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from streamnotify.domain.alerts import HealthNotification, LateCheck, WrongNow

SETTLED = timedelta(minutes=1)  # without another late check
LONGEST = timedelta(minutes=5)  # after the first one, whatever still comes
MOST_NAMED = 50  # tasks that are not as expected


@dataclass(frozen=True, slots=True)
class Outage:
    """The late checks so far, the first and the last reported at ``first_at`` and ``last_at``."""

    first_at: datetime
    last_at: datetime
    since: datetime
    until: datetime
    skipped: int = 0
    wrong_count: int = 0

    @property
    def tell_at(self) -> datetime:
        """When they are probably all there."""
        return min(self.last_at + SETTLED, self.first_at + LONGEST)


def gather(
    outage: Outage | None, wrong: tuple[WrongNow, ...], late: LateCheck, now: datetime
) -> tuple[Outage, tuple[WrongNow, ...]]:
    """The outage with one more late check, and the first tasks by name of those that are not as expected."""
    old = outage or Outage(now, now, late.since, late.until)
    named = _named(wrong, late.wrong)
    is_new = late.wrong is not None and _name(late.wrong) not in map(_name, wrong)
    gathered = Outage(
        old.first_at,
        now,
        min(old.since, late.since),
        max(old.until, late.until),
        old.skipped + late.skipped,
        old.wrong_count + is_new,
    )
    return gathered, named


def health_of(outage: Outage, wrong: tuple[WrongNow, ...]) -> HealthNotification:
    """What there is to tell, to nobody yet."""
    return HealthNotification(
        "", outage.since, outage.until, outage.skipped, wrong=wrong, wrong_count=outage.wrong_count
    )


def _named(wrong: tuple[WrongNow, ...], one: WrongNow | None) -> tuple[WrongNow, ...]:
    if one is None:
        return wrong
    by_name = {_name(task): task for task in (*wrong, one)}
    return tuple(by_name[name] for name in sorted(by_name))[:MOST_NAMED]


def _name(task: WrongNow) -> tuple[str, str]:
    return task.monitor, task.task_name
