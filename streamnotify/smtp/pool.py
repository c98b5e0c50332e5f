"""Open sessions kept for the next mail (research/email.md item 28)."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass

from streamnotify.smtp.metrics import CONNECTIONS
from streamnotify.smtp.policy import SmtpPolicy, Tls
from streamnotify.smtp.session import Session


@dataclass(frozen=True, slots=True)
class _Idle:
    session: Session
    close: asyncio.TimerHandle


class Pool:
    """Lends each session to one borrower at a time and takes back only what is in a known state.

    It does not limit how many are lent; the sender does.
    """

    def __init__(self, policy: SmtpPolicy) -> None:
        self._policy = policy
        self._tls = _tls_context(policy)
        self._idle: list[_Idle] = []
        self._quitting: set[asyncio.Task[None]] = set()
        self.alive = 0  # connections that are open, lent or idle

    async def borrow(self) -> tuple[Session, bool]:
        """A session and whether it was used before; a new one if none is idle.

        One that was used before may have been closed by the relay meanwhile.

        Raises:
            SmtpFault: if a new one cannot be opened.
        """
        while self._idle:
            idle = self._idle.pop()
            idle.close.cancel()
            if idle.session.is_open:
                return idle.session, True
            self.discard(idle.session)
        return await self.open(), False

    async def open(self) -> Session:
        """A new session.

        Raises:
            SmtpFault: if it cannot be opened.
        """
        session = Session(self._policy, self._tls)
        await session.open()
        self.alive += 1
        CONNECTIONS.inc()
        return session

    def discard(self, session: Session) -> None:
        """Close a session that is in no known state, at once."""
        self.alive -= 1
        session.close()

    def give_back(self, session: Session) -> None:
        """Take back a session whose last command was answered and that holds no half-written mail."""
        loop = asyncio.get_running_loop()
        worn_out = session.mails >= self._policy.mails_per_connection
        too_old = loop.time() - session.opened_at >= self._policy.max_age.total_seconds()
        if worn_out or too_old:
            self._retire(session)
            return
        timer = loop.call_later(self._policy.idle_close.total_seconds(), self._close_idle, session)
        self._idle.append(_Idle(session, timer))

    async def close(self) -> None:
        """Say good-bye on every idle session and wait for it, at most the policy's ``quit_timeout``."""
        for idle in self._idle:
            idle.close.cancel()
            self._retire(idle.session)
        self._idle.clear()
        if self._quitting:
            await asyncio.wait(self._quitting)

    def _close_idle(self, session: Session) -> None:
        self._idle = [idle for idle in self._idle if idle.session is not session]
        self._retire(session)

    def _retire(self, session: Session) -> None:
        self.alive -= 1
        quitting = asyncio.get_running_loop().create_task(session.quit())
        self._quitting.add(quitting)
        quitting.add_done_callback(self._quitting.discard)


def _tls_context(policy: SmtpPolicy) -> ssl.SSLContext | None:
    if policy.tls is Tls.NONE:
        return None
    context = ssl.create_default_context(cafile=policy.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
