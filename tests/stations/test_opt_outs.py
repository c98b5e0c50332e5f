"""What people refuse by now: mails in the outbox are not sent, and of digests what is still wanted goes back."""

from __future__ import annotations

import asyncio
import itertools
import logging
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamnotify.domain.delivery import Outcome
from streamnotify.domain.feedback import Sign
from streamnotify.domain.notifications import SuppressionReason
from streamnotify.domain.pending import PendingDigest, Tally
from streamnotify.domain.preferences import OptOuts
from streamnotify.domain.suppression import Evidence
from streamnotify.stations.deliveries import LEDGER, MAIL
from streamnotify.stations.opt_outs import OPT_OUTS, Told
from streamnotify.stations.organizations import ORGANIZATION_OFF
from streamnotify.stations.suppression import KEEPER
from streamnotify.testing.memory import START
from streamnotify.wire.commands import MovePending, RecordFeedback, SetOptOuts, SetOrganization
from streamnotify.wire.topics import NOTIFICATION_STATUS
from tests.render.a_notification import a_notification
from tests.smtp import jumping_clock
from tests.smtp.relays import ScriptedRelay
from tests.stations.delivering import ANN, OneMail, Product

DAY = timedelta(days=1)
BOX = "user:ann"
NO_MORE = OptOuts(everything=SuppressionReason.OPTED_OUT_USER)
REPORT: dict[str, Any] = {"mailbox": BOX, "kind": "report", "organization_id": "org-a"}
HEALTH: dict[str, Any] = {"mailbox": BOX, "kind": "service_health", "task_name": None, "task_id": None}
REFUSALS = [
    OptOuts(everything=SuppressionReason.OPTED_OUT_USER),
    OptOuts(everything=SuppressionReason.UNVERIFIED),
    OptOuts(everything=SuppressionReason.INACTIVE),
    OptOuts(organizations=("org-a",)),
    OptOuts(kinds=("report",)),
    OptOuts(members_of=("org-b",)),
]


def refused(opt_outs: OptOuts) -> SetOptOuts:
    """What Ann's mailbox refuses from now on."""
    return SetOptOuts(BOX, opt_outs)


def a_digest(*parts: tuple[str | None, str], **fields: Any) -> dict[str, Any]:
    """The fields of a digest mail, of one failure of each organization and kind."""
    tasks = tuple(
        a_notification(organization_id=organization, kind=kind, task_id=f"run-{number}", status="failed")
        for number, (organization, kind) in enumerate(parts)
    )
    tallies = tuple(Tally(organization, kind, failed=1) for organization, kind in parts)
    digest = PendingDigest("d1", "tasks", START, START, tallies, tasks)
    about = {"kind": "notification_digest", "task_name": None, "task_id": None, "mailbox": BOX}
    return about | {"digest": digest} | fields


TWO = a_digest(("org-a", "report"), ("org-b", "task_completion"))


def given_back(digest: dict[str, Any]) -> tuple[str, MovePending]:
    """What its mailbox is told."""
    return BOX, MovePending(BOX, digest["digest"], at_once=True)


