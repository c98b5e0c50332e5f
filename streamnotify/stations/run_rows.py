"""The tasks station's rows of runs, and where checks find them again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

from streamnotify.domain.monitors import TaskCheck
from streamnotify.domain.runs import Facts, Run
from streamnotify.domain.sightings import Sighting, sighting_of
from streamnotify.stations.context import Context
from streamnotify.wire.rows import Row

# The newest run of each context is kept for the widest window a monitor may have, 35 days and a day's grace.
KEPT = timedelta(days=37)
# A check may still look for the run before the newest one, if that one came after the check was due. A start further
# than this in the future is a producer's wrong clock.
CHECKED_BY = timedelta(days=1)
_MOST_LOOKED_AT = 1_000  # sightings, before a run counts as needed for another day

RUN: Row[Run] = Row(b"r", Run)
SIGHTING = Row(b"n", Sighting, ordered=True)  # key: task, facet, time, run


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
    keys = _keys(task_name, task_id, at, sighting)
    if old is not None:
        before, seen = sighting_of(old)
        if (before, seen) == (at, sighting):
            return
        for key in _keys(task_name, task_id, before, seen):
            if key not in keys:
                ctx.delete(SIGHTING, key)
    for key in keys:
        ctx.put(SIGHTING, key, sighting)


def needed_until(task_name: str, task_id: str, facts: Facts, ctx: Context) -> datetime | None:
    """Until when, as far as is known now, a check may need the run; None: none does any more.

    It is needed as long as it is the newest of its context that a check of some time ago can have looked for.
    """
    at, sighting = sighting_of(facts)
    if not ctx.now - KEPT < at <= ctx.now + CHECKED_BY:
        return None
    newer = sightings(task_name, at, ctx.now + CHECKED_BY, ctx, _facets(sighting)[-1])
    for other_at, other_id, other in islice(newer, _MOST_LOOKED_AT):
        if (other_at, other_id) <= (at, task_id):
            return min(at, ctx.now) + KEPT
        supersedes = (other.started or not sighting.started) and other[1:] == sighting[1:]
        if supersedes and other_at <= ctx.now - CHECKED_BY:
            return None
        if supersedes:
            break
    return ctx.now + CHECKED_BY


def forget_run(task_name: str, task_id: str, facts: Facts, ctx: Context) -> None:
    """Remove all rows of a run."""
    ctx.delete(RUN, run_key(task_name, task_id))
    for key in _keys(task_name, task_id, *sighting_of(facts)):
        ctx.delete(SIGHTING, key)


def facet_of(expected: TaskCheck) -> str:
    """Among which of a task's runs a check looks for its own: all, one organization's, or those of one type."""
    return _facets(Sighting(True, None, expected.context_type, expected.organization_id))[-1]


def sightings(
    task_name: str, since: datetime, until: datetime, ctx: Context, facet: str = ""
) -> Iterator[tuple[datetime, str, Sighting]]:
    """The task's runs that count from ``since`` to ``until``, both included, the newest first: time, task_id."""
    place = _place(task_name, facet)
    for key, sighting in ctx.scan(SIGHTING, place + _stamp(since), place + _stamp(until + _STEP)):
        at, task_id = key[len(place) :].split(":", 1)
        yield _EPOCH + int(at, 16) * _STEP, task_id, sighting


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEP = timedelta(microseconds=1)


def _facets(sighting: Sighting) -> list[str]:
    """Every run is found among all of its task; one with an organization or a type also among those alone.

    A check of one type of a task with many would look at thousands of runs of the others.
    """
    facets = [""]
    if sighting.organization_id is not None:
        facets.append(f"o{sighting.organization_id}")
    if sighting.context_type is not None:
        facets.append(f"t{sighting.context_type}")
    return facets


def _keys(task_name: str, task_id: str, at: datetime, sighting: Sighting) -> list[str]:
    stamp = _stamp(at)
    return [f"{_place(task_name, facet)}{stamp}{task_id}" for facet in _facets(sighting)]


def _place(task_name: str, facet: str) -> str:
    return f"{len(task_name)}:{task_name}:{len(facet)}:{facet}:"


def _stamp(at: datetime) -> str:
    """The instant in as many hexadecimal digits as the year 4253 takes, so that keys sort by it."""
    return f"{max((at - _EPOCH) // _STEP, 0):014x}:"
