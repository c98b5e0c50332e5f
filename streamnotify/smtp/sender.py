"""Hands mails to the relay and says what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from streamnotify.domain.delivery import AttemptResult, Outcome, OutgoingMail
from streamnotify.smtp.classification import classify, visible
from streamnotify.smtp.fault import FaultKind, SmtpFault, Stage
from streamnotify.smtp.policy import SmtpPolicy
from streamnotify.smtp.pool import Pool
from streamnotify.smtp.session import Reply, Session

_SERVICE_CLOSING = 421


class Sender:
    """Sends over a pool of at most ``policy.at_once`` connections, all on one event loop."""

    def __init__(self, policy: SmtpPolicy) -> None:
        self.at_once = policy.at_once
        self.pool = Pool(policy)
        self._free = asyncio.Semaphore(policy.at_once)

    async def send(self, mail: OutgoingMail, attempt: int, check_lease: Callable[[], None]) -> AttemptResult:
        """Try once to hand over ``mail``; every fault of the relay or the network comes back as a result.

        Cancelled before the final dot, the connection is closed and the mail not delivered. Cancelled after it, the
        relay's answer is awaited and returned, so that a mail that went out is never reported as cancelled.

        Args:
            mail: its envelope and bytes.
            attempt: the number to put into the result.
            check_lease: called right before MAIL and right before the final dot.

        Raises:
            LeaseLost: from ``check_lease``; the connection is closed and the mail not delivered.
        """
        async with self._free:
            if datetime.now(UTC) >= mail.expires_at:
                text = f"not delivered by {mail.expires_at:%Y-%m-%d %H:%M:%S} UTC"
                return AttemptResult(mail.notification_id, attempt, Outcome.DEFERRED, reason="expired", text=text)
            try:
                reply = await self._hand_over(mail, check_lease)
            except SmtpFault as fault:
                return classify(fault, mail.notification_id, attempt)
        return AttemptResult(
            mail.notification_id, attempt, Outcome.SENT, Stage.DOT.value, reply.code, text=visible(reply.text)
        )

    async def close(self) -> None:
        """Close the idle connections; call it when no mail is being sent."""
        await self.pool.close()

    async def _hand_over(self, mail: OutgoingMail, check_lease: Callable[[], None]) -> Reply:
        session, used_before = await self.pool.borrow()
        try:
            return await self._send_on(session, mail, check_lease)
        except SmtpFault as fault:
            if not (used_before and _was_closed_meanwhile(fault)):
                raise
        # The relay had hung up on the idle connection; that says nothing about the mail.
        return await self._send_on(await self.pool.open(), mail, check_lease)

    async def _send_on(self, session: Session, mail: OutgoingMail, check_lease: Callable[[], None]) -> Reply:
        """Send, then give the session back only if a complete answer to its last command has been read: else its next
        answer might belong to this mail."""
        try:
            reply = await session.send(mail, check_lease)
        except SmtpFault:
            await self._after_refusal(session)
            raise
        except BaseException:
            session.close()
            raise
        self.pool.give_back(session)
        return reply

    async def _after_refusal(self, session: Session) -> None:
        """Keep the session if it still answers as it should; what became of the mail is known already."""
        try:
            await session.reset()
        except SmtpFault:
            session.close()
        except BaseException:
            session.close()
            raise
        else:
            self.pool.give_back(session)


def _was_closed_meanwhile(fault: SmtpFault) -> bool:
    hung_up = fault.kind in (FaultKind.DISCONNECTED, FaultKind.TIMEOUT) or fault.code == _SERVICE_CLOSING
    return hung_up and fault.stage is Stage.MAIL
