"""What mailboxes keep of their owners and tell of them, record by record."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from streamnotify.domain.notifications import SuppressionReason, TaskNotification
from streamnotify.domain.pending import PendingDigest, Tally
from streamnotify.domain.preferences import OptOuts, Preferences, Profile, UnsubscribeScope
from streamnotify.render.policy import RenderPolicy
from streamnotify.render.renderer import Renderer
from streamnotify.stations.context import Due
from streamnotify.stations.holding import HELD, RELEASING
from streamnotify.stations.mailboxes import station
from streamnotify.stations.mailing import MailboxPolicy
from streamnotify.stations.owner_changes import CLAIM
from streamnotify.stations.owners import OWNER
from streamnotify.wire.commands import (
    DeliverMail,
    MailboxesCommand,
    MovePending,
    NotifyTask,
    SetAlias,
    SetOptOuts,
    SetPreferences,
    SetProfile,
    Unsubscribe,
)
from streamnotify.wire.topics import MAILBOXES, NOTIFICATION_STATUS, OUTBOX, USER_PREFERENCES
from tests.render.a_notification import a_notification
from tests.stations.at_once import at_once
from tests.stations.fake_context import NOW, FakeContext

STATION = station(at_once(), Renderer(RenderPolicy("noreply@example.com")))
BOX = "user:u1"
HOUR = timedelta(hours=1)
OLD, NEW = "old@example.com", "new@example.com"
SHARED = "team@example.com"
NOTHING_AT_ALL = Preferences(email=False)
OPTED_OUT = OptOuts(everything=SuppressionReason.OPTED_OUT_USER)
UNVERIFIED = OptOuts(everything=SuppressionReason.UNVERIFIED)
INACTIVE = OptOuts(everything=SuppressionReason.INACTIVE)


def handled(*commands: MailboxesCommand, ctx: FakeContext | None = None) -> FakeContext:
    """What has become of these, one after the other; with ``ctx``, what the last ones have emitted."""
    ctx = ctx or FakeContext()
    ctx.emitted.clear()
    for command in commands:
        STATION.handle(command, ctx)
    return ctx


def is_now(email: str | None = NEW, **fields: Any) -> SetProfile:
    """The user's profile."""
    return SetProfile("u1", Profile("u1", email, **fields))


def held(ctx: FakeContext) -> list[TaskNotification]:
    """What is held, for whomever."""
    return [HELD.decode(value) for key, value in ctx.rows.items() if key[:1] == HELD.kind]


def released(ctx: FakeContext) -> list[NotifyTask]:
    """What comes again to a mailbox."""
    return [said for _, said in ctx.to(MAILBOXES) if isinstance(said, NotifyTask)]


def told(ctx: FakeContext) -> list[tuple[str | bytes | None, OptOuts, bool]]:
    """What deliveries is told: at which address, what is refused, and whether it is the last word there."""
    return [(key, said.opt_outs, said.is_last) for key, said in ctx.to(OUTBOX) if isinstance(said, SetOptOuts)]


def clicked(*kinds: str, mailbox: str = BOX) -> Unsubscribe:
    """Somebody follows the link of a mail about these kinds."""
    return Unsubscribe(UnsubscribeScope(mailbox, kinds))


def published(ctx: FakeContext) -> list[dict[str, Any]]:
    """The records on user-preferences."""
    return [record for _, record in ctx.to(USER_PREFERENCES)]


def claims(users: Iterable[str], *, is_theirs: bool = True, is_sure: bool = True) -> list[MailboxesCommand]:
    """The shared address is these users', or not any more."""
    return [SetAlias(SHARED, user, is_theirs, is_sure) for user in users]


def claimed_by(ctx: FakeContext) -> tuple[str, ...]:
    """Whose the shared address is."""
    owner = ctx.get(OWNER, f"address:{SHARED}")
    return () if owner is None else owner.claimed_by


def test_a_record_releases_no_more_than_it_can_hold_and_the_next_tick_goes_on() -> None:
    large = {"test_set_name": "x" * 60_000}
    ctx = handled(*(NotifyTask(a_notification(user_id="u1", task_id=f"r{n}", variables=large)) for n in range(20)))
    all_of_them = {notification.notification_id for notification in held(ctx)}
    seen: list[str] = []
    handled(is_now(), ctx=ctx)
    steps = [released(ctx)]
    while ctx.get(RELEASING, BOX) is not None:
        STATION.handle(Due(RELEASING, BOX, ctx.now, ctx.now), handled(ctx=ctx))
        steps.append(released(ctx))
    assert len(steps) > 5
    for step in steps:
        assert 0 < sum(len(MAILBOXES.encode(each)) for each in step) < 250_000
        seen += [each.notification.notification_id for each in step]
    assert sorted(seen) == sorted(all_of_them)
    assert held(ctx) == []


