"""The decision table: each rule against a relay that answers so, at the stage it is about."""

from __future__ import annotations

from datetime import timedelta

import pytest

from streamnotify.domain.delivery import AttemptResult, Outcome
from streamnotify.smtp.classification import RULES, classify
from streamnotify.smtp.fault import FaultKind, SmtpFault, Stage
from streamnotify.smtp.replies import queue_id, retry_hint, visible
from streamnotify.smtp.sender import Sender
from tests.smtp.a_mail import a_mail, a_policy, lease_held
from tests.smtp.jumping_clock import run
from tests.smtp.relays import Answer, ScriptedRelay, Silence

STAGES = {
    "GREETING": Stage.CONNECT,
    "EHLO": Stage.CONNECT,
    "AUTH": Stage.AUTH,
    "MAIL": Stage.MAIL,
    "RCPT": Stage.RCPT,
    "DATA": Stage.DATA,
    "DOT": Stage.DOT,
}

UNREACHABLE, TRANSIENT, SLOW, RATE, QUOTA = (
    Outcome.UNREACHABLE,
    Outcome.TRANSIENT,
    Outcome.MAILBOX_FULL,
    Outcome.RATE,
    Outcome.QUOTA,
)
SENDER, AMBIGUOUS = Outcome.SENDER_CONFIG, Outcome.AMBIGUOUS
RECIPIENT, MESSAGE = Outcome.PERMANENT_RECIPIENT, Outcome.PERMANENT_MESSAGE

