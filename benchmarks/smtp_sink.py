"""The lightest relay there is: answers at once, keeps no mail, and notes when each was accepted and for whom.

``python -m benchmarks.smtp_sink PORT COUNT_FILE ALIVE_FD LIST_FILE [CERTIFICATE]``: lines of ``seconds recipient``,
seconds since the epoch at the moment its 250 for the final dot was written. With the PEM file of a certificate and its
key it speaks TLS from the first byte. Whatever somebody logs in with is right.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
import time
from typing import cast

import uvloop

from streamnotify.stream.supervisor import die_with_parent

WRITE_EVERY = 0.2  # seconds
_END = b"\r\n.\r\n"
_ANSWERS = {
    b"EHLO": b"250-sink\r\n250-PIPELINING\r\n250-AUTH PLAIN\r\n250 8BITMIME\r\n",  # as relays do
    b"AUTH": b"235 welcome\r\n",
    b"HELO": b"250 sink\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 bye\r\n",
}


class Sink(asyncio.Protocol):
    """One connection.

    Args:
        accepted: lines are added here.
    """

    def __init__(self, accepted: list[str]) -> None:
        self._accepted = accepted
        self._received = b""
        self._in_data = False
        self._recipient = ""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none of its subclasses
        self._transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        """Answer every whole command, and a mail once its final dot is there.

        Commands that came together are answered together, as relays do (RFC 2920, section 3.2).
        """
        assert self._transport is not None
        self._received += data
        answers = []
        while True:
            end = _END if self._in_data else b"\r\n"
            unit, found, rest = self._received.partition(end)
            if not found:
                break
            self._received = rest
            if self._in_data:
                self._in_data = False
                answers.append(b"250 ok\r\n")
                self._accepted.append(f"{time.time():.6f} {self._recipient}\n")
            else:
                answers.append(self._answer(unit))
        if answers:
            self._transport.write(b"".join(answers))
        if _ANSWERS[b"QUIT"] in answers:
            self._transport.close()

    def _answer(self, line: bytes) -> bytes:
        verb = line[:4].upper()
        if verb == b"RCPT":
            self._recipient = line.partition(b"<")[2].partition(b">")[0].decode()
        self._in_data = verb == b"DATA"
        return _ANSWERS.get(verb, b"250 ok\r\n")


async def main(port: int, count_file: str, list_file: str, certificate: str | None = None) -> None:
    """Serve until killed."""
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    accepted: list[str] = []
    count = os.open(count_file, os.O_WRONLY | os.O_CREAT, 0o600)
    await asyncio.get_running_loop().create_server(lambda: Sink(accepted), "127.0.0.1", port, ssl=context)
    done = 0
    with open(list_file, "w", encoding="ascii") as lines:  # noqa: ASYNC230, PTH123 - nothing else waits for it
        while True:
            await asyncio.sleep(WRITE_EVERY)
            lines.writelines(accepted)
            lines.flush()
            done += len(accepted)
            accepted.clear()
            os.pwrite(count, b"%012d" % done, 0)


if __name__ == "__main__":
    die_with_parent(int(sys.argv[3]))
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], *sys.argv[4:]))
