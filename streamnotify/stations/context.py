"""What a station sees of the engine: records, its context, and how it declares itself. No Faust, no Kafka here."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

from streamnotify.wire.rows import Row
from streamnotify.wire.topics import Topic

T = TypeVar("T")


class WaitsFor(enum.IntEnum):
    """Which clock a wake waits for (DESIGN section 6)."""

    BROKER = 0  # the broker's time has passed it
    FRONTIER = 1  # and everything in task-events at that time has been taken in


class Record(Protocol):
    """A record as it lies in the log; what stations on public topics handle.

    ``timestamp`` is Kafka's, in milliseconds since the epoch.
    """

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


@dataclass(frozen=True, slots=True)
class Due:
    """The command a station handles when a wake of ``(row, key)`` has come; the row exists.

    ``at`` is the time it was set for, ``reached`` how far the clock it waited for had come: ``ctx.now``, or the
    frontier.
    """

    row: Row[Any]
    key: str
    at: datetime
    reached: datetime


class Context(Protocol):
    """What a handler may do. Everything takes effect when the record's chunk is persisted, or not at all."""

    @property
    def now(self) -> datetime:
        """The broker's append time of the record at hand, aware UTC, never running backwards.

        Raises:
            RuntimeError: in a station on public topics, which has no clock (DESIGN 3.3).
        """

    def get(self, row: Row[T], key: str) -> T | None:
        """The row's value, including what this record has put, or None."""

    def scan(self, row: Row[T], start: str, stop: str) -> Iterator[tuple[str, T]]:
        """The rows with ``start`` <= key < ``stop`` (as UTF-8), the last first, including what this record has put.

        ``row`` must be declared ordered. Nothing may be put or deleted while it is read.
        """

    def put(self, row: Row[T], key: str, value: T) -> None:
        """Write a row."""

    def delete(self, row: Row[T], key: str) -> None:
        """Remove a row; its wake then comes to nothing."""

    def wake(self, row: Row[T], key: str, at: datetime | None, *, waits_for: WaitsFor = WaitsFor.BROKER) -> None:
        """Have ``Due(row, key, at)`` handled once ``at`` has passed; moves an earlier wake, None cancels it."""

    def emit(self, topic: Topic, key: str | bytes | None, command: Any) -> None:
        """Send a command or public record; internal topics apply it exactly once (DESIGN 3.7)."""

    def emit_everywhere(self, topic: Topic, command: Any) -> None:
        """Send a command to each partition of an internal topic: what every one of them must know."""

    def start(self, key: str, number: int) -> None:
        """Have attempt ``number`` of ``key`` performed outside the agent once this chunk is persisted.

        The attempt stays open, over restarts and changes of owner, until its result has been handled.
        """


class Rows(Protocol):
    """Read access to the persisted rows of one partition."""

    def get(self, row: Row[T], key: str) -> T | None:
        """The row's persisted value or None."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of something outside the stream, such as handing a mail to the relay.

    ``rows`` reads the persisted state of the attempt's partition. ``check_lease`` must be called right before each
    irrevocable step; it raises LeaseLost if this worker may no longer own the partition.
    """

    key: str
    number: int
    rows: Rows
    check_lease: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Performer:
    """Performs the attempts a station starts.

    ``perform`` returns the command that is sent back to the station as the result; an attempt for which it raises
    LeaseLost is dropped here and started again by the partition's next owner. ``at_once`` attempts run side by side.
    ``remarks`` tells an operator, a line each, what keeps attempts from coming to anything; any thread may ask.
    """

    perform: Callable[[Attempt], Awaitable[Any]]
    at_once: int
    remarks: Callable[[], Sequence[str]] = lambda: ()


@dataclass(frozen=True, slots=True)
class Folding:
    """How a chunk's updates of one thing are folded into one before they are emitted (DESIGN 3.7).

    ``combine(a, b)`` returns a followed by b as one command, or None if they must stay two. Merging folded commands
    must lead to the same state as merging them one by one, however often each is repeated.
    """

    identity: Callable[[Any], Hashable]
    combine: Callable[[Any, Any], Any | None]


@dataclass(frozen=True, slots=True)
class Station:
    """One station: what it reads, how it handles it, what it keeps.

    Args:
        name: the station's and its table's name.
        inputs: topics it reads; a public one delivers :class:`Record`, an internal one the topic's commands and
            :class:`Due`.
        handle: ``handle(command, ctx)``. Raising BadRecord dead-letters the record at once; any other exception is
            tried three times first.
        rows: the kinds of its state rows; empty for a stateless station.
        folding: set by a stateless station whose commands merge idempotently.
        performer: set by a station that calls ``ctx.start``.
        loss: set where others must know of records that expired before they were read: given the time before which any
            may be missing, what every partition of an internal topic is told.
    """

    name: str
    inputs: tuple[Topic, ...]
    handle: Callable[[Any, Context], None]
    rows: tuple[Row[Any], ...] = ()
    folding: Folding | None = None
    performer: Performer | None = None
    loss: Callable[[datetime], tuple[Topic, Any]] | None = None

    @property
    def has_clock(self) -> bool:
        """Whether its records have the broker's time, and so whether it can sleep (DESIGN 3.3)."""
        return all(topic.internal for topic in self.inputs)
