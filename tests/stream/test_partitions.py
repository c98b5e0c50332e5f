"""What a worker owns, while it changes."""

from __future__ import annotations

from typing import Any, cast

from streamnotify.stations.context import Station
from streamnotify.stream.partitions import OwnedPartition, Ownership


def test_partitions_given_up_during_an_iteration_are_passed_over() -> None:
    """Their databases are closed by then: the ticker, which awaits between two of them, must not look."""
    station = Station("s", (), handle=lambda command, ctx: None)
    nothing = cast(Any, None)
    ownership = Ownership()
    for number in range(3):
        ownership.add(OwnedPartition(station, number, nothing, nothing, nothing, 0))
    seen = []
    for partition in ownership:
        seen.append(partition.number)
        ownership.clear()
    assert seen == [0]
