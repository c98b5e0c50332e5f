"""How every topic is laid out on the broker: the one declaration of SPEC section 2 and DESIGN sections 1 and 3.13.

What lies on the topics is declared in :mod:`streamnotify.wire.topics`. ``streamnotify topics apply`` makes the broker
follow this file, and the worker refuses to start where it does not.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from streamnotify.wire import topics

MIB = 1024 * 1024
PUBLIC_BYTES = 2 * MIB + 128 * 1024  # records of up to 2 MiB (SPEC section 2), their key, headers and batch header
DEAD_LETTER_BYTES = 3 * MIB  # such a record and the headers that say what was wrong with it (DESIGN 3.5)
INTERNAL_BYTES = 2 * MIB  # a chunk's one record batch: 800 KB as counted by the engine (DESIGN 3.5), with room to spare

EVENT_RETENTION = timedelta(days=7)
INTERNAL_RETENTION = timedelta(days=14)  # DESIGN 3.13
OUTPUT_RETENTION = timedelta(days=30)
ANSWER_RETENTION = timedelta(hours=1)  # whoever asked waits for seconds
TOMBSTONE_RETENTION = timedelta(days=7)  # state older than half of this is rebuilt (DESIGN 3.8)

_STATEFUL_STATIONS = ("tasks", "mailboxes", "deliveries")


class Partitions(enum.Enum):
    """What a partition count that differs from the declared one means (DESIGN section 9)."""

    ONE = "must be one: its records are in one order"
    EXACT = "must match: keys and state belong to their partition"
    GROWS = "any count works; more are added to reach the declared one"
    KEPT = "any count works and is kept"


@dataclass(frozen=True, slots=True)
class TopicLayout:
    """One topic as it should be on the broker.

    ``partitions`` and ``replication`` are those of a topic yet to be created. ``config`` holds topic-level settings
    under Kafka's names, those that depend on the number of copies apart.
    """

    name: str
    partitions: int
    replication: int
    partition_rule: Partitions
    config: Mapping[str, str]

    def config_with(self, replication: int) -> dict[str, str]:
        """The settings that must be in force on the topic when it has ``replication`` copies.

        With three copies an acknowledged write survives the loss of any one broker (DESIGN 3.13).
        """
        return {
            **self.config,
            "min.insync.replicas": "2" if replication >= 3 else "1",
            "unclean.leader.election.enable": "false",
        }


def layouts(prefix: str, app_id: str, partitions: int, replication: int) -> tuple[TopicLayout, ...]:
    """Every topic of a deployment, public ones first.

    Args:
        prefix: put before every name as given (``STREAMNOTIFY_TOPIC_PREFIX``).
        app_id: names the internal topics (``STREAMNOTIFY_APP_ID``, without the prefix).
        partitions: of each topic but ``monitor-configs``.
        replication: copies of each topic's partitions.
    """
    return tuple(
        TopicLayout(name, count, replication, rule, config)
        for name, count, rule, config in (*_public(prefix, partitions), *_internal(f"{prefix}{app_id}", partitions))
    )


_Declared = tuple[str, int, Partitions, dict[str, str]]


def _public(prefix: str, partitions: int) -> list[_Declared]:
    """SPEC section 2, row by row."""
    declared: list[_Declared] = [
        (topics.TASK_EVENTS.name, partitions, Partitions.GROWS, _deleted(EVENT_RETENTION, PUBLIC_BYTES)),
        (topics.MONITOR_CONFIGS.name, 1, Partitions.ONE, _directory()),
        (topics.USERS.name, partitions, Partitions.KEPT, _directory()),
        (topics.USER_PREFERENCES.name, partitions, Partitions.KEPT, _directory()),
        (topics.NOTIFICATION_FEEDBACK.name, partitions, Partitions.KEPT, _deleted(OUTPUT_RETENTION, PUBLIC_BYTES)),
        (topics.MONITOR_RESULTS.name, partitions, Partitions.KEPT, _deleted(OUTPUT_RETENTION, PUBLIC_BYTES)),
        (topics.NOTIFICATION_STATUS.name, partitions, Partitions.KEPT, _deleted(OUTPUT_RETENTION, PUBLIC_BYTES)),
        (topics.DEAD_LETTERS.name, partitions, Partitions.KEPT, _deleted(OUTPUT_RETENTION, DEAD_LETTER_BYTES)),
    ]
    return [(f"{prefix}{name}", count, rule, config) for name, count, rule, config in declared]


def _internal(app: str, partitions: int) -> list[_Declared]:
    """DESIGN section 1; the names are those of ``EngineConfig.topic_name`` and ``changelog_name``."""
    # One clock, the broker's, orders everything the stations see (DESIGN 3.3).
    commands = {**_deleted(INTERNAL_RETENTION, INTERNAL_BYTES), "message.timestamp.type": "LogAppendTime"}
    changelog = {
        **_compacted(),
        "max.message.bytes": str(INTERNAL_BYTES),
        "segment.bytes": str(100 * MIB),  # the active segment is never compacted: smaller ones restore faster
        "segment.ms": _ms(timedelta(days=1)),
    }
    return [
        *(
            (f"{app}-{topic.name}", partitions, Partitions.EXACT, commands)
            for topic in (topics.TASKS, topics.MAILBOXES, topics.OUTBOX)
        ),
        (
            f"{app}-{topics.ANSWERS.name}",
            1,
            Partitions.ONE,
            {**_deleted(ANSWER_RETENTION, INTERNAL_BYTES), "segment.ms": _ms(ANSWER_RETENTION)},
        ),
        *((f"{app}-{station}-changelog", partitions, Partitions.EXACT, changelog) for station in _STATEFUL_STATIONS),
    ]


def _deleted(retention: timedelta, size: int) -> dict[str, str]:
    """``size`` is the largest record batch in bytes."""
    return {"cleanup.policy": "delete", "retention.ms": _ms(retention), "max.message.bytes": str(size)}


def _compacted() -> dict[str, str]:
    """Never ``compact,delete``: Faust's recovery stalls on it (faust.md rule 18)."""
    return {"cleanup.policy": "compact", "delete.retention.ms": _ms(TOMBSTONE_RETENTION)}


def _directory() -> dict[str, str]:
    """A small compacted topic that is read from its start: kept short (kafka-ops.md section 3)."""
    return {
        **_compacted(),
        "max.message.bytes": str(PUBLIC_BYTES),
        "min.cleanable.dirty.ratio": "0.1",
        "segment.ms": _ms(timedelta(hours=1)),
        "max.compaction.lag.ms": _ms(timedelta(days=1)),
    }


def _ms(duration: timedelta) -> str:
    return str(duration // timedelta(milliseconds=1))
