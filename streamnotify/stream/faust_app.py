"""The Faust app and its tables, with every default that loses events or opens a port turned off (research/faust.md)."""

from __future__ import annotations

from typing import Any

import faust
from faust.auth import SASLCredentials, SSLCredentials
from faust.tables.manager import TableManager

from streamnotify.stations.context import Station
from streamnotify.stream.config import EngineConfig
from streamnotify.stream.consumer import MicroBatches

RECOVERY_TIMEOUT = 3600.0  # seconds one step of a recovery may take; Faust bounds them by the request time-out

METADATA_AGE_MS = 15_000  # partitions added to a public topic are not read before; nor does the frontier move


class PromptTables(TableManager):
    """Faust's tables without their pause of a second for agents to come: ours are all there before."""

    async def on_start(self) -> None:
        """Faust subscribes after this."""
        await self._update_channels()
        await self.recovery.start()


def faust_app(config: EngineConfig) -> faust.App:
    """An app named after the consumer group, with no web server and no agent supervision of its own."""
    session = config.session_timeout.total_seconds()
    return faust.App(
        config.app_id,
        broker=[f"kafka://{server}" for server in config.bootstrap_servers.split(",")],
        broker_credentials=_credentials(config),
        datadir=str(config.data_dir),
        store="rocksdb://?driver=rocksdict",
        topic_partitions=config.partitions,
        topic_allow_declare=False,  # topics are made by `streamnotify topics apply`
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=config.instance_id,
        consumer_metadata_max_age_ms=METADATA_AGE_MS,
        broker_session_timeout=session,
        broker_heartbeat_interval=config.heartbeat.total_seconds(),
        broker_rebalance_timeout=config.rebalance_timeout.total_seconds(),
        broker_request_timeout=RECOVERY_TIMEOUT,
        broker_commit_interval=0.5,
        stream_buffer_maxsize=16,  # micro-batches, not records (research/faust.md rule 4)
        stream_wait_empty=True,
        table_standby_replicas=0,
        ConsumerScheduler=MicroBatches,
        TableManager=PromptTables,
        web_enabled=False,
    )


def stateful_table(app: faust.App, station: Station, config: EngineConfig) -> Any:
    """The table that holds a station's rows as raw bytes; its options are replaced by the shared ones."""
    return app.Table(
        station.name, partitions=config.partitions, key_type=bytes, value_type=bytes, options={"driver": "rocksdict"}
    )


def _credentials(config: EngineConfig) -> Any:
    """Faust's form of the credentials; a context is always passed (research/faust.md rule 36)."""
    security, context = config.security, config.client.get("ssl_context")
    if security.protocol.startswith("SASL_"):
        return SASLCredentials(
            username=security.username,
            password=security.password,
            mechanism=security.mechanism,
            ssl_context=context,
        )
    return SSLCredentials(context) if security.protocol == "SSL" else None
