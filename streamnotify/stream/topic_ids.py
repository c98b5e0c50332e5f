"""State and topics belong together: the ids of the topics a state was made from are a row of it (DESIGN 3.8)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from faust.types import TP

from streamnotify.errors import EngineFailure, StateError, TopicsError
from streamnotify.stations.context import Station
from streamnotify.stream import engine_rows
from streamnotify.stream.chunk import Chunk
from streamnotify.stream.config import EngineConfig
from streamnotify.stream.engine_rows import IDS, TopicIds
from streamnotify.stream.store import PartitionStore
from streamnotify.stream.topic_admin import TopicAdmin

logger = logging.getLogger(__name__)

LOOK_EVERY = 15.0  # seconds


@dataclass(frozen=True, slots=True)
class CurrentIds:
    """The ids topics have on the broker now.

    Args:
        ids: per full topic name its id.
        public: the names among them that publishers write to.
        config: names and the deployment epoch.
    """

    ids: Mapping[str, str]
    public: frozenset[str]
    config: EngineConfig

    def of_input(self, station: Station) -> str:
        """The id of the (first) topic a station reads."""
        return self.ids[self.config.topic_name(station.inputs[0])]

    def of_station(self, station: Station) -> TopicIds:
        """The ids a state of this station made now is made from."""
        return TopicIds(
            input_id=self.of_input(station),
            changelog_id=self.ids[self.config.changelog_name(station.name)],
            epoch=self.config.deployment_epoch,
            sources={name: id_ for name, id_ in self.ids.items() if name in self.public},
        )

    def identity(self, station: Station, source: TP) -> bytes:
        """Start of the identities of what the station emits from a partition of one of its inputs: station, topic id,
        partition, epoch."""
        return f"{station.name}/{self.ids[source.topic]}/{source.partition}/{self.config.deployment_epoch}/".encode()

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

    def check_restored(self, station: Station, store: PartitionStore, end: int, committed: int | None) -> Chunk | None:
        """After the restore: the chunk that records the current ids, or None if they are recorded already.

        Args:
            station: whose state it is.
            store: one partition's restored state.
            end: end offset of the input.
            committed: the offset the consumer group has committed on the input, None if none.

        Raises:
            StateError: if the input was created anew or truncated, or the state is gone although input was consumed,
                and the deployment epoch was not raised.
        """
        now, stored = self.of_station(station), engine_rows.decode_ids(store.read(IDS))
        chunk = Chunk(store, stateful=True, folding=None)
        wrong = _what_is_wrong(stored, now, chunk.position.applied, end, committed)
        if wrong is not None:
            told = now.epoch > (0 if stored is None else stored.epoch)
            if not told:
                raise StateError(f"station {station.name}: {wrong}. Raise STREAMNOTIFY_EPOCH to go on all the same")
            logger.warning("station %s goes on, as epoch %d asks: %s", station.name, now.epoch, wrong)
            chunk.position.applied = -1 if stored is None or stored.input_id != now.input_id else end - 1
        elif stored == now:
            return None
        for name, id_ in now.sources.items():
            if stored is not None and stored.sources.get(name, id_) != id_:
                logger.error("topic %s was deleted and created anew: what was not yet taken in is lost", name)
        chunk.rows[IDS] = engine_rows.encode_ids(now)
        return chunk.finish()


def _what_is_wrong(stored: TopicIds | None, now: TopicIds, applied: int, end: int, committed: int | None) -> str | None:
    if stored is None:
        return (
            f"its state is gone, but its input was consumed up to {committed}: its changelog was deleted and made anew"
            if committed
            else None
        )
    if stored.input_id != now.input_id:
        return "its input topic was deleted and created anew: what it held is lost"
    if applied >= end:
        return f"its input ends at {end}, but {applied} was read before: the topic was truncated"
    return None


def read(admin: TopicAdmin, config: EngineConfig, stations: Sequence[Station]) -> CurrentIds:
    """Ask the broker for the ids of the stations' inputs and changelogs. Blocks; call it in a thread.

    Raises:
        EngineFailure: if the broker does not answer.
        TopicsError: if a topic is missing.
    """
    inputs = [topic for station in stations for topic in station.inputs]
    names = {config.topic_name(topic) for topic in inputs}
    names |= {config.changelog_name(station.name) for station in stations if station.rows}
    found = admin.topic_ids(names)
    if missing := sorted(names - found.keys()):
        raise TopicsError(f"missing topics: {', '.join(missing)}. Run: streamnotify topics apply")
    public = frozenset(config.topic_name(topic) for topic in inputs if not topic.internal)
    return CurrentIds(found, public, config)


async def watch(admin: TopicAdmin, started_with: CurrentIds, stations: Sequence[Station]) -> None:
    """Look for ever whether a topic was deleted or created anew under the running engine.

    Raises:
        EngineFailure: if one was; the restarted engine decides whether it can go on without what is lost.
    """
    while True:
        await asyncio.sleep(LOOK_EVERY)
        try:
            now = await asyncio.to_thread(read, admin, started_with.config, stations)
        except EngineFailure:
            continue  # the broker is away, which others notice
        except TopicsError as error:
            raise EngineFailure(str(error)) from error
        anew = sorted(name for name, id_ in started_with.ids.items() if now.ids[name] != id_)
        if anew:
            raise EngineFailure(f"deleted and created anew while running: {', '.join(anew)}")
