"""A DNS server for tests: UDP on loopback, TXT records as told."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rrset


@contextmanager
def name_server(texts: Mapping[str, Sequence[str]], *, fails: bool = False) -> Iterator[str]:
    """Answer for as long as the block lasts; yields host:port.

    Args:
        texts: TXT records by name; any other name does not exist.
        fails: whether each question is answered with SERVFAIL.
    """

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data, socket = self.request
            question = dns.message.from_wire(data)
            answer = dns.message.make_response(question)
            answer.flags |= dns.flags.RA
            name = question.question[0].name.to_text(omit_final_dot=True)
            if fails:
                answer.set_rcode(dns.rcode.SERVFAIL)
            elif name in texts:
                for text in texts[name]:
                    pieces = " ".join(f'"{text[at : at + 255]}"' for at in range(0, len(text), 255))
                    answer.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", "TXT", pieces))
            else:
                answer.set_rcode(dns.rcode.NXDOMAIN)
            socket.sendto(answer.to_wire(), self.client_address)

    with socketserver.UDPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="dns", daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()