@pytest.mark.parametrize("opt_outs", REFUSALS)
def test_a_mail_that_is_refused_by_now_is_not_sent_and_its_status_says_why(
    opt_outs: OptOuts, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    product = Product()
    product.tell(refused(opt_outs))
    reason = opt_outs.refusal("report", "org-a")
    assert reason is not None
    name = product.mail(**REPORT)
    assert product.relay.asked == []
    assert product.status(name) == ("suppressed", reason)
    assert caplog.messages == [f"Email to {ANN} for task run-1 is not sent: {reason.value}"]
    assert product.given_back == []
    assert product.engine.state(KEEPER).get(MAIL, name) is None


@pytest.mark.parametrize("opt_outs", REFUSALS[3:])
def test_what_is_not_refused_goes(opt_outs: OptOuts) -> None:
    product = Product()
    product.tell(refused(opt_outs))
    others = [
        product.mail(**REPORT | {"mailbox": "user:bob"}),
        product.mail(mailbox=BOX, kind="task_completion", organization_id="org-b"),
        product.mail(mailbox=BOX, kind="task_completion"),
        product.mail(kind="report", organization_id="org-a"),
    ]
    assert product.relay.asked == others


def test_nothing_of_an_organization_that_is_switched_off_goes_until_it_is_on_again() -> None:
    product = Product()
    product.tell(SetOrganization("org-a", is_off=True))
    name = product.mail(**REPORT)
    assert product.status(name) == ("suppressed", "organization_off")
    assert product.mail(**REPORT | {"organization_id": "org-b"}) in product.relay.asked
    assert product.status(product.mail(organization_id="org-a")) == ("suppressed", "organization_off")
    product.tell(SetOrganization("org-a", is_off=False))
    assert product.engine.state(KEEPER).items(ORGANIZATION_OFF) == {}
    assert product.mail(**REPORT) in product.relay.asked


def test_our_own_health_is_told_whatever_is_refused() -> None:
    product = Product()
    product.tell(refused(OptOuts(SuppressionReason.OPTED_OUT_USER, ("org-a",), ("service_health",))))
    product.tell(SetOrganization("org-a", is_off=True))
    names = [product.mail(**HEALTH), product.mail(**HEALTH | {"organization_id": "org-a"})]
    assert product.relay.asked == names


@pytest.mark.parametrize("reason", [SuppressionReason.UNVERIFIED, SuppressionReason.INACTIVE])
def test_our_own_health_is_not_told_to_whom_no_mail_may_go(reason: SuppressionReason) -> None:
    product = Product()
    product.tell(refused(OptOuts(everything=reason)))
    assert product.status(product.mail(**HEALTH)) == ("suppressed", reason)


def test_a_mail_that_waits_is_looked_at_again_before_its_next_attempt() -> None:
    product = Product()
    product.relay.answer = {"outcome": Outcome.TRANSIENT, "reason": "relay_deferred"}
    name = product.mail(**REPORT)
    product.tell(refused(NO_MORE))
    product.engine.advance(timedelta(hours=2))
    assert product.relay.asked == [name]
    assert product.status(name) == ("suppressed", "opted_out_user")


def test_a_mail_that_is_deferred_while_it_is_refused_waits_no_longer() -> None:
    product = Product()
    product.relay.answer = {"outcome": Outcome.TRANSIENT, "reason": "relay_deferred"}
    product.relay.while_waiting = lambda: product.tell(refused(NO_MORE), settle=False)
    assert product.status(product.mail(**REPORT)) == ("suppressed", "opted_out_user")


@pytest.mark.parametrize("row", [(OPT_OUTS, BOX, Told(NO_MORE)), (ORGANIZATION_OFF, "org-a", True)])
def test_a_mail_that_waits_in_the_sender_is_looked_at_again_before_it_goes(row: Any) -> None:
    product = Product()
    kind, key, value = row
    kept = kind.key(key), kind.encode(value)
    product.relay.while_waiting = lambda: product.engine.state(KEEPER).rows.update([kept])
    name = product.mail(**REPORT)
    assert product.relay.asked == []
    assert product.status(name)[0] == "suppressed"


def test_whoever_wants_mails_again_gets_them_and_nothing_is_kept() -> None:
    product = Product()
    product.tell(refused(NO_MORE))
    product.tell(refused(OptOuts()))
    assert product.engine.state(KEEPER).items(OPT_OUTS) == {}
    assert product.mail(**REPORT) in product.relay.asked


def test_what_a_mailbox_refused_is_forgotten_a_month_after_its_last_mail_to_the_address() -> None:
    product = Product()
    product.tell(SetOptOuts(BOX, NO_MORE, is_last=True))
    product.engine.advance(30 * DAY - timedelta(seconds=1))
    assert product.engine.state(KEEPER).items(OPT_OUTS) == {BOX: Told(NO_MORE, is_last=True)}
    product.engine.advance(timedelta(seconds=1))
    assert product.engine.state(KEEPER).items(OPT_OUTS) == {}


@pytest.mark.parametrize("between", [[], [SetOptOuts(BOX, OptOuts(), is_last=True)], [refused(OptOuts())]])
def test_a_mailbox_that_writes_to_the_address_again_is_not_forgotten(between: list[SetOptOuts]) -> None:
    product = Product()
    for command in (SetOptOuts(BOX, NO_MORE, is_last=True), *between, refused(NO_MORE)):
        product.tell(command)
    product.engine.advance(31 * DAY)
    assert product.engine.state(KEEPER).items(OPT_OUTS) == {BOX: Told(NO_MORE)}


def test_a_mailbox_that_left_an_address_refuses_what_waits_until_it_writes_there_again() -> None:
    """Somebody was deleted and is back: their mailbox begins anew and does not know what it told."""
    product = Product()
    product.relay.answer = {"outcome": Outcome.TRANSIENT, "reason": "relay_deferred"}
    before = product.mail(**REPORT)
    product.tell(SetOptOuts(BOX, OptOuts(everything=SuppressionReason.INACTIVE), is_last=True))
    product.engine.advance(timedelta(hours=1))
    assert product.status(before) == ("suppressed", "inactive")
    product.relay.answer = {"outcome": Outcome.SENT}
    assert product.mail(**REPORT) in product.relay.asked
    assert product.engine.state(KEEPER).items(OPT_OUTS) == {}
    product.tell(refused(NO_MORE))
    product.engine.advance(31 * DAY)
    assert product.status(product.mail(**REPORT)) == ("suppressed", "opted_out_user")


def test_a_mailbox_that_writes_again_still_gets_nothing_of_an_organization_that_is_off() -> None:
    product = Product()
    product.tell(SetOptOuts(BOX, NO_MORE, is_last=True))
    product.tell(SetOrganization("org-a", is_off=True))
    name = product.mail(**REPORT)
    assert product.status(name) == ("suppressed", "organization_off")
    delivery = product.engine.state(KEEPER).get(LEDGER, name)
    assert delivery is not None
    assert delivery.attempt == 0  # it did not even wait for its turn


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (refused(NO_MORE), "opted_out_user"),
        (refused(OptOuts(organizations=("org-b",))), "opted_out_organization"),
        (refused(OptOuts(kinds=("report",))), "opted_out_kind"),
        (refused(OptOuts(members_of=("org-a",))), "cross_organization"),
        (SetOrganization("org-b", is_off=True), "organization_off"),
    ],
)
def test_a_digest_of_which_a_part_is_refused_by_now_goes_back_to_its_mailbox_once(
    command: SetOptOuts | SetOrganization, reason: str
) -> None:
    product = Product()
    product.tell(command)
    name = product.mail(**TWO)
    assert product.relay.asked == []
    assert product.status(name) == ("suppressed", reason)
    assert product.given_back == [given_back(TWO)]
    product.numbers = itertools.count(1)
    product.mail(**TWO)  # the same once more
    product.engine.advance(3 * DAY)
    assert product.given_back == [given_back(TWO)]


