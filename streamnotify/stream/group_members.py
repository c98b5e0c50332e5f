"""Who is in the consumer group."""

from __future__ import annotations

from concurrent import futures
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from streamnotify.errors import EngineFailure
from streamnotify.stream.client_faults import ClientFaults
from streamnotify.wire.kafka_security import KafkaSecurity

_TIMEOUT = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A member of the group: the id that the group gave it, and where it runs."""

    member_id: str
    host: str


def member_named(bootstrap_servers: str, security: KafkaSecurity, group: str, name: str) -> GroupMember | None:
    """The member of a group that has a name (its ``group.instance.id``); None if there is none.

    Raises:
        EngineFailure: if the cluster does not say.
    """
    faults = ClientFaults(bootstrap_servers, security)
    config: dict[str, Any] = {"bootstrap.servers": bootstrap_servers, "error_cb": faults}
    admin = AdminClient({**config, **security.for_librdkafka()}, logger=faults)
    [asked] = admin.describe_consumer_groups([group], request_timeout=_TIMEOUT.total_seconds()).values()
    try:
        members = asked.result(_TIMEOUT.total_seconds() + 5).members
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
            return None
        raise EngineFailure(faults.sentence(error.args[0], f"group {group}")) from error
    except futures.TimeoutError:
        raise EngineFailure(faults.sentence()) from None
    found = [member for member in members if member.group_instance_id == name]
    return GroupMember(found[0].member_id, found[0].host) if found else None
