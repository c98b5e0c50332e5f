"""Addresses that no mail goes to (research/email.md item 47): what is held against one, and for how long.

What is said about an address merges to the same end whatever its order and however often it is repeated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from streamnotify.domain.feedback import Sign

_AT_ONCE = (Sign.COMPLAINT, Sign.UNSUBSCRIBED, Sign.OPERATOR, Sign.HARD_BOUNCE)  # the gravest first
_FOR_GOOD = frozenset({Sign.COMPLAINT, Sign.UNSUBSCRIBED, Sign.OPERATOR})


@dataclass(frozen=True, slots=True)
class SuppressionPolicy:
    """``soft_bounces`` of different mails in a row suppress; what bounces have done expires after ``keep_for``."""

    soft_bounces: int = 3
    keep_for: timedelta = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing known about an address, and when it happened.

    ``mail`` names the mail it is about, so that several soft bounces of one mail count once. ``source`` says who
    reported it, such as ``dsn`` or ``relay``; ``detail`` are their words.
    """

    sign: Sign
    at: datetime
    mail: str
    source: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class AddressHistory:
    """What is held against an address, for all organizations or for one.

    ``blocks`` has the latest evidence of each sign that suppresses at once, ``soft_bounces`` the latest of different
    mails since the last one that arrived.
    """

    address: str
    organization_id: str | None = None
    blocks: tuple[Evidence, ...] = ()
    soft_bounces: tuple[Evidence, ...] = ()
    delivered_at: datetime | None = None
    lifted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Suppression:
    """Why no mail goes to an address, since when, and until when: None is for good."""

    cause: Sign
    since: datetime
    until: datetime | None
    source: str | None
    detail: str | None


def learn(history: AddressHistory, evidence: Evidence, policy: SuppressionPolicy) -> AddressHistory:
    """The history with one more piece of evidence in it."""
    if evidence.sign is Sign.DELIVERED:
        history = replace(history, delivered_at=_later(history.delivered_at, evidence.at))
    elif evidence.sign is Sign.LIFTED:
        history = replace(history, lifted_at=_later(history.lifted_at, evidence.at))
    elif evidence.sign is Sign.SOFT_BOUNCE:
        history = replace(history, soft_bounces=_latest((*history.soft_bounces, evidence), by_mail=True))
    else:
        history = replace(history, blocks=_latest((*history.blocks, evidence), by_mail=False))
    return _without_what_is_settled(history, policy)


def suppression(history: AddressHistory, now: datetime, policy: SuppressionPolicy) -> Suppression | None:
    """Why no mail goes to the address at ``now``; None if mail may go."""
    by_sign = {evidence.sign: evidence for evidence in history.blocks}
    found = [by_sign[sign] for sign in _AT_ONCE if sign in by_sign]
    if len(history.soft_bounces) >= policy.soft_bounces:
        found.append(history.soft_bounces[0])
    for evidence in found:
        until = None if evidence.sign in _FOR_GOOD else evidence.at + policy.keep_for
        if until is None or now < until:
            return Suppression(evidence.sign, evidence.at, until, evidence.source, evidence.detail)
    return None


def forget_at(history: AddressHistory, policy: SuppressionPolicy) -> datetime | None:
    """When nothing in the history matters any more; None is never."""
    if any(evidence.sign in _FOR_GOOD for evidence in history.blocks):
        return None
    times = [evidence.at for evidence in (*history.blocks, *history.soft_bounces)]
    times += [at for at in (history.delivered_at, history.lifted_at) if at is not None]
    return max(times) + policy.keep_for


def _without_what_is_settled(history: AddressHistory, policy: SuppressionPolicy) -> AddressHistory:
    lifted = history.lifted_at
    arrived = lifted if history.delivered_at is None else _later(lifted, history.delivered_at)
    soft = tuple(each for each in history.soft_bounces if arrived is None or each.at > arrived)
    return replace(
        history,
        blocks=tuple(each for each in history.blocks if lifted is None or each.at > lifted),
        soft_bounces=soft[: policy.soft_bounces],  # the latest are as many as will ever be asked for
    )


def _latest(evidence: tuple[Evidence, ...], *, by_mail: bool) -> tuple[Evidence, ...]:
    """The latest of each mail, or else of each sign; the latest of all first."""
    kept: dict[str, Evidence] = {}
    for each in sorted(evidence, key=_order):
        kept[each.mail if by_mail else each.sign] = each
    return tuple(sorted(kept.values(), key=_order, reverse=True))


def _order(evidence: Evidence) -> tuple[datetime, str, str, str, str]:
    return evidence.at, evidence.mail, evidence.sign, evidence.source or "", evidence.detail or ""


def _later(known: datetime | None, at: datetime) -> datetime:
    return at if known is None else max(known, at)
