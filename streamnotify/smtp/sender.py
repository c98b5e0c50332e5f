"""Hands mails to the relay and says what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property

from streamnotify.domain.delivery import AttemptResult, Outcome, OutgoingMail, priority_of
from streamnotify.smtp.breaker import Breaker
from streamnotify.smtp.channel import Reply
from streamnotify.smtp.classification import classify
from streamnotify.smtp.fault import FaultKind, SmtpFault, Stage
from streamnotify.smtp.limits import Limits
from streamnotify.smtp.metrics import ATTEMPTS
from streamnotify.smtp.policy import SmtpPolicy
from streamnotify.smtp.pool import Pool
from streamnotify.smtp.replies import queue_id, visible
from streamnotify.smtp.session import Session
from streamnotify.smtp.turns import Turn, Turns

_SERVICE_CLOSING = 421


class Sender:
    """Sends over a pool of at most ``policy.connections``, all on one event loop.

    A mail waits for its turn: for a free connection, for the rate limit, and while the relay is out of order.

    Args:
        policy: the relay.
        now: the clock that ``expires_at`` is held against; aware UTC.
    """

    def __init__(self, policy: SmtpPolicy, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.at_once = policy.waiting
        self.pool = Pool(policy)
        self.breaker = Breaker(f"{policy.host}:{policy.port}")
        self._policy = policy
        self._now = now

    @cached_property
    def _turns(self) -> Turns:
        limits = Limits(self._policy.per_second, self._policy.per_day)
        return Turns(self._policy.connections, self.breaker, limits, lambda: self.pool.alive)

    async def send(self, mail: OutgoingMail, attempt: int, check_lease: Callable[[], None]) -> AttemptResult:
        """Try once to hand over ``mail``; every fault of the relay or the network comes back as a result.

        While the relay is out of order nothing is tried, and the mail waits here until it works again or the mail
        expires; its first attempt waits no longer than the policy's ``patience``, so that the outage shows.

        Cancelled before the final dot, the connection is closed and the mail not delivered. Cancelled after it, the
        relay's answer is awaited and returned, so that a mail that went out is never reported as cancelled.

        Args:
            mail: its envelope and bytes.
            attempt: the number to put into the result.
            check_lease: called before a connection is opened, right before MAIL and right before the final dot.

        Raises:
            LeaseLost: from ``check_lease``; the connection is closed and the mail not delivered.
        """
        result = None
        while result is None:
            waited = await self._wait_for_turn(mail, attempt)
            result = (
                waited if isinstance(waited, AttemptResult) else await self._use(waited, mail, attempt, check_lease)
            )
        ATTEMPTS.labels(result.outcome.value).inc()
        return result

    def remarks(self) -> Sequence[str]:
        """What an operator should know of the relay now, a line each; may be asked from any thread."""
        return self._turns.remarks() if self.breaker.outage is not None else ()

    async def close(self) -> None:
        """Close the idle connections; call it when no mail is being sent."""
        await self.pool.close()

    async def _wait_for_turn(self, mail: OutgoingMail, attempt: int) -> Turn | AttemptResult:
        """The mail's turn, or why it does not wait for it any longer."""
        turn = self._turns.enter(priority_of(mail))
        patience = self._policy.patience.total_seconds()
        try:
            while not turn.done() and (left := self._left(mail)):
                await asyncio.wait((turn,), timeout=min(patience, left) if attempt == 1 else left)
                patience *= 2  # without an outage it waits for its turn alone
                if not turn.done() and attempt == 1 and self.breaker.outage is not None:
                    self._turns.leave(turn)
                    return _held(mail, attempt, self.breaker.outage)
        except asyncio.CancelledError:
            self._turns.leave(turn)
            raise
        if turn.done() and self._left(mail):
            return turn
        self._turns.leave(turn)
        return _expired(mail, attempt)

    def _left(self, mail: OutgoingMail) -> float:
        """Seconds until the mail expires, 0 if it has."""
        return max(0.0, (mail.expires_at - self._now()).total_seconds())

    async def _use(
        self, turn: Turn, mail: OutgoingMail, attempt: int, check_lease: Callable[[], None]
    ) -> AttemptResult | None:
        """The result of one turn; None if it tells nothing about the mail, which then waits for another turn."""
        is_probe = turn.result()
        try:
            result = await self._try(mail, attempt, check_lease)
        except BaseException:
            self._turns.give_back(turn, None)
            raise
        if result.outcome is Outcome.UNREACHABLE and self.pool.alive and not is_probe:
            self._turns.crowded(turn)
            return None
        self._turns.give_back(turn, result)
        return None if is_probe and result.outcome.is_outage else result

    async def _try(self, mail: OutgoingMail, attempt: int, check_lease: Callable[[], None]) -> AttemptResult:
        try:
            reply = await self._hand_over(mail, check_lease)
        except SmtpFault as fault:
            return classify(fault, mail.notification_id, attempt)
        return AttemptResult(
            mail.notification_id,
            attempt,
            Outcome.SENT,
            Stage.DOT.value,
            reply.code,
            text=visible(reply.text),
            enhanced=reply.enhanced,
            queue_id=queue_id(reply.text),
        )

    async def _hand_over(self, mail: OutgoingMail, check_lease: Callable[[], None]) -> Reply:
        check_lease()  # else a connection would be opened, or closed, for nothing
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
        except SmtpFault as fault:
            await self._after_fault(session, fault)
            raise
        except BaseException:
            self.pool.discard(session)
            raise
        self.pool.give_back(session)
        return reply

    async def _after_fault(self, session: Session, fault: SmtpFault) -> None:
        """Keep the session if the relay has refused and still answers as it should; what became of the mail is known
        already."""
        if fault.kind in _BROKEN:
            self.pool.discard(session)
            return
        try:
            await session.reset()
        except SmtpFault:
            self.pool.discard(session)
        except BaseException:
            self.pool.discard(session)
            raise
        else:
            self.pool.give_back(session)


_BROKEN = frozenset({FaultKind.DISCONNECTED, FaultKind.TIMEOUT, FaultKind.MALFORMED, FaultKind.HANDSHAKE})


def _was_closed_meanwhile(fault: SmtpFault) -> bool:
    hung_up = fault.kind in (FaultKind.DISCONNECTED, FaultKind.TIMEOUT) or fault.code == _SERVICE_CLOSING
    return hung_up and fault.stage is Stage.MAIL


def _held(mail: OutgoingMail, attempt: int, outage: AttemptResult) -> AttemptResult:
    """Nothing was tried, for the reason that the last who tried met."""
    return AttemptResult(
        mail.notification_id, attempt, Outcome.HELD, outage.stage, outage.code, outage.reason, outage.text
    )


def _expired(mail: OutgoingMail, attempt: int) -> AttemptResult:
    text = f"not delivered by {mail.expires_at:%Y-%m-%d %H:%M:%S} UTC"
    return AttemptResult(mail.notification_id, attempt, Outcome.TRANSIENT, reason="expired", text=text)
