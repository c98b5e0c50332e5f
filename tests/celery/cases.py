"""The cases: which workers they make sense on, when each is over, and where releases and pools differ."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
RELEASES = ("5.4", "5.6", "5.7")
RECYCLED = 10  # tasks sent to the worker that replaces its child after each
ENDS = frozenset({"Completed", "Stopped", "Cancelled", "Invalidated"})


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker's kind.

    Args:
        release: of Celery; 5.7 is the environment's, `make` puts the others beside it.
        pool: as Celery names it.
        tasks_per_child: after how many a child process is replaced; None: never.
    """

    release: str
    pool: str
    tasks_per_child: int | None = None

    def __str__(self) -> str:
        return "-".join([self.release, self.pool] + (["recycling"] if self.tasks_per_child else []))

    @property
    def packages(self) -> Path | None:
        """What stands before the environment on the worker's PYTHONPATH."""
        return None if self.release == RELEASES[-1] else ROOT / f".celery-{self.release}"

    @property
    def is_installed(self) -> bool:
        """Whether its release is here."""
        return self.packages is None or (self.packages / ".done").exists()


@dataclass(frozen=True, slots=True)
class Case:
    """What one case needs, and when it is over: when so many runs of its tasks have had the status.

    Args:
        name: the task's id, or what the ids of its tasks begin with, up to a full stop.
        needs_processes: it kills or limits a task, which only a pool of processes can.
        until: a status, or "end" for any of the end statuses, and how many events of the case say it.
        hurried: its child is killed 0.1 s after it was asked to end, so it may or may not get to say "interrupted".
        recycling: it is about the worker that replaces its child after each task.
    """

    name: str
    needs_processes: bool = False
    until: tuple[str, int] = ("end", 1)
    hurried: bool = False
    recycling: bool = False

    def runs_on(self, worker: Worker) -> bool:
        """Whether the case makes sense on this worker."""
        if self.recycling or worker.tasks_per_child is not None:
            return self.recycling and worker.tasks_per_child is not None
        return worker.pool == "prefork" or not self.needs_processes


CASES = [
    Case("success"),
    Case("silent"),
    Case("exception"),
    Case("declared_exception"),
    Case("soft_limit", needs_processes=True),
    Case("hard_limit", needs_processes=True, hurried=True),
    Case("retries_then_success"),
    Case("retries_exhausted"),
    Case("dont_autoretry_for"),
    Case("unserialisable_result"),
    Case("killed", needs_processes=True),
    Case("killed_on_second_attempt", needs_processes=True),
    Case("reject_on_worker_lost", needs_processes=True),
    Case("exits", needs_processes=True),
    Case("revoked_before_start"),
    Case("terminated", needs_processes=True),
    Case("terminated_by_sigkill", needs_processes=True),
    Case("expired"),
    Case("rejects"),
    Case("ignores", until=("Running", 1)),
    Case("replaces"),
    Case("eta"),
    Case("unknown_task"),
    Case("invalid_message"),
    Case("unknown_message", until=("end", 0)),
    Case("progress"),
    Case("published_by_a_task", until=("end", 2)),
    Case("eager", until=("end", 0)),
    Case("direct_call", until=("end", 0)),
    Case("chains", until=("end", 3)),
    Case("groups", until=("end", 2)),
    Case("links", until=("end", 2)),
    Case("link_errors", until=("end", 2)),
    Case("chords", until=("end", 3)),
    Case("chord_member_fails"),
    Case("chord_member_fails_and_is_told", until=("end", 2)),
    *(Case(name) for name in ("documented", "documented_silent", "documented_legacy", "documented_results")),
    Case("beat", needs_processes=True),
    Case("recycling", until=("end", RECYCLED), recycling=True),
]

# Every release in the two pools that people use, the latest in the others; the last replaces a child after each task.
WORKERS = [
    *(Worker(release, pool) for release in RELEASES for pool in ("prefork", "threads")),
    Worker("5.7", "solo"),
    Worker("5.7", "gevent"),
    Worker("5.7", "prefork", tasks_per_child=1),
]
