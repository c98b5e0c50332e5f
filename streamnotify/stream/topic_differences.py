"""How the broker's topics differ from their declared layout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from streamnotify.wire.topic_layout import Partitions, TopicLayout

_AT_LEAST = frozenset({"max.message.bytes"})  # more than declared does no harm
# What only tunes the broker's housekeeping: reported and corrected, but no reason to refuse a start.
_HOUSEKEEPING = frozenset({"segment.bytes", "segment.ms", "min.cleanable.dirty.ratio", "max.compaction.lag.ms"})
_UNCHANGEABLE = {
    Partitions.ONE: "cannot be changed: delete the topic, apply, and publish its records again",
    Partitions.EXACT: "cannot be changed: set STREAMNOTIFY_PARTITIONS to that, or take another STREAMNOTIFY_APP_ID",
}


@dataclass(frozen=True, slots=True)
class BrokerTopic:
    """A topic as the broker has it: ``config`` is what is in force, defaults included; ``led``: it has all leaders."""

    topic_id: str
    partitions: int
    replication: int
    config: Mapping[str, str]
    led: bool = True


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which the broker differs from the declaration.

    Args:
        topic: the topic's name on the broker.
        what: ``topic`` (it is missing), ``partitions``, ``replication`` or the name of a topic-level setting.
        actual: what the broker has; None for a missing topic.
        wanted: what is declared.
        blocks: the worker must not start.
        remedy: what a person has to do; None if ``apply`` corrects it.
    """

    topic: str
    what: str
    actual: str | None
    wanted: str
    blocks: bool = True
    remedy: str | None = None

    def __str__(self) -> str:
        if self.actual is None:
            return f"{self.topic}: missing"
        advice = f" ({self.remedy})" if self.remedy else ""
        return f"{self.topic}: {self.what} is {self.actual}, declared {self.wanted}{advice}"


def compare(layout: TopicLayout, actual: BrokerTopic | None) -> list[Difference]:
    """How a topic differs from its layout; nothing if it does not."""
    if actual is None:
        return [Difference(layout.name, "topic", None, f"{layout.partitions} partition{'s' * (layout.partitions > 1)}")]
    return [
        *_compare_partitions(layout, actual),
        *_compare_replication(layout, actual),
        *_compare_config(layout, actual),
    ]


def _compare_partitions(layout: TopicLayout, actual: BrokerTopic) -> Iterable[Difference]:
    found, wanted = str(actual.partitions), str(layout.partitions)
    if layout.partition_rule in _UNCHANGEABLE and actual.partitions != layout.partitions:
        yield Difference(layout.name, "partitions", found, wanted, remedy=_UNCHANGEABLE[layout.partition_rule])
    if layout.partition_rule is Partitions.GROWS and actual.partitions < layout.partitions:
        yield Difference(layout.name, "partitions", found, wanted, blocks=False)


def _compare_replication(layout: TopicLayout, actual: BrokerTopic) -> Iterable[Difference]:
    if actual.replication < layout.replication:
        yield Difference(
            layout.name,
            "replication",
            str(actual.replication),
            str(layout.replication),
            blocks=False,
            remedy="add copies with Kafka's kafka-reassign-partitions",
        )


def _compare_config(layout: TopicLayout, actual: BrokerTopic) -> Iterable[Difference]:
    for name, wanted in layout.config_with(actual.replication).items():
        found = actual.config.get(name, "")
        same = int(found or 0) >= int(wanted) if name in _AT_LEAST else found == wanted
        if not same:
            yield Difference(layout.name, name, found, wanted, blocks=name not in _HOUSEKEEPING)