def test_one_that_is_larger_than_a_record_should_release_is_released_all_the_same() -> None:
    huge = {"test_set_name": "x" * 300_000}
    ctx = handled(NotifyTask(a_notification(user_id="u1", variables=huge)))
    handled(is_now(), ctx=ctx)
    assert [type(said) for _, said in ctx.to(MAILBOXES)] == [SetAlias, NotifyTask]
    assert ctx.get(RELEASING, BOX) is None


def test_a_user_who_is_gone_again_before_all_is_released_has_the_rest_held_as_before() -> None:
    large = {"test_set_name": "x" * 150_000}
    ctx = handled(*(NotifyTask(a_notification(user_id="u1", task_id=f"r{n}", variables=large)) for n in range(3)))
    handled(is_now(), SetProfile("u1", None), ctx=ctx)
    handled(*released(ctx), ctx=ctx)
    for _ in range(3):
        ctx.emitted.clear()
        ctx.advance(STATION, ctx.now)
        handled(*(said for _, said in ctx.to(MAILBOXES)), ctx=ctx)
    assert len(held(ctx)) == 3


def test_a_record_from_before_an_unsubscribe_is_merged_with_it_and_published() -> None:
    ctx = handled(is_now(), clicked("report"), clicked("task_completion"))
    [_, second] = published(ctx)
    assert second["kinds"] == {"report": False, "task_completion": False}
    before = Preferences(organizations={"org-a": False}, kinds={"report": True, "alert": True})
    handled(SetPreferences(BOX, before), ctx=ctx)
    [merged] = published(ctx)
    assert merged["kinds"] == {"alert": True, "report": False, "task_completion": False}
    assert merged["organizations"] == {"org-a": {"email": False}}
    assert merged["revision"] > second["revision"]


def test_a_removal_from_before_an_unsubscribe_does_not_undo_it_either() -> None:
    ctx = handled(is_now(), clicked("report"))
    handled(SetPreferences(BOX, None), ctx=ctx)
    [merged] = published(ctx)
    assert merged["kinds"] == {"report": False}


def test_what_the_mailbox_has_published_is_known_only_once_its_last_record_has_come_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ctx = handled(is_now(), clicked("report"), clicked("task_completion"))
    [first, second] = [record["revision"] for record in published(ctx)]
    both = Preferences(kinds={"report": False, "task_completion": False})
    handled(SetPreferences(BOX, Preferences(kinds={"report": False}), revision=first), ctx=ctx)
    handled(SetPreferences(BOX, Preferences()), ctx=ctx)
    [merged] = published(ctx)
    assert merged["kinds"] == both.kinds
    assert caplog.messages == []
    handled(SetPreferences(BOX, both, revision=second), SetPreferences(BOX, both, revision=merged["revision"]), ctx=ctx)
    handled(SetPreferences(BOX, Preferences(kinds={"report": False})), ctx=ctx)
    assert published(ctx) == []
    assert caplog.messages == ["user:u1: a record on user-preferences takes back what was turned off: task_completion"]
    owner = ctx.get(OWNER, BOX)
    assert owner is not None
    assert owner.own == Preferences(kinds={"report": False})


@pytest.mark.parametrize(
    ("then", "refuses"),
    [
        (SetPreferences(BOX, NOTHING_AT_ALL), OPTED_OUT),
        (is_now(preferences=NOTHING_AT_ALL), OPTED_OUT),
        (is_now(is_active=False), INACTIVE),
        (is_now(email_verified=False), UNVERIFIED),
    ],
)
def test_who_has_moved_and_refuses_something_then_refuses_it_at_the_old_addresses_too(
    then: MailboxesCommand, refuses: OptOuts
) -> None:
    ctx = handled(is_now("first@example.com"), is_now(OLD), is_now())
    handled(then, ctx=ctx)
    assert told(ctx) == [
        ("first@example.com", refuses, True),
        (OLD, refuses, True),
        (NEW, refuses, False),
    ]


def test_who_is_deleted_after_moving_gets_nothing_at_any_of_their_addresses() -> None:
    ctx = handled(is_now(OLD), is_now())
    handled(SetProfile("u1", None), ctx=ctx)
    assert told(ctx) == [(OLD, INACTIVE, True), (NEW, INACTIVE, True)]
    assert ctx.get(OWNER, BOX) is None
    handled(is_now("third@example.com"), SetPreferences(BOX, NOTHING_AT_ALL), ctx=ctx)
    assert [key for key, *_ in told(ctx)] == ["third@example.com"]  # the others are forgotten by now


def test_who_moves_back_refuses_at_the_address_as_at_their_own() -> None:
    ctx = handled(is_now(OLD), is_now(NEW), is_now(OLD.upper()))
    handled(SetPreferences(BOX, NOTHING_AT_ALL), ctx=ctx)
    assert told(ctx) == [(NEW, OPTED_OUT, True), (OLD, OPTED_OUT, False)]


def test_of_former_addresses_the_last_three_are_remembered() -> None:
    ctx = handled(*(is_now(f"{number}@example.com") for number in range(6)))
    handled(SetPreferences(BOX, NOTHING_AT_ALL), ctx=ctx)
    assert [key for key, *_ in told(ctx)] == [f"{number}@example.com" for number in (2, 3, 4, 5)]


