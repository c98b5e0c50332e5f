"""One connection to the relay: opened, logged in, used for one mail after the other, closed.

A mail's content and its final dot are written apart, because a worker must look whether it still owns the partition
right before the dot, and because the dot is the point of no return.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import Callable
from typing import cast

import aiosmtplib

from streamnotify.domain.delivery import OutgoingMail
from streamnotify.smtp.channel import Channel, Reply
from streamnotify.smtp.fault import FaultKind, SmtpFault, Stage, at
from streamnotify.smtp.login import log_in, login_of
from streamnotify.smtp.policy import SmtpPolicy, Tls

_NOT_IN_ADDRESS = re.compile(r"[\s<>\x00-\x1f\x7f]")
_START_INPUT = 354
_MOST_DIGITS = 20  # of a SIZE (RFC 1870)
# Bytes. An ordinary mail of ours has up to so many, and RFC 5321 4.5.3.1.7 has every relay take 64 KiB: one that takes
# less than this is set up wrongly, and would have all mails fail for good.
_LEAST_LIMIT = 20_000
_OK = range(200, 300)
_ENVELOPE = {Stage.MAIL: _OK, Stage.RCPT: _OK, Stage.DATA: range(_START_INPUT, _START_INPUT + 1)}


class Session:
    """A connection with one borrower at a time. After any exception but a reply it must be closed.

    Args:
        policy: the relay.
        tls: the context all sessions share; None for ``SMTP_TLS=none``.
    """

    def __init__(self, policy: SmtpPolicy, tls: ssl.SSLContext | None) -> None:
        self._policy = policy
        self._data_timeout = policy.data_timeout.total_seconds()
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
        self._secrets: tuple[str, ...] = ()
        self._channel: Channel | None = None  # once it is open
        self._past_dot = False
        self.mails = 0  # how many were accepted on this connection
        self.opened_at = 0.0  # by the event loop's clock, in seconds

    @property
    def is_open(self) -> bool:
        """False once the relay is known to have closed it."""
        return self._channel is not None and self._channel.is_open

    async def open(self) -> None:
        """Connect, encrypt and log in as the policy says.

        Raises:
            SmtpFault: at stage connect, tls or auth; the connection is closed then.
        """
        try:
            login = login_of(self._policy)
            self._secrets = login.hidden if login is not None else ()
            with at(Stage.CONNECT):
                await self._client.connect(timeout=self._policy.connect_timeout.total_seconds())
                await self._client.ehlo()
            if self._policy.tls is Tls.STARTTLS:
                await self._start_tls()
            if login is not None:
                await log_in(self._client, login)
            self._channel = Channel(cast(asyncio.Transport, self._client.transport), self._hidden)
            self.opened_at = asyncio.get_running_loop().time()
        except SmtpFault as fault:
            self.close()
            if (shown := self._hidden(fault.text)) == fault.text:
                raise
            raise SmtpFault(fault.stage, fault.kind, shown, fault.code) from None
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
        channel = self._open_channel
        self._past_dot = False
        commands = self._envelope(mail)
        check_lease()
        with at(Stage.MAIL):
            if self._client.supports_extension("pipelining"):
                channel.command(*commands)
        for stage, command in zip(_ENVELOPE, commands, strict=True):
            with at(stage):
                if not channel.unread:
                    channel.command(command)
                await self._expect(_ENVELOPE[stage], self._command_timeout)
        with at(Stage.DATA):
            # It begins with a header and ends with CRLF, as rendering writes it; dots are doubled (RFC 5321 4.5.2).
            channel.write(mail.content.replace(b"\n.", b"\n.."))
            await channel.drain(self._data_timeout)
        reply = await self._finish(check_lease)
        self.mails += 1
        return reply

    async def reset(self) -> None:
        """Make the session ready for another mail after the relay has refused one.

        Raises:
            SmtpFault: if the relay does not answer as it should; the session must be closed then.
        """
        channel, timeout = self._open_channel, self._policy.reset_timeout.total_seconds()
        with at(Stage.MAIL):
            while channel.unread:  # of commands written together with the refused one
                if (await channel.reply(timeout)).code == _START_INPUT:
                    raise SmtpFault(Stage.DATA, FaultKind.MALFORMED, "the relay waits for a mail it has refused")
            channel.command(b"RSET")
            await self._expect(_OK, timeout)

    async def quit(self) -> None:
        """Say good-bye, but not wait long for the answer, and close."""
        with contextlib.suppress(aiosmtplib.SMTPException, OSError):
            self._open_channel.command(b"QUIT")
            await self._open_channel.reply(self._policy.quit_timeout.total_seconds())
        self.close()

    def close(self) -> None:
        """Close at once, without writing what is still waiting to be written. May be called again."""
        transport = self._client.transport
        if transport is not None:
            cast(asyncio.WriteTransport, transport).abort()
        self._client.close()

    @property
    def _open_channel(self) -> Channel:
        if self._channel is None:
            raise RuntimeError("the session is not open")
        return self._channel

    async def _start_tls(self) -> None:
        if not self._client.supports_extension("starttls"):
            text = "the relay offers no STARTTLS (set SMTP_TLS=none for a local test server)"
            raise SmtpFault(Stage.TLS, FaultKind.NO_STARTTLS, text)
        with at(Stage.TLS):
            await self._client.starttls(timeout=self._policy.connect_timeout.total_seconds())
            await self._client.ehlo()

    def _hidden(self, text: str) -> str:
        """The relay's words without our login, should it repeat that later."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def _envelope(self, mail: OutgoingMail) -> tuple[bytes, bytes, bytes]:
        """The commands before the content.

        Raises:
            SmtpFault: if this relay can never take the mail.
        """
        options = ""
        for stage, address in ((Stage.MAIL, mail.sender), (Stage.RCPT, mail.to)):
            if _NOT_IN_ADDRESS.search(address):
                raise SmtpFault(stage, FaultKind.BAD_ADDRESS, f"{address!r} is no address")
        if not mail.to.isascii():
            if not self._client.supports_extension("smtputf8"):
                text = "the address is not ASCII and the relay offers no SMTPUTF8"
                raise SmtpFault(Stage.RCPT, FaultKind.NO_SMTPUTF8, text)
            options = " SMTPUTF8 BODY=8BITMIME"
        size = len(mail.content)
        if self._client.supports_extension("size"):
            largest = self._client.esmtp_extensions["size"]
            # 0 is no limit (RFC 1870); more digits than there can be are none either, and int refuses thousands.
            if largest.isdecimal() and len(largest) <= _MOST_DIGITS and 0 < int(largest) < size:
                kind = FaultKind.TINY_LIMIT if int(largest) < _LEAST_LIMIT else FaultKind.TOO_LARGE
                raise SmtpFault(Stage.MAIL, kind, f"the mail has {size} bytes, and the relay takes only {largest}")
            options += f" SIZE={size}"
        return f"MAIL FROM:<{mail.sender}>{options}".encode(), f"RCPT TO:<{mail.to}>".encode(), b"DATA"

    async def _expect(self, codes: range, timeout: float) -> Reply:
        reply = await self._open_channel.reply(timeout)
        if reply.code not in codes:
            raise aiosmtplib.SMTPResponseException(reply.code, reply.text)
        return reply

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
        channel = self._open_channel
        if not channel.is_open:  # then the dot is not even written, and nothing is ambiguous
            raise SmtpFault(Stage.DATA, FaultKind.DISCONNECTED, "Connection lost")
        self._past_dot = True
        with at(Stage.DOT):
            channel.command(b".")
            return await self._expect(_OK, self._data_timeout)
