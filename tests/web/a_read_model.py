"""A read model of what the in-memory engine has on its public topics."""

from __future__ import annotations

from pathlib import Path

from streamnotify.testing.memory import MemoryEngine
from streamnotify.web.read_model.queries import ReadModel
from streamnotify.web.read_model.records import RawRecord
from streamnotify.web.read_model.schema import file_in
from streamnotify.web.read_model.store import Store
from streamnotify.web.read_model.tables import TABLES
from streamnotify.wire import topics

_TOPICS = {topic.name: topic for topic in vars(topics).values() if isinstance(topic, topics.Topic)}


class CopiedTopics:
    """The file, which takes in what has come when it is told to; until then it lags.

    Args:
        directory: where it lies.
        engine: whose topics.
    """

    def __init__(self, directory: Path, engine: MemoryEngine) -> None:
        self._engine = engine
        self._path = file_in(directory)
        self._begin("the first one")
        self.answers = ReadModel(self._path)

    def _begin(self, topic_id: str) -> None:
        self._store = Store(self._path)
        self._store.follow(dict.fromkeys(TABLES, topic_id))
        self._read = dict.fromkeys(TABLES, 0)

    def forget(self) -> None:
        """What was there has expired."""
        self._begin("another one")

    def lose(self) -> None:
        """There is no file any more, but for an empty one."""
        with self._store:
            pass
        for path in self._path.parent.iterdir():
            path.unlink()
        self._begin("the first one")

    def catch_up(self, *, but_for: int = 0) -> None:
        """Take in all records, but for the last ones on notification-status."""
        batch, engine = [], self._engine
        for name in TABLES:
            records = engine.records(_TOPICS[name])
            records = records[: len(records) - but_for] if name == topics.NOTIFICATION_STATUS.name else records
            batch += [
                RawRecord(name, 0, each.offset, each.timestamp, each.key, each.value, [*each.headers])
                for each in records[self._read[name] :]
            ]
            self._read[name] = max(len(records), self._read[name])
        self._store.write(batch, {(name, 0): offset for name, offset in self._read.items()}, engine.now)
        self._store.note_progress(engine.now, but_for)