def test_who_goes_to_and_fro_between_two_addresses_does_not_push_others_out() -> None:
    ctx = handled(is_now("first@example.com"), *(is_now(address) for address in (OLD, NEW, OLD, NEW, OLD, NEW)))
    handled(SetPreferences(BOX, NOTHING_AT_ALL), ctx=ctx)
    assert [key for key, *_ in told(ctx)] == ["first@example.com", OLD, NEW]


def test_what_an_address_has_sent_to_a_user_who_is_gone_is_mailed_to_it_and_not_sent_there_again() -> None:
    """The address does not know yet that it is not theirs any more."""
    ctx = handled(*claims(["u1"]))
    handled(NotifyTask(a_notification(email=SHARED)), ctx=ctx)
    [(to_user, first)] = ctx.to(MAILBOXES)
    handled(first, ctx=ctx)
    [(to_address, second)] = ctx.to(MAILBOXES)
    handled(second, ctx=ctx)
    assert (to_user, to_address) == (BOX, f"address:{SHARED}")
    assert [said.mail.to for _, said in ctx.to(OUTBOX)] == [SHARED]


def test_a_digest_handed_back_that_nothing_of_is_refused_here_is_not_flushed_again_at_once() -> None:
    about = a_notification(user_id="u1", organization_id="org-a")
    tallies = (Tally("org-a", about.kind, completed=2),)
    digest = PendingDigest("d1", "tasks", NOW - HOUR, NOW - HOUR, tallies, (about,))
    patient = station(MailboxPolicy(), Renderer(RenderPolicy("noreply@example.com")))
    ctx = handled(is_now())
    patient.handle(MovePending(BOX, digest, at_once=True), ctx)
    assert ctx.to(OUTBOX) == []
    [(_, status)] = ctx.to(NOTIFICATION_STATUS)
    assert (status["status"], status["count"], status["next_at"]) == ("batched", 2, "2024-01-15T15:01:00Z")
    refuses = Preferences(kinds={"report": False})
    patient.handle(SetPreferences(BOX, refuses), ctx)
    other = PendingDigest("d2", "tasks", NOW, NOW, (Tally("org-a", "report", failed=1),))
    handled(ctx=ctx)
    patient.handle(MovePending(BOX, other, at_once=True), ctx)
    assert [type(said) for _, said in ctx.to(OUTBOX)] == [DeliverMail]  # of what is left, which waits for no window


def test_an_address_whose_user_refuses_something_refuses_it_for_mails_of_its_own_that_wait() -> None:
    """Those that were sent to the address before it was known whose it is."""
    ctx = handled(is_now(preferences=NOTHING_AT_ALL))
    to_address = [said for key, said in ctx.to(MAILBOXES) if key == f"address:{NEW}"]
    handled(*to_address, ctx=ctx)
    assert told(ctx) == [(NEW, OPTED_OUT, False)]
    assert [said.mailbox for _, said in ctx.to(OUTBOX)] == [f"address:{NEW}"]
    handled(is_now(), ctx=ctx)
    handled(*[said for key, said in ctx.to(MAILBOXES) if key == f"address:{NEW}"], ctx=ctx)
    assert told(ctx) == [(NEW, OptOuts(), False)]


def test_an_address_is_the_one_verified_users_else_the_one_who_is_not_s() -> None:
    ctx = handled(*claims(["mallory"], is_sure=False))
    assert claimed_by(ctx) == ("mallory",)
    handled(*claims(["ann"]), ctx=ctx)
    assert claimed_by(ctx) == ("ann",)
    handled(*claims(["bob"]), ctx=ctx)
    assert claimed_by(ctx) == ("ann", "bob")
    handled(*claims(["bob"], is_sure=False), ctx=ctx)
    assert claimed_by(ctx) == ("ann",)
    handled(*claims(["ann", "bob"], is_theirs=False), ctx=ctx)
    assert claimed_by(ctx) == ("mallory",)
    handled(*claims(["mallory"], is_theirs=False), ctx=ctx)
    assert claimed_by(ctx) == ()
    assert ctx.rows == {}


def test_of_the_many_users_of_an_address_only_a_few_are_in_its_row(caplog: pytest.LogCaptureFixture) -> None:
    names = [f"user-{number:08}-0000-4000-8000-000000000000" for number in range(300)]
    ctx = handled(*claims(names))
    assert len(ctx.rows[OWNER.key(f"address:{SHARED}")]) < 200
    assert sum(key[:1] == CLAIM.kind for key in ctx.rows) == 300
    assert len(caplog.messages) == 1
    handled(*claims(names[1:], is_theirs=False), ctx=ctx)
    assert claimed_by(ctx) == (names[0],)


def test_a_user_whose_id_is_odd_claims_for_nobody_else() -> None:
    ctx = handled(*claims(["\0", "0", "1", "\0001", "ann\0001"]))
    handled(*claims(["0", "1", "\0001", "ann\0001"], is_theirs=False), ctx=ctx)
    assert claimed_by(ctx) == ("\0",)
