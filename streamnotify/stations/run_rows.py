"""The tasks station's rows of runs, and where checks find them again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from streamnotify.domain.runs import Facts, Run
from streamnotify.domain.sightings import Sighting, sighting_of
from streamnotify.stations.context import Context
from streamnotify.wire.rows import Row

# The newest run of each context is kept for the widest window a monitor may have (SPEC section 3).
NEWEST_KEPT = timedelta(days=35)
# A check may still look for the run before the newest one, if that one came after the check was due.
CHECKED_BY = timedelta(days=1)


class Newest(NamedTuple):
    """The newest run of a task in one context."""

    at: datetime
    task_id: str


RUN: Row[Run] = Row(b"r", Run)
SIGHTING = Row(b"n", Sighting, ordered=True)  # key: task, time, run
NEWEST = Row(b"w", Newest)  # key: task, context


def run_key(task_name: str, task_id: str) -> str:
    """The key of a run's row. The length in front keeps names apart whatever they contain."""
    return f"{len(task_name)}:{task_name}:{task_id}"


def run_of_key(key: str) -> tuple[str, str]:
    """task_name and task_id of a run's key."""
    length, _, rest = key.partition(":")
    return rest[: int(length)], rest[int(length) + 1 :]


def note_sighting(task_name: str, task_id: str, old: Facts | None, new: Facts, ctx: Context) -> None:
    """Have the checks find a run where it now belongs."""
    at, sighting = sighting_of(new)
    context = _context_key(task_name, sighting)
    if old is not None:
        before, seen = sighting_of(old)
        if (before, seen) == (at, sighting):
            return
        if before != at:
            ctx.delete(SIGHTING, _sighting_key(task_name, before) + task_id)
        if _context_key(task_name, seen) != context:
            _no_longer_newest(_context_key(task_name, seen), task_id, ctx)
    ctx.put(SIGHTING, _sighting_key(task_name, at) + task_id, sighting)
    newest = ctx.get(NEWEST, context)
    # A start in the future is a producer's wrong clock: it must not stand for the runs that really were the newest.
    if at <= ctx.now + CHECKED_BY and (newest is None or at > newest.at or newest.task_id == task_id):
        ctx.put(NEWEST, context, Newest(at, task_id))


def needed_until(task_name: str, task_id: str, facts: Facts, ctx: Context) -> datetime | None:
    """Until when, as far as is known now, a check may need the run; None: none does any more."""
    at, sighting = sighting_of(facts)
    if at + NEWEST_KEPT <= ctx.now:
        return None
    newest = ctx.get(NEWEST, _context_key(task_name, sighting))
    if newest is None or (newest.task_id != task_id and newest.at <= ctx.now - CHECKED_BY):
        return None
    return min(at + NEWEST_KEPT, ctx.now + (NEWEST_KEPT if newest.task_id == task_id else CHECKED_BY))


def forget_run(task_name: str, task_id: str, facts: Facts, ctx: Context) -> None:
    """Remove all rows of a run."""
    at, sighting = sighting_of(facts)
    ctx.delete(RUN, run_key(task_name, task_id))
    ctx.delete(SIGHTING, _sighting_key(task_name, at) + task_id)
    _no_longer_newest(_context_key(task_name, sighting), task_id, ctx)


def sightings(
    task_name: str, since: datetime, until: datetime, ctx: Context
) -> Iterator[tuple[datetime, str, Sighting]]:
    """The task's runs that count from ``since`` to ``until``, both included, the newest first: time, task_id."""
    start, stop = _sighting_key(task_name, since), _sighting_key(task_name, until + _STEP)
    for key, sighting in ctx.scan(SIGHTING, start, stop):
        at, task_id = key[len(start) - _STAMP - 1 :].split(":", 1)
        yield _EPOCH + int(at, 16) * _STEP, task_id, sighting


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEP = timedelta(microseconds=1)
_STAMP = 14  # hexadecimal digits, enough for the year 9999


def _sighting_key(task_name: str, at: datetime) -> str:
    return f"{len(task_name)}:{task_name}:{max((at - _EPOCH) // _STEP, 0):0{_STAMP}x}:"


def _context_key(task_name: str, sighting: Sighting) -> str:
    whose = (sighting.context_model, sighting.context_type, sighting.organization_id)
    return run_key(task_name, "\x1f".join(part or "" for part in whose))


def _no_longer_newest(context: str, task_id: str, ctx: Context) -> None:
    newest = ctx.get(NEWEST, context)
    if newest is not None and newest.task_id == task_id:
        ctx.delete(NEWEST, context)
