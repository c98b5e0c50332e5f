"""Consumer groups that hear at once that their only member is dead.

By themselves they notice after the session time-out, 10 s in the product, and whoever joins meanwhile waits for it.
"""

from __future__ import annotations

import asyncio

from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.protocol.group import LeaveGroupRequest
from confluent_kafka.admin import AdminClient


def forget_the_only_one(bootstrap_servers: str, group: str) -> None:
    """Have the group forget its member, which is dead."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})  # it must outlive what it has promised
    [member] = admin.describe_consumer_groups([group])[group].result().members
    asyncio.run(_leave(bootstrap_servers, group, member.member_id))


async def _leave(bootstrap_servers: str, group: str, member_id: str) -> None:
    client = AIOKafkaClient(bootstrap_servers=bootstrap_servers)
    await client.bootstrap()
    try:
        coordinator = await client.coordinator_lookup(CoordinationType.GROUP, group)
        answer = await client.send(coordinator, LeaveGroupRequest(group, member_id))
        assert answer.error_code == 0, answer
    finally:
        await client.close()
