"""What this worker owns right now: one entry per station and partition, replaced at every assignment."""

from __future__ import annotations

from collections.abc import Iterator

from streamnotify.stations.context import Station
from streamnotify.stream import engine_rows
from streamnotify.stream.fence import Fence
from streamnotify.stream.processor import Processor
from streamnotify.stream.store import PartitionStore


class OwnedPartition:
    """One partition of a stateful station, with its state restored and its writers fenced.

    Args:
        station: the station.
        number: the partition's number.
        store: its state.
        fence: the right to write for it.
        processor: applies its records.
        input_end: end offset of its input when it was taken over; the previous owner's results lie before it.
    """

    def __init__(
        self, station: Station, number: int, store: PartitionStore, fence: Fence, processor: Processor, input_end: int
    ) -> None:
        self.station = station
        self.number = number
        self.store = store
        self.fence = fence
        self.processor = processor
        self.input_end = input_end
        self.tick_offset = -1  # of the last tick sent to it
        self.attempts_run = False  # whether its open attempts have been taken up

    @property
    def applied(self) -> int:
        """The last input offset its state has taken in, -1 if none."""
        return engine_rows.decode_position(self.store.read(engine_rows.POSITION)).applied

    @property
    def caught_up(self) -> bool:
        """Whether everything that lay in its input when it was taken over has been applied."""
        return self.applied >= self.input_end - 1


class Ownership:
    """The partitions owned, by station name and number."""

    def __init__(self) -> None:
        self._owned: dict[tuple[str, int], OwnedPartition] = {}

    def __iter__(self) -> Iterator[OwnedPartition]:
        for key in list(self._owned):
            partition = self._owned.get(key)
            if partition is not None:  # else given up since the iteration began, and its database closed
                yield partition

    def add(self, partition: OwnedPartition) -> None:
        """Own a partition, in place of an earlier ownership of it."""
        self._owned[partition.station.name, partition.number] = partition

    def get(self, station: str, number: int) -> OwnedPartition | None:
        """The partition if it is owned."""
        return self._owned.get((station, number))

    def clear(self) -> None:
        """Own nothing."""
        self._owned.clear()
