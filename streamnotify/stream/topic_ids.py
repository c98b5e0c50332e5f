"""State and topics belong together: the ids of the topics a state was made from are a row of it (DESIGN 3.8)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streamnotify.errors import StateError, TopicsError
from streamnotify.stations.context import Station
from streamnotify.stream import engine_rows
from streamnotify.stream.chunk import Chunk
from streamnotify.stream.config import EngineConfig
from streamnotify.stream.engine_rows import IDS, TopicIds
from streamnotify.stream.store import PartitionStore
from streamnotify.stream.topic_admin import TopicAdmin

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CurrentIds:
    """The ids topics have on the broker now.

    Args:
        ids: per full topic name its id.
        config: names and the deployment epoch.
    """

    ids: Mapping[str, str]
    config: EngineConfig

    def of_input(self, station: Station) -> str:
        """The id of the (first) topic a station reads."""
        topic = station.inputs[0]
        return self.ids[self.config.topic_name(topic.name, internal=topic.internal)]

    def of_station(self, station: Station) -> TopicIds:
        """The ids a state of this station made now is made from."""
        return TopicIds(
            input_id=self.of_input(station),
            changelog_id=self.ids[self.config.changelog_name(station.name)],
            epoch=self.config.deployment_epoch,
        )

    def identity(self, station: Station, partition: int) -> bytes:
        """Start of the identities of what the station emits from a partition: station, topic id, partition, epoch."""
        return f"{station.name}/{self.of_input(station)}/{partition}/{self.config.deployment_epoch}/".encode()

    def check_local(self, station: Station, store: PartitionStore) -> None:
        """Before the restore: state on disk must come from the changelog that is there now.

        Raises:
            StateError: if the changelog was created anew.
        """
        local = engine_rows.decode_ids(store.read(IDS))
        if local is not None and local.changelog_id != self.of_station(station).changelog_id:
            raise StateError(
                f"changelog {store.changelog} was deleted and created anew; the state on disk is the only copy. "
                "Restore the topic, or remove the worker's data directory and raise STREAMNOTIFY_EPOCH to start anew"
            )

    def check_restored(self, station: Station, store: PartitionStore, committed: int | None) -> Chunk | None:
        """After the restore: the chunk that records the current ids, or None if they are recorded already.

        Args:
            station: whose state it is.
            store: one partition's restored state.
            committed: the offset the consumer group has committed on the input, None if none.

        Raises:
            StateError: if the input was created anew, or the state is gone although input was consumed, and the
                deployment epoch was not raised.
        """
        now = self.of_station(station)
        stored = engine_rows.decode_ids(store.read(IDS))
        if stored == now:
            return None
        chunk = Chunk(store, stateful=True, folding=None)
        if stored is None:
            if committed and not now.epoch:
                raise StateError(
                    f"the state of station {station.name} is gone, but its input was consumed up to {committed}: its "
                    f"changelog {store.changelog} was deleted and created anew. Raise STREAMNOTIFY_EPOCH to start anew"
                )
        elif stored.input_id != now.input_id:
            if now.epoch <= stored.epoch:
                raise StateError(
                    f"the input topic of station {station.name} was deleted and created anew: what it held is lost. "
                    "Raise STREAMNOTIFY_EPOCH to go on with the new one"
                )
            logger.warning("station %s goes on with a new input topic, as epoch %d asks", station.name, now.epoch)
            chunk.position.applied = -1
        chunk.rows[IDS] = engine_rows.encode_ids(now)
        return chunk.finish()


def read(config: EngineConfig, stations: Sequence[Station]) -> CurrentIds:
    """Ask the broker for the ids of the stations' inputs and changelogs. Blocks; call it in a thread.

    Raises:
        EngineFailure: if the broker does not answer.
        TopicsError: if a topic is missing.
    """
    names = {config.topic_name(topic.name, internal=topic.internal) for s in stations for topic in s.inputs}
    names |= {config.changelog_name(station.name) for station in stations if station.rows}
    found = TopicAdmin(config.bootstrap_servers, config.security).topic_ids(names)
    if missing := sorted(names - found.keys()):
        raise TopicsError(f"missing topics: {', '.join(missing)}. Run: streamnotify topics apply")
    return CurrentIds(found, config)
