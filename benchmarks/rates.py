"""From counts over time to figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

WARM_UP = 0.1  # this share of the events comes before the measurement


class Sample(NamedTuple):
    """So many records were applied at this time, in seconds, with so many seconds of CPU."""

    at: float
    records: int
    cpu: float = 0.0


@dataclass(frozen=True, slots=True)
class Rate:
    """A measured rate: so many events in so many seconds, with so many seconds of the process's CPU (all its threads).

    ``complete`` is False if time ran out.
    """

    events: int
    seconds: float
    cpu: float = 0.0
    complete: bool = True

    @property
    def per_second(self) -> float:
        """Events per second."""
        return self.events / self.seconds if self.seconds else 0.0

    @property
    def cpu_per_event(self) -> float:
        """Microseconds of CPU per event: much the same on a busy machine, where the rate is not."""
        return self.cpu / self.events * 1e6


def rate(samples: Sequence[Sample], total: int) -> Rate:
    """The rate from the end of the warm-up to the first sample that has all ``total`` events, else to the last one.

    Args:
        samples: in order.
        total: how many events there are.

    Raises:
        ValueError: if the samples do not get beyond the warm-up.
    """
    warm = next((sample for sample in samples if sample.records >= total * WARM_UP), None)
    end = next((sample for sample in samples if sample.records >= total), samples[-1] if samples else None)
    if warm is None or end is None or end.records <= warm.records:
        raise ValueError(f"only {samples[-1].records if samples else 0} of {total} events were applied in time")
    return Rate(end.records - warm.records, end.at - warm.at, end.cpu - warm.cpu, complete=end.records >= total)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that ``share`` (0 to 1) of the values do not exceed (nearest rank); NaN of nothing."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1]