CASES: list[tuple[str, Answer, Outcome, str]] = [
    # connection
    ("GREETING", "421 4.3.2 busy", UNREACHABLE, "relay_unavailable"),
    ("GREETING", "421 4.7.0 too many connections", UNREACHABLE, "relay_unavailable"),
    ("GREETING", "554 5.7.1 go away", UNREACHABLE, "relay_refused"),
    ("GREETING", Silence.HANG_UP, UNREACHABLE, "connection_failed"),
    ("GREETING", Silence.HANG, UNREACHABLE, "timeout"),
    ("GREETING", "hello there", UNREACHABLE, "connection_failed"),
    ("EHLO", Silence.HANG_UP, UNREACHABLE, "connection_failed"),
    ("EHLO", "550 5.7.1 who?", UNREACHABLE, "relay_refused"),
    # login
    ("AUTH", "454 4.7.0 temporary authentication failure", UNREACHABLE, "auth_failed"),
    ("AUTH", Silence.HANG, UNREACHABLE, "auth_failed"),
    ("AUTH", "535 5.7.8 wrong", SENDER, "auth_failed"),
    ("AUTH", "534 5.7.9 application password required", SENDER, "auth_failed"),
    ("AUTH", "530 5.7.0 must issue STARTTLS", SENDER, "auth_failed"),
    ("AUTH", Silence.HANG_UP, SENDER, "auth_failed"),
    ("AUTH", "451 Authentication failed: Maximum credits exceeded", QUOTA, "quota_exceeded"),
    ("MAIL", "530 5.7.0 authentication required", SENDER, "auth_required"),
    ("MAIL", "550 5.7.30 basic authentication is not supported", SENDER, "auth_required"),
    ("MAIL", "535 5.7.8 log in again", SENDER, "auth_failed"),
    # too much from us
    ("DATA", "454 Throttling failure: Maximum sending rate exceeded.", RATE, "rate_limited"),
    ("MAIL", "421 4.7.28 unusual rate of mail", RATE, "rate_limited"),
    ("MAIL", "452 4.3.1 too many messages, slow down", RATE, "rate_limited"),
    ("DOT", "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", RATE, "rate_limited"),
    ("MAIL", "454 Throttling failure: Daily message quota exceeded.", QUOTA, "quota_exceeded"),
    ("RCPT", "550 5.4.5 Daily user sending limit exceeded.", QUOTA, "quota_exceeded"),
    ("DOT", "451 You have exceeded your messaging limits", QUOTA, "quota_exceeded"),
    # not now
    ("MAIL", "421 4.3.2 busy", TRANSIENT, "relay_unavailable"),
    ("RCPT", "421 4.7.0 later", TRANSIENT, "relay_unavailable"),
    ("DATA", "421 4.3.2 busy", TRANSIENT, "relay_unavailable"),
    ("DOT", "421 4.3.2 shutting down", TRANSIENT, "relay_unavailable"),
    ("RCPT", "450 4.2.1 greylisted", TRANSIENT, "relay_deferred"),
    ("MAIL", "451 4.3.0 later", TRANSIENT, "relay_deferred"),
    ("DATA", "451 4.4.2 timeout", TRANSIENT, "relay_deferred"),
    ("DOT", "452 4.3.1 out of storage", TRANSIENT, "relay_deferred"),
    ("RCPT", "452 4.5.3 too many recipients", TRANSIENT, "relay_deferred"),
    ("RCPT", "550 5.4.4 no mail servers found", TRANSIENT, "route_unavailable"),
    ("RCPT", "554 5.7.1 <ann@example.com>: Relay access denied", TRANSIENT, "relay_denied"),
    ("RCPT", "452 4.2.2 mailbox full", SLOW, "mailbox_full"),
    ("DOT", "552 5.2.2 over quota", SLOW, "mailbox_full"),
    ("RCPT", "552 no", SLOW, "mailbox_full"),
    ("RCPT", "550 the mailbox is full", SLOW, "mailbox_full"),
    # never, because of us
    ("MAIL", "550 5.7.1 not from you", SENDER, "sender_refused"),
    ("MAIL", "550 5.1.8 sender domain does not exist", SENDER, "sender_refused"),
    ("RCPT", "553 5.7.1 <noreply@example.com>: Sender address rejected: not owned", SENDER, "sender_refused"),
    ("RCPT", "553 5.7.1 not yours", SENDER, "sender_refused"),
    ("DOT", "554 Message rejected: Email address is not verified.", SENDER, "sender_refused"),
    ("DATA", "550 The from address does not match a verified Sender Identity.", SENDER, "sender_refused"),
    ("DOT", "554 5.2.252 SendAsDenied", SENDER, "sender_refused"),
    ("DOT", "550 5.7.60 client does not have permissions to send as this sender", SENDER, "sender_refused"),
    # never, because of the mailbox
    ("RCPT", "550 5.1.1 no such user", RECIPIENT, "recipient_refused"),
    ("RCPT", "550 5.1.2 no such host", RECIPIENT, "recipient_refused"),
    ("RCPT", "550 5.1.6 has moved", RECIPIENT, "recipient_refused"),
    ("DOT", "550 5.1.10 recipient not found", RECIPIENT, "recipient_refused"),
    ("RCPT", "550 5.2.1 account disabled", RECIPIENT, "recipient_refused"),
    ("RCPT", "550 No such user here", RECIPIENT, "recipient_refused"),
    ("RCPT", "553 sorry, that mailbox ann does not exist", RECIPIENT, "recipient_refused"),
    # never, because of this mail
    ("MAIL", "552 5.3.4 too big", MESSAGE, "too_large"),
    ("MAIL", "552 message size exceeds fixed limit", MESSAGE, "too_large"),
    ("DOT", "552 5.3.4 too big", MESSAGE, "too_large"),
    ("RCPT", "550 5.7.1 blocked by policy", MESSAGE, "policy_refused"),
    ("DOT", "554 5.7.1 spam", MESSAGE, "policy_refused"),
    ("RCPT", "550 no", MESSAGE, "recipient_refused"),
    ("DATA", "554 5.5.1 no", MESSAGE, "content_refused"),
    ("DOT", "550 5.6.0 malformed", MESSAGE, "content_refused"),
    # no answer
    ("MAIL", Silence.HANG_UP, TRANSIENT, "connection_lost"),
    ("MAIL", Silence.HANG, TRANSIENT, "timeout"),
    ("RCPT", Silence.HANG_UP, TRANSIENT, "connection_lost"),
    ("RCPT", "what?", TRANSIENT, "protocol_error"),
    ("DATA", "250 what for?", TRANSIENT, "protocol_error"),
    ("DATA", Silence.HANG_UP, TRANSIENT, "connection_lost"),
    ("DATA", Silence.HANG, TRANSIENT, "timeout"),
    ("DOT", Silence.HANG_UP, AMBIGUOUS, "no_reply"),
    ("DOT", Silence.HANG, AMBIGUOUS, "no_reply"),
    ("DOT", "thanks", AMBIGUOUS, "no_reply"),
    ("DOT", "354 more?", AMBIGUOUS, "no_reply"),
]