def test_a_digest_of_which_nothing_is_refused_goes_and_stays_gone() -> None:
    product = Product()
    product.tell(refused(OptOuts(organizations=("org-c",), kinds=("notification_digest",))))
    name = product.mail(**TWO)
    assert product.relay.asked == [name]
    product.tell(refused(NO_MORE))
    product.engine.advance(29 * DAY)
    assert product.status(name) == ("sent", None)
    assert product.given_back == []


def test_the_statuses_of_a_digest_say_which_it_is_and_how_many_it_stands_for() -> None:
    product = Product()
    product.mail(**TWO)
    product.tell(refused(NO_MORE))
    product.mail(**TWO)
    said = product.engine.values(NOTIFICATION_STATUS)
    assert [(each["status"], each["digest_id"], each["count"]) for each in said] == [
        ("sent", "d1", 2),
        ("suppressed", "d1", 2),
    ]


def test_a_digest_that_waits_in_the_sender_goes_back_before_it_is_sent() -> None:
    product = Product()
    kept = OPT_OUTS.key(BOX), OPT_OUTS.encode(Told(NO_MORE))
    product.relay.while_waiting = lambda: product.engine.state(KEEPER).rows.update([kept])
    product.mail(**TWO)
    assert product.relay.asked == []
    assert product.given_back == [given_back(TWO)]


def test_a_digest_to_an_address_that_gets_no_mail_does_not_go_back_to_be_made_again() -> None:
    product = Product()
    product.tell(RecordFeedback(ANN, None, Evidence(Sign.COMPLAINT, START, "n0")))
    product.tell(refused(NO_MORE))
    assert product.status(product.mail(**TWO)) == ("suppressed", "suppressed_address")
    assert product.given_back == []


