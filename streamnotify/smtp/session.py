"""One connection to the relay: opened, logged in, used for one mail after the other, closed.

aiosmtplib writes a mail's content and its final dot in one call. Here they are apart, because a worker must look
whether it still owns the partition right before the dot, and because the dot is the point of no return.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import aiosmtplib

from streamnotify.domain.delivery import OutgoingMail
from streamnotify.smtp.fault import FaultKind, SmtpFault, Stage, at
from streamnotify.smtp.policy import SmtpPolicy, Tls

_DOT_AT_LINE_START = re.compile(rb"(?m)^\.")
_NOT_IN_ADDRESS = re.compile(r"[\s<>\x00-\x1f\x7f]")
_START_INPUT = 354


@dataclass(frozen=True, slots=True)
class Reply:
    """The relay's answer. ``text`` may have several lines."""

    code: int
    text: str


class Session:
    """A connection with one borrower at a time. After any exception but a reply it must be closed.

    Args:
        policy: the relay.
        tls: the context all sessions share; None for ``SMTP_TLS=none``.
    """

    def __init__(self, policy: SmtpPolicy, tls: ssl.SSLContext | None) -> None:
        self._policy = policy
        self._command_timeout = policy.command_timeout.total_seconds()
        self._client = aiosmtplib.SMTP(
            hostname=policy.host,
            port=policy.port,
            local_hostname=policy.sender.rpartition("@")[2],
            timeout=self._command_timeout,
            use_tls=policy.tls is Tls.IMPLICIT,
            start_tls=False,  # aiosmtplib's own way is not told apart by stage; see _start_tls
            tls_context=tls,
        )
        self._past_dot = False
        self.mails = 0  # how many were accepted on this connection
        self.opened_at = 0.0  # by the event loop's clock, in seconds

    async def open(self) -> None:
        """Connect, encrypt and log in as the policy says.

        Raises:
            SmtpFault: at stage connect, tls or auth; the connection is closed then.
        """
        try:
            with at(Stage.CONNECT):
                await self._client.connect(timeout=self._policy.connect_timeout.total_seconds())
                await self._client.ehlo()
            if self._policy.tls is Tls.STARTTLS:
                await self._start_tls()
            if self._policy.user is not None and self._policy.password is not None:
                await self._log_in(self._policy.user, self._policy.password)
            self.opened_at = asyncio.get_running_loop().time()
        except BaseException:
            self.close()
            raise

    async def send(self, mail: OutgoingMail, check_lease: Callable[[], None]) -> Reply:
        """Hand over one mail; return the relay's answer once it has accepted it.

        Cancelled before the final dot it ends at once, and the mail is not delivered if the session is closed then.
        Cancelled after it, it goes on until the answer is there and returns it.

        Args:
            mail: its envelope and bytes.
            check_lease: called right before MAIL and right before the final dot; what it raises is passed on.

        Raises:
            SmtpFault: with the stage; at stage dot the relay may have the mail all the same.
            LeaseLost: from ``check_lease``.
        """
        self._past_dot = False
        check_lease()
        with at(Stage.MAIL):
            utf8 = self._needs_utf8(mail.to)
            encoding = "utf-8" if utf8 else "ascii"
            options = ["SMTPUTF8", "BODY=8BITMIME"] if utf8 else []
            await self._client.mail(mail.sender, options=options, encoding=encoding)
        with at(Stage.RCPT):
            await self._client.rcpt(mail.to, encoding=encoding)
        with at(Stage.DATA):
            await self._write_content(mail.content)
        reply = await self._finish(check_lease)
        self.mails += 1
        return reply

    async def reset(self) -> None:
        """Make the session ready for another mail after the relay has refused one.

        Raises:
            SmtpFault: if the relay does not answer as it should; the session must be closed then.
        """
        with at(Stage.MAIL):
            await self._client.rset(timeout=self._policy.reset_timeout.total_seconds())

    async def quit(self) -> None:
        """Say good-bye, but not wait long for the answer, and close."""
        with contextlib.suppress(aiosmtplib.SMTPException, OSError):
            await self._client.quit(timeout=self._policy.quit_timeout.total_seconds())
        self.close()

    def close(self) -> None:
        """Close at once, without writing what is still waiting to be written. May be called again."""
        transport = self._client.transport
        if transport is not None:
            cast(asyncio.WriteTransport, transport).abort()
        self._client.close()

    async def _start_tls(self) -> None:
        if not self._client.supports_extension("starttls"):
            text = "the relay offers no STARTTLS (set SMTP_TLS=none for a local test server)"
            raise SmtpFault(Stage.TLS, FaultKind.NO_STARTTLS, text)
        with at(Stage.TLS):
            await self._client.starttls(timeout=self._policy.connect_timeout.total_seconds())
            await self._client.ehlo()

    async def _log_in(self, user: str, password: str) -> None:
        """One AUTH command per connection: aiosmtplib's login would try a wrong password once per mechanism."""
        offered = self._client.server_auth_methods
        with at(Stage.AUTH):
            if "plain" in offered:
                await self._client.auth_plain(user, password)
            elif "login" in offered:
                await self._client.auth_login(user, password)
            else:
                raise SmtpFault(Stage.AUTH, FaultKind.NO_AUTH, "the relay offers neither AUTH PLAIN nor AUTH LOGIN")

    def _needs_utf8(self, address: str) -> bool:
        if _NOT_IN_ADDRESS.search(address):  # aiosmtplib would send to what it takes for the address in it
            raise SmtpFault(Stage.RCPT, FaultKind.BAD_ADDRESS, f"{address!r} is no address")
        if address.isascii():
            return False
        if not self._client.supports_extension("smtputf8"):
            text = "the address is not ASCII and the relay offers no SMTPUTF8"
            raise SmtpFault(Stage.RCPT, FaultKind.NO_SMTPUTF8, text)
        return True

    async def _write_content(self, content: bytes) -> None:
        """DATA and every line of the content; the content ends with CRLF, as rendering writes it."""
        reply = await self._client.execute_command(b"DATA")
        if reply.code != _START_INPUT:
            raise aiosmtplib.SMTPDataError(reply.code, reply.message)
        protocol, transport = self._client.protocol, self._client.transport
        if protocol is None or transport is None:
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        # Wait until the content has left, so that what follows the second look at the lease is the dot alone.
        cast(asyncio.WriteTransport, transport).set_write_buffer_limits(high=0)
        protocol.write(_DOT_AT_LINE_START.sub(b"..", content))
        async with asyncio.timeout(self._policy.data_timeout.total_seconds()):
            await protocol._drain_helper()  # asyncio's own flow control; aiosmtplib has no public name for it

    async def _finish(self, check_lease: Callable[[], None]) -> Reply:
        dot = asyncio.ensure_future(self._dot(check_lease))
        while True:
            try:
                return await asyncio.shield(dot)
            except asyncio.CancelledError:
                if not self._past_dot or dot.cancelled():
                    dot.cancel()
                    raise

    async def _dot(self, check_lease: Callable[[], None]) -> Reply:
        check_lease()
        if not self._client.is_connected:  # then the dot is not even written, and nothing is ambiguous
            raise SmtpFault(Stage.DATA, FaultKind.DISCONNECTED, "Connection lost")
        self._past_dot = True
        with at(Stage.DOT):
            timeout = self._policy.data_timeout.total_seconds()
            reply = await self._client.execute_command(b".", timeout=timeout)
            if reply.code // 100 != 2:
                raise aiosmtplib.SMTPDataError(reply.code, reply.message)
        return Reply(reply.code, reply.message)