# What no answer leads to; shown in test_sender.py, test_tls_faults.py and test_outages.py.
ELSEWHERE = [
    SmtpFault(Stage.TLS, FaultKind.NO_STARTTLS, ""),
    SmtpFault(Stage.TLS, FaultKind.HANDSHAKE, ""),
    SmtpFault(Stage.TLS, FaultKind.REPLY, "4.7.0 no", 454),
    SmtpFault(Stage.TLS, FaultKind.DISCONNECTED, ""),
    SmtpFault(Stage.MAIL, FaultKind.TOO_LARGE, ""),
    SmtpFault(Stage.MAIL, FaultKind.TINY_LIMIT, ""),
    SmtpFault(Stage.MAIL, FaultKind.BAD_ADDRESS, ""),
    SmtpFault(Stage.RCPT, FaultKind.BAD_ADDRESS, ""),
    SmtpFault(Stage.RCPT, FaultKind.NO_SMTPUTF8, ""),
]


async def send_once(relay: ScriptedRelay, **policy: object) -> AttemptResult:
    """The result of one attempt at ``relay``."""
    sender = Sender(a_policy(relay.port, **policy))
    try:
        return await sender.send(a_mail(), 1, lease_held)
    finally:
        await sender.close()


@pytest.mark.parametrize("extension", ["8BITMIME", "PIPELINING"])
@pytest.mark.parametrize(("verb", "answer", "outcome", "reason"), CASES)
def test_what_the_relay_answers_decides_what_becomes_of_the_mail(
    verb: str, answer: Answer, outcome: Outcome, reason: str, extension: str
) -> None:
    async def scenario() -> None:
        login = {"user": "ann", "password": "secret"} if verb == "AUTH" else {}
        answers: dict[str, Answer | list[Answer]] = {
            "EHLO": f"250-relay\r\n250-{extension}\r\n250 AUTH LOGIN PLAIN CRAM-MD5"
        }
        async with ScriptedRelay(**answers | {verb: answer}) as relay:
            result = await send_once(relay, **login)
        said = _said(answer)
        assert (result.outcome, result.stage, result.code, result.reason) == (outcome, STAGES[verb], said[0], reason)
        assert result.enhanced == said[1]
        assert result.text
        assert len(relay.contents) == (verb == "DOT")
        assert sum(command.startswith("AUTH") for command in relay.commands) == (verb == "AUTH")

    run(scenario())


def test_every_rule_is_reached_by_a_case() -> None:
    faults = ELSEWHERE + [_fault(verb, answer) for verb, answer, _, _ in CASES]
    reached = [next(rule for rule in RULES if rule.fits(fault)) for fault in faults]
    assert [rule for rule in RULES if rule not in reached] == []


def test_every_fault_has_a_rule_and_only_the_final_dot_can_leave_it_open() -> None:
    codes = [None, *range(200, 600)]
    for stage in Stage:
        for kind in FaultKind:
            for code in codes if kind is FaultKind.REPLY else [None]:
                outcome = classify(SmtpFault(stage, kind, "x", code), "n", 1).outcome
                if stage is not Stage.DOT:
                    assert outcome is not AMBIGUOUS
                elif kind in (FaultKind.DISCONNECTED, FaultKind.TIMEOUT, FaultKind.MALFORMED, FaultKind.HANDSHAKE):
                    assert outcome is AMBIGUOUS