def test_a_digest_that_may_have_arrived_does_not_go_back_and_is_not_sent_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its person might otherwise get what is in it twice, in two mails that no mail program takes for one."""
    product = Product()
    product.relay.answer = {"outcome": Outcome.AMBIGUOUS, "reason": "no_reply"}
    name = product.mail(**TWO)
    product.relay.answer = {"outcome": Outcome.TRANSIENT, "reason": "relay_deferred"}
    product.engine.advance(timedelta(minutes=16))
    assert product.relay.asked == [name, name]
    product.tell(refused(OptOuts(kinds=("report",))))
    product.engine.advance(timedelta(hours=2))
    assert product.relay.asked == [name, name]
    assert product.status(name) == ("suppressed", "opted_out_kind")
    assert product.given_back == []
    assert caplog.records[-1].levelno == logging.WARNING
    assert caplog.messages[-1] == f"Email to {ANN} for 2 tasks may have arrived, is not sent again: opted_out_kind"


@pytest.mark.parametrize("fields", [REPORT, TWO])
def test_a_mail_that_waits_out_an_outage_is_not_sent_if_it_was_refused_meanwhile(fields: dict[str, Any]) -> None:
    async def scenario() -> None:
        async with ScriptedRelay(GREETING="421 4.3.2 busy") as relay:
            mail = OneMail(relay, **fields)
            assert (await mail.attempted(1)).result.outcome is Outcome.UNREACHABLE
            waiting = mail.attempted(2)
            await asyncio.sleep(3600)
            assert not waiting.done()
            mail.persist(OPT_OUTS, BOX, Told(NO_MORE))  # Ann wants no more mails
            relay.answer("GREETING", None)
            result = (await asyncio.wait_for(waiting, 120)).result
            assert (result.outcome, result.reason) == (Outcome.HELD, "opted_out_user")
            assert relay.connections > 1
            assert not [command for command in relay.commands if command.startswith("MAIL")]
            await mail.sender.close()

    jumping_clock.run(scenario())


def test_a_mail_that_is_refused_while_it_is_handed_over_gets_no_final_dot() -> None:
    async def scenario() -> None:
        async with ScriptedRelay() as relay:
            relay.pause("DATA")
            mail = OneMail(relay, **REPORT)
            waiting = mail.attempted(1)
            await asyncio.sleep(5)  # on a clock that jumps only when nothing happens any more
            assert relay.commands[-1] == "DATA"
            mail.persist(OPT_OUTS, BOX, Told(NO_MORE))  # Ann wants no more mails
            relay.resume()
            result = (await asyncio.wait_for(waiting, 120)).result
            assert (result.outcome, result.reason) == (Outcome.HELD, "opted_out_user")
            assert relay.contents == []
            await mail.sender.close()

    jumping_clock.run(scenario())


ORGANIZATIONS, KINDS = ["org-a", "org-b", None], ["report", "task_completion"]
NAMED = [each for each in ORGANIZATIONS if each is not None]
SAID = st.one_of(
    st.builds(
        OptOuts,
        everything=st.sampled_from([None, None, None, SuppressionReason.OPTED_OUT_USER, SuppressionReason.INACTIVE]),
        organizations=st.lists(st.sampled_from(NAMED), unique=True).map(tuple),
        kinds=st.lists(st.sampled_from(KINDS), max_size=1).map(tuple),
        members_of=st.none() | st.lists(st.sampled_from(NAMED), unique=True).map(tuple),
    ).map(refused),
    st.builds(SetOrganization, st.sampled_from(NAMED), st.booleans()),
)
PART = st.tuples(st.sampled_from(ORGANIZATIONS), st.sampled_from(KINDS))
STEP = st.one_of(SAID, st.sampled_from([Outcome.TRANSIENT, Outcome.AMBIGUOUS, Outcome.HELD, Outcome.SENT]))


def wanted(opt_outs: OptOuts, off: set[str], part: tuple[str | None, str]) -> bool:
    """As the plain rules say."""
    organization, kind = part
    return opt_outs.refusal(kind, organization) is None and organization not in off


@settings(max_examples=60, deadline=None)
@given(st.lists(PART, min_size=1, max_size=4, unique=True), st.lists(STEP, max_size=8))
def test_whatever_happens_nothing_refused_is_sent_and_a_digest_goes_back_once_or_not_at_all(
    parts: list[tuple[str | None, str]], steps: list[Any]
) -> None:
    product = Product()
    digest = a_digest(*parts)
    opt_outs, off = OptOuts(), set[str]()
    outcomes, name = [], None
    for step in steps:
        if isinstance(step, SetOptOuts):
            opt_outs = step.opt_outs
        elif isinstance(step, SetOrganization):
            (off.add if step.is_off else off.discard)(step.organization_id)
        else:
            product.relay.answer = {"outcome": step}
            before = len(product.relay.asked)
            name = name or product.mail(**digest)
            product.engine.advance(timedelta(hours=2))
            if len(product.relay.asked) > before:
                outcomes.append(step)
                assert all(wanted(opt_outs, off, part) for part in parts)
            continue
        product.tell(step)
    if name is None:
        return
    state = product.engine.state(KEEPER).items(LEDGER)[name].state
    back = state == "suppressed" and Outcome.AMBIGUOUS not in outcomes
    assert product.given_back == ([given_back(digest)] if back else [])
