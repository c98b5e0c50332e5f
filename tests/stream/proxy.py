"""A TCP proxy to a broker that can stall, and lose or keep back what is produced to one topic."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import socket
import struct
import threading
from types import TracebackType
from typing import Self

PRODUCE = 0  # API key of Kafka's produce request
HEADER = 4  # bytes that hold the length of a frame
CHUNK = 65_536


class Fault(enum.Enum):
    """What happens to a produce request of the topic in question; its connection is closed in each case."""

    NOT_SENT = "the request does not reach the broker"
    NO_ANSWER = "the broker takes it, its answer is lost"
    LATE = "the request is kept back, for deliver_late()"


class Proxy:
    """Between one worker and the broker, in a thread of its own. Frames are understood as far as is needed.

    Args:
        broker_port: of the broker on 127.0.0.1.
    """

    def __init__(self, broker_port: int) -> None:
        self.port = 0
        self.stalled = threading.Event()  # at a send
        self.faulted = 0  # produce requests a fault has happened to
        self._broker_port = broker_port
        self._topic = b""
        self._fault: Fault | None = None
        self._times = 0
        self._carrying = self._after = b""
        self._late: list[bytes] = []
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        self._stall_at = b""
        self._over = asyncio.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listening.wait(30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def stall(self) -> None:
        """Let nothing pass from now on, in either direction; connections stay, and so does what is in them."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def stall_at_send(self, topic: str) -> None:
        """Stall at the next produce request for ``topic``, which stays in the pipe; ``stalled`` is set then."""
        self.stalled.clear()
        self._stall_at = topic.encode()

    def go_on(self) -> None:
        """Deliver what is in the pipe and let everything pass again."""
        self._loop.call_soon_threadsafe(self._open.set)

    def break_sends(
        self, topic: str, fault: Fault, *, times: int = 1, carrying: bytes = b"", after: bytes = b""
    ) -> None:
        """Let a fault happen to the next so many produce requests that carry anything for ``topic``.

        Args:
            carrying: only to those that hold these bytes, such as a header's name.
            after: only once a produce request, of any topic, has held these.
        """
        self._topic, self._fault, self._times = topic.encode(), fault, times
        self._carrying, self._after = carrying, after

    def deliver_late(self) -> list[dict[tuple[str, int], int]]:
        """Hand the requests kept back to the broker now; per request the error code of each topic partition."""
        late, self._late = self._late, []
        return [self._deliver(frame) for frame in late]

    def _deliver(self, frame: bytes) -> dict[tuple[str, int], int]:
        with socket.create_connection(("127.0.0.1", self._broker_port), timeout=30) as connection:
            connection.sendall(frame)
            stream = connection.makefile("rb")
            (size,) = struct.unpack(">i", stream.read(HEADER))
            return _produce_errors(stream.read(size))

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._listen())

    async def _listen(self) -> None:
        self._open.set()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        await self._over.wait()
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_broker, to_broker = await asyncio.open_connection("127.0.0.1", self._broker_port)
        except OSError:
            writer.close()
            return
        unanswered: set[bytes] = set()  # correlation ids of this connection
        with contextlib.closing(writer), contextlib.closing(to_broker):
            pumps = [
                asyncio.ensure_future(self._requests(reader, to_broker, unanswered)),
                asyncio.ensure_future(self._answers(from_broker, writer, unanswered)),
            ]
            try:
                _, left = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                if left:  # like a network: what is in the pipe is still delivered
                    await asyncio.wait(left, timeout=0.1)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, unanswered: set[bytes]
    ) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                frame = await _frame(reader)
                if self._stall_at and _sends_to(frame, self._stall_at):
                    self._stall_at = b""
                    self._open.clear()
                    self.stalled.set()
                await self._open.wait()
                if not self._breaks(frame):
                    writer.write(frame)
                    await writer.drain()
                    continue
                self.faulted += 1
                if self._fault is Fault.NO_ANSWER:
                    unanswered.add(frame[HEADER + 4 : HEADER + 8])
                    writer.write(frame)
                    continue  # the connection ends when the answer comes
                if self._fault is Fault.LATE:
                    self._late.append(frame)
                return

    async def _answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, unanswered: set[bytes]
    ) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                frame = await _frame(reader)
                if frame[HEADER : HEADER + 4] in unanswered:
                    return
                await self._open.wait()
                writer.write(frame)
                await writer.drain()

    def _breaks(self, frame: bytes) -> bool:
        if self._after:
            if _is_produce(frame) and self._after in frame:
                self._after = b""
            return False
        if self._times <= 0 or not _sends_to(frame, self._topic) or self._carrying not in frame:
            return False
        self._times -= 1
        return True


async def _frame(reader: asyncio.StreamReader) -> bytes:
    header = await reader.readexactly(HEADER)
    return header + await reader.readexactly(struct.unpack(">i", header)[0])


def _is_produce(frame: bytes) -> bool:
    return bool(struct.unpack_from(">h", frame, HEADER)[0] == PRODUCE)


def _sends_to(frame: bytes, topic: bytes) -> bool:
    return _is_produce(frame) and struct.pack(">h", len(topic)) + topic in frame


def _produce_errors(answer: bytes) -> dict[tuple[str, int], int]:
    """The error codes in a produce response of version 5 to 7 (what aiokafka asks for), frame header taken off."""
    at = 4  # behind the correlation id

    def take(form: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from(form, answer, at)
        at += struct.calcsize(form)
        return int(value)

    errors = {}
    for _ in range(take(">i")):
        length = take(">h")
        topic = answer[at : at + length].decode()
        at += length
        for _ in range(take(">i")):
            partition, code = take(">i"), take(">h")
            at += 24  # base offset, append time, log start offset
            errors[topic, partition] = code
    return errors