def test_only_a_missing_mailbox_counts_against_the_recipient() -> None:
    """What suppresses an address must never be our own fault, the relay's or the content's (email.md item 47)."""
    against = {answer for _, answer, outcome, _ in CASES if outcome is RECIPIENT}
    assert not any(isinstance(answer, str) and answer[4:7] in ("5.7", "5.4", "5.3", "5.6") for answer in against)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("4.7.0 try again in 300 seconds", 300),
        ("4.2.0 Greylisted, please try again in 5 minutes", 300),
        ("wait for 2 hours", 7200),
        ("retry after 30s", 30),
        ("in 0 seconds", 1),
        ("in 999999 hours", 86_400),
        ("4.2.0 in 5 pieces", None),
        ("only for 5000 messages", None),
        ("blocked after 3 mistakes from 2 hosts", None),
        ("for 4 sessions", None),
        ("in 2hrs", 7200),
        ("after 5 min.", 300),
        ("for at least 30 secs", 30),
        ("later", None),
    ],
)
def test_the_relays_wish_how_long_to_wait_is_read(text: str, seconds: int | None) -> None:
    assert retry_hint(text) == (None if seconds is None else timedelta(seconds=seconds))


def test_the_relays_wish_is_in_the_result() -> None:
    result = classify(SmtpFault(Stage.RCPT, FaultKind.REPLY, "4.7.1 try again in 5 minutes", 451), "n", 1)
    assert result.retry_in == timedelta(minutes=5)


@pytest.mark.parametrize(
    ("text", "id_"),
    [
        ("2.0.0 Ok: queued as 4VZb2k1XqMz", "4VZb2k1XqMz"),
        ("Ok: queued as aBc-123_x", "aBc-123_x"),
        ("OK id=1rQxYz-0003Ab-2C", "1rQxYz-0003Ab-2C"),
        ("Ok 0102018f3c1d-aaaa-bbbb-000000", "0102018f3c1d-aaaa-bbbb-000000"),
        ("2.0.0 OK  1700000000 5-20020a05600c.12 - gsmtp", "5-20020a05600c.12"),
        ("2.6.0 <a@b> [InternalId=123456, Hostname=x] Queued mail for delivery", "123456"),
        ("2.0.0 33FAbcde123456 Message accepted for delivery", "33FAbcde123456"),
        ("2.0.0 ok", None),
        ("Great success", None),
    ],
)
def test_the_relays_name_for_the_mail_is_read(text: str, id_: str | None) -> None:
    assert queue_id(text) == id_


def test_the_relays_words_cannot_forge_a_log_line() -> None:
    assert visible("no\r\n2024 INFO sent\x1b[0m\u202e!") == "no 2024 INFO sent [0m !"
    assert len(visible("x" * 10_000)) == 500


def _said(answer: Answer) -> tuple[int | None, str | None]:
    """Basic and enhanced code of an answer."""
    if not isinstance(answer, str) or not answer[:3].isdigit():
        return None, None
    first = answer[4:].split(" ")[0]
    return int(answer[:3]), first if first.count(".") == 2 else None


def _fault(verb: str, answer: Answer) -> SmtpFault:
    stage = STAGES[verb]
    if isinstance(answer, Silence):
        return SmtpFault(stage, FaultKind.TIMEOUT if answer is Silence.HANG else FaultKind.DISCONNECTED, "")
    code = _said(answer)[0]
    if code is None:
        return SmtpFault(stage, FaultKind.DISCONNECTED if verb == "GREETING" else FaultKind.MALFORMED, answer)
    return SmtpFault(stage, FaultKind.REPLY, answer[4:], code)
