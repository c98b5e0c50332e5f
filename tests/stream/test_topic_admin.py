"""Topics on the real broker: what is missing or wrong is seen, corrected where it can be, and else refused."""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
)

from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.errors import EngineFailure, TopicsError
from streamnotify.stream.topic_admin import TopicAdmin
from streamnotify.stream.topic_differences import BrokerTopic, Difference, compare
from streamnotify.wire.topic_layout import TopicLayout, layouts


class Cluster:
    """The test broker's topics under a prefix of our own."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.prefix = f"t{uuid.uuid4().hex[:8]}."
        self.admin = TopicAdmin(bootstrap_servers)
        self.raw = AdminClient({"bootstrap.servers": bootstrap_servers})
        self.layouts = layouts(self.prefix, "app", 2, 1)

    def layout(self, name: str) -> TopicLayout:
        return next(layout for layout in self.layouts if layout.name == f"{self.prefix}{name}")

    def alter(self, name: str, config: str, value: str) -> None:
        entry = ConfigEntry(config, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ConfigResource.Type.TOPIC, f"{self.prefix}{name}", incremental_configs=[entry])
        for future in self.raw.incremental_alter_configs([resource]).values():
            future.result()
        self._until(lambda found: found[name].config[config] == value)

    def grow(self, name: str, partitions: int) -> None:
        for future in self.raw.create_partitions([NewPartitions(f"{self.prefix}{name}", partitions)]).values():
            future.result()
        self._until(lambda found: found[name].partitions == partitions)

    def delete(self, *names: str) -> None:
        for future in self.raw.delete_topics([f"{self.prefix}{name}" for name in names]).values():
            future.result()
        self._until(lambda found: not found.keys() & set(names))

    def existing(self) -> dict[str, BrokerTopic]:
        """By their names without the prefix."""
        found = self.admin.topics([layout.name for layout in self.layouts])
        return {name.removeprefix(self.prefix): topic for name, topic in found.items()}

    def _until(self, condition: Callable[[dict[str, BrokerTopic]], bool]) -> None:
        """The broker shows its changes a little later than it makes them."""
        deadline = time.monotonic() + 15
        while not condition(self.existing()):
            assert time.monotonic() < deadline, "the broker does not show the change"
            time.sleep(0.02)


@pytest.fixture
def cluster(kafka: EmbeddedKafka) -> Iterator[Cluster]:
    made = Cluster(kafka.bootstrap_servers)
    yield made
    if names := made.existing():
        made.delete(*names)


def test_apply_creates_everything_as_declared_and_a_second_time_changes_nothing(cluster: Cluster) -> None:
    missing = cluster.admin.diff(cluster.layouts)
    assert [difference.what for difference in missing] == ["topic"] * len(cluster.layouts)
    assert cluster.admin.apply(cluster.layouts) == missing
    assert cluster.admin.diff(cluster.layouts) == []
    assert cluster.admin.apply(cluster.layouts) == []
    cluster.admin.check(cluster.layouts)
    found = cluster.existing()
    assert found["app-tasks"].config["message.timestamp.type"] == "LogAppendTime"
    assert found["app-tasks-changelog"].config["cleanup.policy"] == "compact"
    assert found["monitor-configs"].partitions == 1
    assert found["task-events"].partitions == 2


def test_missing_topics_refuse_the_start_with_the_command_to_run(cluster: Cluster) -> None:
    with pytest.raises(TopicsError) as refusal:
        cluster.admin.check(cluster.layouts)
    assert f"  {cluster.prefix}task-events: missing\n" in str(refusal.value)
    assert str(refusal.value).endswith("\nRun: streamnotify topics apply")


def test_a_wrong_policy_is_refused_and_apply_corrects_it(cluster: Cluster) -> None:
    cluster.admin.apply(cluster.layouts)
    cluster.alter("app-deliveries-changelog", "cleanup.policy", "compact,delete")
    with pytest.raises(TopicsError, match=r"cleanup.policy is compact,delete, declared compact"):
        cluster.admin.check(cluster.layouts)
    assert [each.what for each in cluster.admin.apply(cluster.layouts)] == ["cleanup.policy"]
    cluster.admin.check(cluster.layouts)


def test_housekeeping_that_differs_is_corrected_but_does_not_refuse_the_start(cluster: Cluster) -> None:
    cluster.admin.apply(cluster.layouts)
    cluster.alter("app-tasks-changelog", "segment.ms", "3600000")
    cluster.admin.check(cluster.layouts)
    assert [each.what for each in cluster.admin.apply(cluster.layouts)] == ["segment.ms"]


def test_task_events_grow_to_the_declared_count_and_may_have_more(cluster: Cluster) -> None:
    cluster.admin.apply(cluster.layouts)
    more = layouts(cluster.prefix, "app", 3, 1)
    events = [layout for layout in more if layout.name.endswith("task-events")]
    cluster.admin.check(events)
    assert [(each.what, each.actual, each.wanted) for each in cluster.admin.apply(events)] == [("partitions", "2", "3")]
    assert cluster.existing()["task-events"].partitions == 3
    assert cluster.admin.diff([cluster.layout("task-events")]) == []


def test_internal_topics_never_grow_and_another_count_refuses_the_start(cluster: Cluster) -> None:
    cluster.admin.apply(cluster.layouts)
    cluster.grow("app-outbox", 3)
    assert cluster.admin.apply([cluster.layout("app-outbox")]) == []
    with pytest.raises(TopicsError, match=r"app-outbox: partitions is 3, declared 2 \(cannot be changed"):
        cluster.admin.check(cluster.layouts)


def test_compacted_topics_keep_the_count_they_have(cluster: Cluster) -> None:
    cluster.admin.apply(cluster.layouts)
    users = [layout for layout in layouts(cluster.prefix, "app", 5, 1) if layout.name.endswith("users")]
    assert cluster.admin.diff(users) == []


def test_a_topic_made_anew_has_another_id(cluster: Cluster) -> None:
    events = cluster.layout("task-events")
    cluster.admin.apply([events])
    before = cluster.admin.topic_ids([events.name, f"{cluster.prefix}none"])
    assert list(before) == [events.name]
    cluster.delete("task-events")
    cluster.admin.apply([events])
    assert cluster.admin.topic_ids([events.name]) != before


def test_a_cluster_that_does_not_answer_is_a_failure_and_no_refusal() -> None:
    nobody = TopicAdmin("127.0.0.1:1", timeout=timedelta(seconds=1))
    with pytest.raises(EngineFailure, match="does not answer"):
        nobody.diff(layouts("", "app", 1, 1))


def test_one_broker_gets_one_copy(cluster: Cluster) -> None:
    assert cluster.admin.default_replication() == 1


def _as_declared(layout: TopicLayout, **changes: object) -> BrokerTopic:
    actual = BrokerTopic("id", layout.partitions, layout.replication, layout.config_with(layout.replication))
    return dataclasses.replace(actual, **changes)  # type: ignore[arg-type]  # the tests name real fields


def test_a_cluster_with_three_brokers_wants_three_copies_two_of_them_in_sync() -> None:
    layout = layouts("", "app", 8, 3)[0]
    assert layout.config_with(3)["min.insync.replicas"] == "2"
    assert compare(layout, _as_declared(layout)) == []


def test_too_few_copies_are_reported_but_do_not_refuse_the_start() -> None:
    layout = layouts("", "app", 8, 3)[0]
    single = _as_declared(layout, replication=1, config=layout.config_with(1))
    assert [(each.what, each.blocks, bool(each.remedy)) for each in compare(layout, single)] == [
        ("replication", False, True)
    ]


def test_a_broker_that_is_down_does_not_make_existing_topics_wrong() -> None:
    wanted_with_one_broker_left = layouts("", "app", 8, 1)[0]
    made_with_three = layouts("", "app", 8, 3)[0]
    assert compare(wanted_with_one_broker_left, _as_declared(made_with_three)) == []


def test_larger_records_than_declared_are_fine_and_smaller_ones_are_not() -> None:
    layout = layouts("", "app", 8, 1)[0]
    size = int(layout.config["max.message.bytes"])
    larger, smaller = (
        _as_declared(layout, config={**layout.config_with(1), "max.message.bytes": str(each)})
        for each in (size + 1, size - 1)
    )
    assert compare(layout, larger) == []
    assert compare(layout, smaller) == [
        Difference(layout.name, "max.message.bytes", str(size - 1), str(size), blocks=True)
    ]
