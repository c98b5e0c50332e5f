"""Static membership: a worker that comes back soon has its partitions again, and no other worker notices (KIP-345).

The group gives a name's partitions to whoever joins by that name next, at once, while the one before may not have heard
of it yet and mails. And aiokafka, whose heartbeats and commits carry no name, takes its name back when it is told that
the group does not know it: two workers of a name would oust each other for ever. So

1. a worker joins by its name only if its predecessor is dead, which the lock on their common data directory shows, or
   if the group has no such member; one that stays there although it is not ours lives, and then we are refused;
2. a worker that the group no longer knows ends (fetching.py), and asks again at its next start;
3. where there was no predecessor, somebody may have joined at the same moment: attempts wait until a lease that he may
   have has run out;
4. a successor gets what its predecessor had: partitions and topics that are new are not shared out. Where there are
   some, the group first has to forget the predecessor, too, so that it shares everything out anew.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from streamnotify.errors import SettingsError
from streamnotify.stream.config import EngineConfig
from streamnotify.stream.group_members import GroupMember

logger = logging.getLogger(__name__)

# A file in the data directory, locked by whoever has that: what it reads, and the id that the group gave it.
RECORD = "member"
GRACE = 15.0  # seconds beyond the session time-out until a dead member is out of the group
_LOOK_EVERY = 1.0  # seconds
_LENGTH = 512  # bytes; a member id is the name, at most 200, and a UUID


class StaticMember:
    """This worker's right to its name, for as long as the process lives.

    Args:
        name: its group instance id.
        config: names and time-outs.
        look: who is in the group by this name; blocks.
        partitions: how many partitions each topic has that we read; blocks.
    """

    def __init__(
        self,
        name: str,
        config: EngineConfig,
        look: Callable[[], GroupMember | None],
        partitions: Callable[[], Mapping[str, int]],
    ) -> None:
        self._name = name
        self._config = config
        self._look = look
        self._partitions = partitions
        self._reads = ""
        self._record: int | None = None
        self._written: str | None = None
        self.attempts_wait = 0.0  # seconds after the first assignment in which no attempt is made

    async def prepare(self) -> None:
        """Wait until we may join.

        Raises:
            SettingsError: if a living worker is in the group by our name.
            EngineFailure: if the group cannot be asked.
        """
        partitions = sorted((await asyncio.to_thread(self._partitions)).items())
        self._reads = hashlib.sha256(repr(partitions).encode()).hexdigest()
        before = await asyncio.to_thread(self._predecessor)
        until = time.monotonic() + self._config.session_timeout.total_seconds() + GRACE
        waits_for: str | None = None
        while (member := await asyncio.to_thread(self._look)) is not None:
            if member.member_id == before:
                logger.info("taking the partitions up that wait for %s", self._name)
                return
            if time.monotonic() > until:
                raise SettingsError(
                    f"STREAMNOTIFY_INSTANCE_ID is {self._name!r}: another worker is in the group by that name, on "
                    f"{member.host}; a name that no other worker has is allowed"
                )
            if waits_for != member.member_id:
                waits_for = member.member_id
                logger.warning("a worker named %s is in the group, on %s: waiting for its end", self._name, member.host)
            await asyncio.sleep(_LOOK_EVERY)
        self.attempts_wait = 2 * self._config.lease_limit.total_seconds()
        logger.info("joining as %s; attempts begin %g s later", self._name, self.attempts_wait)

    def joined(self, member_id: str) -> None:
        """The group has given us an id: our next start will know it."""
        if self._record is not None and member_id != self._written:
            os.pwrite(self._record, f"{self._reads} {member_id}".encode().ljust(_LENGTH), 0)
            self._written = member_id

    def _predecessor(self) -> str | None:
        """The id of the worker that had this directory before and read the same; None if there is none, or it lives."""
        path = Path(self._config.data_dir, RECORD)
        record = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(record, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(record)
            return None
        self._record = record
        read, _, member_id = os.pread(record, _LENGTH, 0).decode("utf-8", "replace").strip().partition(" ")
        return member_id if read == self._reads else None
