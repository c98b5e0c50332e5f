"""A connection that is closed under aiokafka's hands, on the event loop that workers use."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvloop
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.admin import ApiVersionRequest

from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.stream.closed_connections import make_closed_connections_known


@pytest.fixture
def known() -> Any:
    """What a worker does at its start; undone again, for the other tests of this process."""
    before = AIOKafkaConnection.send, AIOKafkaConnection._send_sasl_token
    make_closed_connections_known()
    yield
    AIOKafkaConnection.send, AIOKafkaConnection._send_sasl_token = before


@pytest.mark.usefixtures("known")
def test_writing_to_it_is_an_error_of_the_connection(kafka: EmbeddedKafka) -> None:
    async def scenario() -> None:
        client = AIOKafkaClient(bootstrap_servers=kafka.bootstrap_servers)
        await client.bootstrap()
        assert await client.force_metadata_update()
        [connection] = client._conns.values()
        connection._writer.transport.abort()
        await asyncio.sleep(0)  # the turn of the event loop before the one in which aiokafka hears of that
        with pytest.raises(KafkaConnectionError, match="handler is closed"):
            await connection.send(ApiVersionRequest())
        assert not connection.connected()
        await client.close()

    uvloop.run(scenario())


@pytest.mark.usefixtures("known")
def test_it_is_arranged_once_however_often_it_is_asked_for() -> None:
    arranged = AIOKafkaConnection.send
    make_closed_connections_known()
    assert AIOKafkaConnection.send is arranged
