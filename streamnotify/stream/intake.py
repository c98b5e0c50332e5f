"""How far a public topic reaches, and how far our group has taken it in: asked of the broker afresh each time."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, TypeVar

from aiokafka import errors
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.cluster import ClusterMetadata
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.offset import OffsetRequest, OffsetResetStrategy
from aiokafka.structs import TopicPartition

from streamnotify.errors import EngineFailure
from streamnotify.stream.config import EngineConfig

T = TypeVar("T")

ANSWER_WITHIN = 5.0  # seconds; what is not known by then counts as not known
# High watermarks: behind an open transaction lie records that cannot be read yet, and they are there all the same.
READ_UNCOMMITTED = 0


class Intake:
    """Asks with a client of its own, which takes no part in the group. An answer is whole, or there is none.

    Args:
        topic: its name on the broker.
        config: the group and the cluster.
    """

    def __init__(self, topic: str, config: EngineConfig) -> None:
        self._topic = topic
        self._config = config
        self._client: AIOKafkaClient | None = None
        self._leaders: Mapping[int, int] = {}
        self._coordinator: int | None = None

    async def ends(self) -> dict[int, int]:
        """The end offset of every partition that the topic has now.

        Raises:
            EngineFailure: if any of it is not known.
        """
        return await self._ask(self._ends)

    async def taken_in(self, ends: Mapping[int, int]) -> dict[int, int]:
        """Per partition of ``ends`` the offset up to which nothing is left to be taken in.

        That is what the group has committed, or the log's start where that lies behind it. A log's start is only asked
        for where it could make a difference.

        Raises:
            EngineFailure: if any of it is not known.
        """
        return await self._ask(lambda client: self._taken_in(client, ends))

    async def close(self) -> None:
        """Let go of the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _ask(self, question: Callable[[AIOKafkaClient], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                return await question(await self._connected())
        except Exception as error:
            self._coordinator = None
            raise EngineFailure(f"it is not known how far {self._topic} reaches: {error!r}") from error

    async def _connected(self) -> AIOKafkaClient:
        if self._client is None:
            client = AIOKafkaClient(request_timeout_ms=int(ANSWER_WITHIN * 1000), **self._config.client)
            client.set_topics([self._topic])
            await client.bootstrap()
            self._client = client
        return self._client

    async def _ends(self, client: AIOKafkaClient) -> dict[int, int]:
        cluster = ClusterMetadata()
        answer = await client.send(client.get_random_node(), MetadataRequest([self._topic], False))
        cluster.update_metadata(answer)
        partitions = cluster.partitions_for_topic(self._topic)
        led = cluster.available_partitions_for_topic(self._topic)
        if not partitions or partitions != led:
            raise errors.LeaderNotAvailableError(f"partitions {sorted(partitions or ())}, with a leader {led}")
        self._leaders = {
            number: cluster.leader_for_partition(TopicPartition(self._topic, number)) for number in partitions
        }
        return await self._offsets(client, partitions, OffsetResetStrategy.LATEST)

    async def _taken_in(self, client: AIOKafkaClient, ends: Mapping[int, int]) -> dict[int, int]:
        reached = await self._committed(client, ends)
        behind = [number for number, end in ends.items() if reached[number] < end]
        if behind:
            starts = await self._offsets(client, behind, OffsetResetStrategy.EARLIEST)
            reached |= {number: max(reached[number], start) for number, start in starts.items()}
        return reached

    async def _committed(self, client: AIOKafkaClient, partitions: Collection[int]) -> dict[int, int]:
        group = self._config.app_id
        if self._coordinator is None:
            self._coordinator = await client.coordinator_lookup(CoordinationType.GROUP, group)
        answer = await client.send(self._coordinator, OffsetFetchRequest(group, [(self._topic, list(partitions))]))
        found = [(number, error, offset) for _, told in answer.topics for number, offset, _, error in told]
        return _whole(partitions, found)

    async def _offsets(self, client: AIOKafkaClient, partitions: Collection[int], which: int) -> dict[int, int]:
        asked: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        for number in partitions:
            asked[self._leaders[number]].append((number, which))
        answers: list[Any] = await asyncio.gather(
            *(client.send(node, OffsetRequest(-1, READ_UNCOMMITTED, [(self._topic, of)])) for node, of in asked.items())
        )
        found = [
            (number, error, offset) for each in answers for _, told in each.topics for number, error, _, offset in told
        ]
        return _whole(partitions, found)


def _whole(partitions: Collection[int], found: Collection[tuple[int, int, int]]) -> dict[int, int]:
    """``{partition: offset}`` of ``(partition, error code, offset)``, if there is an answer for every partition."""
    for _, error, _ in found:
        if error:
            raise errors.for_code(error)
    offsets = {number: offset for number, _, offset in found}
    if offsets.keys() != set(partitions):
        raise errors.KafkaError(f"asked about partitions {sorted(partitions)}, told about {sorted(offsets)}")
    return offsets
