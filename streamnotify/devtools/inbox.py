"""An SMTP server that keeps every mail and shows it on a small web page. For the demo and for trying things out.

It listens on 127.0.0.1 only, without TLS, and forgets everything when it ends.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import json
import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from types import TracebackType
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from streamnotify.errors import StreamnotifyError

HOST = "127.0.0.1"
KEPT = 1000  # mails; older ones are dropped
MAIL_BYTES = 10 * 1024 * 1024
_PAGE = "inbox.html"
# A mail's HTML may show itself and nothing else: no scripts, no forms, nothing fetched. What its links lead to opens
# as a page of its own, with what such pages need.
_MAIL_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
)
_NEW_TABS = '<base target="_blank">'
_PAGE_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; frame-src 'self'"
)

logger = logging.getLogger(__name__)


class PortRefused(StreamnotifyError):
    """A port cannot be listened on."""


@dataclass(frozen=True, slots=True)
class ReceivedMail:
    """A mail as it came in. ``number`` counts from 1; ``recipients`` are the envelope's."""

    number: int
    received_at: datetime
    sender: str
    recipients: tuple[str, ...]
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        """The parsed mail."""
        return email.message_from_bytes(self.raw, policy=email.policy.default)

    @property
    def subject(self) -> str:
        """Its subject, decoded."""
        return str(self.message.get("Subject", ""))

    def part(self, kind: str) -> str | None:
        """The text of its ``plain`` or ``html`` part, None if it has none."""
        found = self.message.get_body(preferencelist=(kind,))
        return str(found.get_content()).replace("\r\n", "\n") if found else None

    def summary(self) -> dict[str, Any]:
        """What the list shows of it."""
        return {
            "number": self.number,
            "received_at": self.received_at.isoformat(timespec="seconds"),
            "from": self.sender,
            "to": list(self.recipients),
            "subject": self.subject,
            "message_id": str(self.message.get("Message-ID", "")),
        }

    def details(self) -> dict[str, Any]:
        """The list's view, its parts and its source."""
        parts = {"text": self.part("plain"), "has_html": self.part("html") is not None}
        return {**self.summary(), **parts, "raw": self.raw.decode("utf-8", "replace")}


class Inbox:
    """The inbox. As a context manager it runs within the block.

    Args:
        smtp_port: where mails are taken in; 0 for a free port.
        http_port: where the page is; 0 for a free port.

    Raises:
        PortRefused: if one of them is taken or not allowed.
    """

    def __init__(self, smtp_port: int = 0, http_port: int = 0) -> None:
        self._mails: deque[ReceivedMail] = deque(maxlen=KEPT)
        self._count = 0
        self._arrived = threading.Condition()
        with _listening_on(http_port):
            self._http = _HttpServer(self, http_port)
        try:
            with _listening_on(smtp_port):
                self._smtp = _SmtpServer(self, smtp_port)
        except PortRefused:
            self._http.server_close()
            raise

    def __enter__(self) -> Inbox:
        self._smtp.start()
        threading.Thread(target=self._http.serve_forever, name="inbox-page", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._smtp.stop()

    @property
    def smtp_port(self) -> int:
        """The port mails are taken in on."""
        return self._smtp.port

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://{HOST}:{self._http.server_address[1]}/"

    @property
    def mails(self) -> list[ReceivedMail]:
        """The mails kept, oldest first."""
        with self._arrived:
            return list(self._mails)

    def mail(self, number: int) -> ReceivedMail | None:
        """The mail with this number, if it is still kept."""
        return next((mail for mail in self.mails if mail.number == number), None)

    def take(self, sender: str, recipients: list[str], raw: bytes) -> None:
        """Keep a mail."""
        with self._arrived:
            self._count += 1
            self._mails.append(ReceivedMail(self._count, datetime.now(UTC), sender, tuple(recipients), raw))
            self._arrived.notify_all()

    def wait_for(self, wanted: Callable[[list[ReceivedMail]], bool], within: float) -> bool:
        """Wait until ``wanted`` holds for the mails kept; False if it does not within so many seconds."""
        deadline = time.monotonic() + within
        with self._arrived:
            return self._arrived.wait_for(lambda: wanted(list(self._mails)), timeout=deadline - time.monotonic())


@contextmanager
def _listening_on(port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise PortRefused(f"Port {port} of {HOST} cannot be used: {reason}") from error


class _SmtpServer:
    """aiosmtpd on an event loop of its own, in a thread."""

    def __init__(self, inbox: Inbox, port: int) -> None:
        self._inbox = inbox
        self._socket = socket.create_server((HOST, port))
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="inbox-smtp", daemon=True)
        self.port = int(self._socket.getsockname()[1])

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        """Keep the mail; aiosmtpd calls this after the final dot."""
        self._inbox.take(envelope.mail_from or "", list(envelope.rcpt_tos), bytes(envelope.original_content or b""))
        return "250 OK"

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await self._loop.create_server(self._session, sock=self._socket)
        await self._stop.wait()
        server.close()  # its connections end with the loop: waiting for them would wait for the clients' pools

    def _session(self) -> SMTP:
        return SMTP(self, data_size_limit=MAIL_BYTES, hostname="localhost", loop=self._loop)


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, inbox: Inbox, port: int) -> None:
        self.inbox = inbox
        super().__init__((HOST, port), _Page)


class _Page(BaseHTTPRequestHandler):
    server: _HttpServer

    def do_GET(self) -> None:
        """Answer ``/``, ``/api/mails``, ``/api/mails/N``, ``/mails/N/html`` and ``/mails/N/raw``."""
        match self.path.partition("?")[0].strip("/").split("/"):
            case [""]:
                page = resources.files(__package__).joinpath(_PAGE).read_bytes()
                self._answer("text/html; charset=utf-8", page, policy=_PAGE_POLICY)
            case ["api", "mails"]:
                self._answer_json([mail.summary() for mail in reversed(self.server.inbox.mails)])
            case ["api", "mails", number] if mail := self._mail(number):
                self._answer_json(mail.details())
            case ["mails", number, "html"] if mail := self._mail(number):
                html = _with_links_that_open(mail.part("html") or "")
                self._answer("text/html; charset=utf-8", html.encode(), policy=_MAIL_POLICY)
            case ["mails", number, "raw"] if mail := self._mail(number):
                self._answer("text/plain; charset=utf-8", mail.raw)
            case _:
                self.send_error(404)

    def log_message(self, format: str, *args: Any) -> None:
        """Not worth a line on standard error."""
        logger.debug(format, *args)

    def _mail(self, number: str) -> ReceivedMail | None:
        return self.server.inbox.mail(int(number)) if number.isdecimal() else None

    def _answer_json(self, value: Any) -> None:
        self._answer("application/json", json.dumps(value).encode())

    def _answer(self, content_type: str, body: bytes, policy: str = "default-src 'none'") -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)


def _with_links_that_open(html: str) -> str:
    """Its links in tabs of their own: there is no room for a page in the frame that shows the mail."""
    before, head, after = html.partition("<head>")
    return f"{before}{head}{_NEW_TABS}{after}" if head else f"{_NEW_TABS}{html}"


if __name__ == "__main__":
    raise SystemExit("The command is: streamnotify inbox")
