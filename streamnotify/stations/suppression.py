"""The rows about addresses that no mail goes to; the deliveries station keeps them, since it owns the addresses."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime

from streamnotify.domain.delivery import AttemptResult, Outcome, OutgoingMail
from streamnotify.domain.feedback import Blame, Sign, blame
from streamnotify.domain.suppression import (
    AddressHistory,
    Evidence,
    Suppression,
    SuppressionPolicy,
    forget_at,
    learn,
    suppression,
)
from streamnotify.stations.context import Context, Rows
from streamnotify.wire.commands import RecordFeedback
from streamnotify.wire.rows import Row

log = logging.getLogger(__name__)

ADDRESS = Row(b"a", AddressHistory)  # key: address_key; until nothing in it matters any more
POLICY = SuppressionPolicy()
KEEPER = "deliveries"  # the station


def address_key(address: str, organization_id: str | None) -> str:
    """The key of what is held against an address. The length in front keeps ids apart whatever they contain."""
    organization = organization_id or ""
    return f"{len(organization)}:{organization}:{address.lower()}"


def suppressed(mail: OutgoingMail, rows: Rows, now: datetime) -> Suppression | None:
    """Why a mail must not go to its address: for everybody's mails, or for its organization's; None if it may go."""
    for organization_id in dict.fromkeys((None, mail.organization_id)):
        history = rows.get(ADDRESS, address_key(mail.to, organization_id))
        found = suppression(history, now, POLICY) if history is not None else None
        if found is not None:
            return found
    return None


def record_feedback(command: RecordFeedback, ctx: Context) -> None:
    """Take in what the feedback station has learnt about an address."""
    evidence = replace(command.evidence, at=min(command.evidence.at, ctx.now))  # a publisher's clock may be wrong
    _learn(command.address, command.organization_id, evidence, ctx)


def record_refusal(mail: OutgoingMail, result: AttemptResult, ctx: Context) -> None:
    """Take in that our relay knows of no such mailbox.

    It concerns everybody's mails: the relay does not know organizations.
    """
    of_address = result.outcome is Outcome.PERMANENT_RECIPIENT and result.reason == "recipient_refused"
    if of_address and blame(result.enhanced) in (Blame.HARD, None):
        evidence = Evidence(Sign.HARD_BOUNCE, ctx.now, mail.notification_id, "relay", result.text)
        _learn(mail.to.lower(), None, evidence, ctx)


def forget(key: str, ctx: Context) -> None:
    """Drop what does not matter any more."""
    ctx.delete(ADDRESS, key)


def _learn(address: str, organization_id: str | None, evidence: Evidence, ctx: Context) -> None:
    key = address_key(address, organization_id)
    before = ctx.get(ADDRESS, key) or AddressHistory(address, organization_id)
    history = learn(before, evidence, POLICY)
    if history == before:
        return
    until = forget_at(history, POLICY)
    if until is not None and until <= ctx.now:
        ctx.delete(ADDRESS, key)
        return
    ctx.put(ADDRESS, key, history)
    ctx.wake(ADDRESS, key, until)
    _log_change(before, history, ctx)


def _log_change(before: AddressHistory, history: AddressHistory, ctx: Context) -> None:
    was, now = suppression(before, ctx.now, POLICY), suppression(history, ctx.now, POLICY)
    if now is not None and was is None:
        until = "for good" if now.until is None else f"until {now.until:%Y-%m-%d %H:%M:%S} UTC"
        log.warning("No more mail to %s, %s: %s", history.address, until, now.cause.value)
    elif was is not None and now is None:
        log.info("Mail goes to %s again", history.address)
