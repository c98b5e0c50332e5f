"""Each sentence of the source about squashing mails, and what SPEC section 6 adds, on the whole product in memory."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from streamnotify.domain.preferences import UnsubscribeScope
from streamnotify.render.policy import RenderPolicy
from streamnotify.stations.mailing import MailboxPolicy
from streamnotify.wire.commands import Unsubscribe
from streamnotify.wire.topics import MAILBOXES, USER_PREFERENCES
from tests.e2e.in_memory import InMemoryProduct
from tests.e2e.product import text_of

NOON = datetime(2024, 1, 15, 12, tzinfo=UTC)
LINKED = RenderPolicy("notify@example.com", frontend_url="https://app.example.com", link_notifications="/notifications")
ANN = "ann@example.com"


class Day:
    """A product with the default lanes, at noon; times are minutes after it."""

    def __init__(self) -> None:
        self.product = InMemoryProduct(NOON, lanes=MailboxPolicy().lanes, rendering=LINKED)

    def at(self, minute: float) -> Day:
        """Let time pass until then."""
        self.product.advance_to(NOON + timedelta(minutes=minute))
        return self

    def ends(self, task_id: str, status: str = "Completed", *, email: str | None = ANN, **fields: Any) -> Day:
        """A run of ``import`` whose person wants a mail has ended; with ``email`` None it is a user's."""
        notify = {"name": "Ann"} | ({} if email is None else {"email": email}) | fields.pop("notify", {})
        self.product.ran("import", status, task_id=task_id, notify=notify, **fields)
        return self

    def ann(self, **fields: Any) -> Day:
        """The directory knows Ann, as ``u1``."""
        self.product.user("u1", **({"email": ANN, "name": "Ann"} | fields))
        return self

    def hers(self, task_id: str, **fields: Any) -> Day:
        """A run of Ann's, as the directory knows her, has ended."""
        return self.ends(task_id, email=None, user_id="u1", **fields)

    @property
    def mails(self) -> list[tuple[float, str, str]]:
        """When each mail was made, for whom, and its subject."""
        return [
            ((mail.created_at - NOON) / timedelta(minutes=1), mail.to, mail.subject)
            for mail in self.product.relay.mails
        ]

    @property
    def sent(self) -> list[tuple[float, str]]:
        """When each mail was made and how many notifications it is about or, if of one, which run."""
        return [
            (
                (mail.created_at - NOON) / timedelta(minutes=1),
                str(mail.task_id if mail.digest is None else mail.digest.total),
            )
            for mail in self.product.relay.mails
        ]

    @property
    def suppressed(self) -> list[tuple[str | None, str]]:
        """Run and reason of what was suppressed."""
        return [(each.get("task_id"), each["reason"]) for each in self.product.statuses("suppressed")]

    def text(self) -> str:
        """Of the last mail."""
        return text_of(self.product.last_mail())

    def unsubscribes(self, mailbox: str, *kinds: str, organization_id: str | None = None, **more: bool) -> Day:
        """Somebody follows the link of a mail that went to a mailbox."""
        command = Unsubscribe(UnsubscribeScope(mailbox, kinds, organization_id), **more)
        self.product.engine.put(MAILBOXES, MAILBOXES.encode(command), key=mailbox.encode())
        return self


@pytest.fixture
def day() -> Day:
    return Day()


def test_the_first_mail_goes_alone(day: Day) -> None:
    day.ends("a")
    assert day.mails == [(0, ANN, "Task Completed: import - Success")]


def test_if_one_was_sent_in_the_last_thirty_minutes_the_next_ones_are_squashed_in_a_summary(
    day: Day, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    day.ends("a").at(10).ends("b", "Stopped", error="disk full")
    assert f"Notification for {ANN} held for digest until 2024-01-15 12:40:00 UTC" in caplog.messages
    [batched] = day.product.statuses("batched")
    assert (batched["task_id"], batched["next_at"], batched["to"]) == ("b", "2024-01-15T12:40:00Z", ANN)
    day.at(10).ends("c").at(39.9)
    assert day.sent == [(0, "a")]
    day.at(41)
    assert day.mails[1:] == [(40, ANN, "1 failed, 1 completed — 2 task notifications")]
    assert "disk full" in day.text()
    [queued] = [each for each in day.product.statuses("queued") if each.get("digest_id")]
    assert (queued["digest_id"], queued["count"]) == (batched["digest_id"], 2)


def test_another_mail_is_added_to_the_summary_and_resets_the_timer_until_it_expires(day: Day) -> None:
    day.ends("a")
    for minute in (10, 35, 60):
        day.at(minute).ends(f"at {minute}")
    assert day.at(89).sent == [(0, "a")]
    assert day.at(91).sent == [(0, "a"), (90, "3")]


def test_mails_further_apart_than_thirty_minutes_go_singly_and_one_at_exactly_thirty_is_outside(day: Day) -> None:
    day.ends("a").at(30).ends("b").at(61).ends("c")
    assert day.sent == [(0, "a"), (30, "b"), (61, "c")]


def test_a_summary_counts_as_one_mail(day: Day) -> None:
    day.ends("a").at(1).ends("b").ends("c").at(40).ends("d").at(200)
    assert day.sent == [(0, "a"), (31, "2"), (70, "d")]


def test_a_user_with_an_event_every_29_minutes_is_not_left_without_notification(day: Day) -> None:
    """The source: "this may lead to a user never receiving a notification"."""
    for number in range(12):
        day.at(29 * number).ends(f"run {number}")
    day.at(1000)
    assert day.sent[:2] == [(0, "run 0"), (29 + 120, "5")]
    assert sum(1 if mail.digest is None else mail.digest.total for mail in day.product.relay.mails) == 12
    waits = [later - earlier for (earlier, _), (later, _) in zip(day.sent, day.sent[1:], strict=False)]
    assert max(waits) <= 29 + 120


def test_only_10_notifications_are_in_the_mail_with_the_correct_number_and_a_link_to_all(day: Day) -> None:
    day.ends("first")
    for number in range(25):
        day.at(1 + number).ends(f"r{number}", display_name=f"import number {number:02} of many")
    day.at(60)
    assert day.mails[1:] == [(55, ANN, "25 completed — 25 task notifications")]
    text = day.text()
    assert [number for number in range(25) if f"number {number:02} of many" in text] == list(range(15, 25))
    assert "View all 25 notifications" in text
    assert "https://app.example.com/notifications" in text


def test_the_organization_email_preference_is_validated_when_the_summary_is_sent(day: Day) -> None:
    day.ann().hers("a").at(1).hers("b", organization_id="org-a").hers("c").hers("d")
    day.at(5).product.prefers("u1", {"organizations": {"org-a": {"email": False}}})
    day.at(60)
    assert day.sent == [(0, "a"), (31, "2")]
    assert day.suppressed == [("b", "opted_out_organization")]


def test_two_organizations_with_different_preferences_in_one_summary(day: Day) -> None:
    """The source: "Doesn't this cause an issue …?" "A really good catch"."""
    day.ann().hers("first")
    for number in range(3):
        day.at(1 + number).hers(f"a{number}", organization_id="org-a").hers(f"b{number}", organization_id="org-b")
    day.product.prefers("u1", {"organizations": {"org-a": {"email": False}, "org-b": {"email": True}}})
    day.at(60)
    assert day.mails[1:] == [(33, ANN, "3 completed — 3 task notifications")]
    assert "org-b" in day.text()
    assert "org-a" not in day.text()
    assert day.suppressed == [(f"a{number}", "opted_out_organization") for number in reversed(range(3))]


def test_sections_are_by_organization_and_failures_come_first(day: Day) -> None:
    day.ends("first").at(1)
    day.ends("1", organization_id="org-b", display_name="fine").ends("2", "Stopped", display_name="no organization")
    day.ends("3", "Stopped", organization_id="org-b", display_name="broken").ends(
        "4", organization_id="org-a", display_name="good"
    )
    text = day.at(60).text()
    places = [text.index(said) for said in ("org-a", "good", "org-b", "broken", "fine", "no organization")]
    assert places == sorted(places)


def test_an_organization_switched_off_before_the_summary_is_in_none(day: Day) -> None:
    day.ends("first").at(1).ends("a", organization_id="org-a").ends("b").ends("c")
    day.product.prefers("organization:org-a", {"email": False})
    day.at(60)
    assert day.sent == [(0, "first"), (31, "2")]
    assert day.suppressed == [("a", "organization_off")]
    day.product.prefers("organization:org-a", None)
    day.ends("later", organization_id="org-a").at(120)
    assert day.sent[2:] == [(90, "later")]


def test_that_the_email_is_verified_is_validated_when_the_summary_is_sent(day: Day) -> None:
    day.ann().hers("first").at(1).hers("a").hers("b").at(5).ann(email_verified=False).at(60)
    assert day.sent == [(0, "first")]
    assert sorted(day.suppressed) == [("a", "unverified"), ("b", "unverified")]
    day.ann(email_verified=True).hers("c")
    assert day.sent[1:] == [(60, "c")]  # nothing was sent, so this is the first


def test_one_survivor_is_its_ordinary_mail(day: Day) -> None:
    day.ann().hers("first").at(1).hers("a", organization_id="org-a").hers(
        "b", notify={"subject_template": "My {task_id}"}
    )
    day.product.prefers("u1", {"organizations": {"org-a": {"email": False}}})
    assert day.at(60).mails[1:] == [(31, ANN, "My b")]


def test_a_summary_of_which_nothing_is_left_is_not_sent(day: Day) -> None:
    day.ann().hers("first").at(1).hers("a").hers("b").product.prefers("u1", {"kinds": {"task_completion": False}})
    day.at(60)
    assert day.sent == [(0, "first")]
    assert sorted(day.suppressed) == [("a", "opted_out_kind"), ("b", "opted_out_kind")]


def test_urgent_mails_go_at_once_and_count(day: Day) -> None:
    day.ends("a", notify={"urgent": True}).at(1).ends("b").at(2).ends("c", notify={"urgent": True})
    assert day.sent == [(0, "a"), (2, "c")]
    assert day.at(60).sent[2:] == [(31, "b")]
    day.at(60.5).ends("d")
    assert day.at(200).sent[3:] == [(90.5, "d")]


def test_task_mails_and_alerts_never_delay_each_other(day: Day) -> None:
    task = {"expected_statuses": ["Completed"], "notify_to": [ANN], "lookback_hours": 1}
    day.product.monitor("watch", [{"never-ran": task}], interval={"every": 1, "period": "minutes"})
    for minute in range(0, 60, 10):
        day.at(minute).ends(f"at {minute}")
    alerts = [(minute, subject) for minute, _, subject in day.at(60).mails if "alert" in subject.lower()]
    assert alerts[:5] == [(n, "[ALERT] never-ran Has Not Executed") for n in range(1, 6)]
    flushed_at, digest = alerts[5]
    assert flushed_at == 6 + 30  # a new one each minute: the cap
    assert digest in ("30 failed — 30 alerts", "31 failed — 31 alerts")  # the one of this minute comes before or after
    tasks = [(minute, subject) for minute, _, subject in day.at(200).mails if "task notifications" in subject]
    assert tasks == [(80, "5 completed — 5 task notifications")]


def test_a_summary_whose_relay_is_away_is_retried_whole_and_what_comes_then_waits_for_the_next(day: Day) -> None:
    day.ends("first").at(1).ends("a").ends("b")
    day.product.relay.is_down = True
    day.at(50).ends("c").at(55).ends("d")
    assert day.at(70).sent == [(0, "first")]
    day.product.relay.is_down = False
    day.at(200)
    assert sorted(day.sent) == [(0, "first"), (31, "2"), (85, "2")]
    [first, second] = [mail.digest for mail in day.product.relay.mails if mail.digest is not None]
    ids = {tuple(sorted(item.task_id for item in digest.items)) for digest in (first, second)}
    assert ids == {("a", "b"), ("c", "d")}


def test_a_window_of_ones_own(day: Day) -> None:
    day.product.prefers(ANN, {"digest": {"window": "1h"}})
    day.ends("a").at(40).ends("b").at(50).ends("c")
    assert day.at(300).sent == [(0, "a"), (110, "2")]


def test_each_mail_at_once_for_who_wants_it_so_and_then_what_waits_goes_too(day: Day) -> None:
    day.ann().hers("a").at(1).hers("b").hers("c")
    day.at(5).product.prefers("u1", {"digest": False})
    day.at(6).hers("d").hers("e")
    assert day.sent == [(0, "a"), (5, "2"), (6, "d"), (6, "e")]


def test_a_summary_each_day_at_eight_in_the_users_zone(day: Day) -> None:
    day.ann(timezone="Europe/Rome").product.prefers("u1", {"digest": "daily at 08:00"})
    day.hers("a").at(100).hers("b").at(18 * 60).hers("c").at(3 * 24 * 60)
    assert day.sent == [(19 * 60, "3")]  # 07:00 UTC
    assert "CET" in day.text()


def test_in_quiet_hours_all_are_held_and_then_one_summary_goes(day: Day) -> None:
    day.ann(timezone="Europe/Rome").product.prefers("u1", {"quiet_hours": {"from": "22:00", "to": "07:00"}})
    day.at(9 * 60 + 10).hers("a").at(10 * 60).hers("b").at(13 * 60).hers("c")  # 22:10 and later in Rome
    assert day.at(17 * 60 + 59).sent == []
    assert day.at(18 * 60 + 1).sent == [(18 * 60, "3")]


def test_who_changes_the_address_gets_at_the_new_one_what_was_waiting(day: Day) -> None:
    day.ann().hers("first").at(1).hers("a").hers("b").at(2).ann(email="new@example.com").at(61).hers("c").at(120)
    assert [(minute, to) for minute, to, _ in day.mails] == [
        (0, ANN),
        (31, "new@example.com"),
        (61, "new@example.com"),
    ]
    day.ends("to the old one", email=ANN).at(121)
    assert day.mails[3][:2] == (120, ANN)  # nobody's any more, so it has its own rhythm


def test_who_comes_back_to_an_old_address_gets_mails_there(day: Day) -> None:
    day.ann().product.prefers("u1", {"kinds": {"task_completion": False}})
    day.ann(email="new@example.com").at(1).product.prefers("u1", None)
    day.ann(email=ANN).hers("a")
    assert [(to, day.suppressed) for _, to, _ in day.mails] == [(ANN, [])]


def test_mails_for_a_users_address_are_the_users(day: Day) -> None:
    """One rhythm for a person, however they are addressed; and what waited before they were known goes along."""
    day.ends("a").at(1).ends("b", email="Ann@Example.com").at(2).ann(name="Ann Lee").hers("c")
    day.at(3).ends("d").at(100)
    assert day.sent == [(0, "a"), (33, "3")]
    assert "Hello Ann Lee" in day.text()


def test_a_deleted_user_gets_nothing_that_was_waiting(day: Day) -> None:
    day.ann().hers("first").at(1).hers("a").hers("b").product.no_user("u1")
    day.at(60)
    assert day.sent == [(0, "first")]
    assert sorted(day.suppressed) == [("a", "no_recipient"), ("b", "no_recipient")]


def test_a_user_who_is_deleted_and_comes_back_gets_mails_again(day: Day) -> None:
    day.ann().hers("first").product.no_user("u1")
    day.at(40).ann().hers("a").at(41).hers("b").hers("c").at(100)
    assert day.sent == [(0, "first"), (40, "a"), (71, "2")]


def test_a_revoked_superuser_gets_no_more_alerts(day: Day) -> None:
    day.product.user("u1", email=ANN, is_superuser=True)
    day.product.user("u2", email="bob@example.com", is_superuser=True)
    task = {"expected_statuses": ["Completed"], "lookback_hours": 1}
    day.product.monitor("watch", [{"never-ran": task}], interval={"every": 20, "period": "minutes"})
    day.at(21).product.user("u1", email=ANN, is_superuser=False)
    day.at(61)
    assert sorted((to, minute) for minute, to, _ in day.mails) == [
        (ANN, 20),
        *(("bob@example.com", m) for m in (20, 40, 60)),
    ]


def test_an_address_of_two_users_is_reported_and_is_neither_s_by_alias(
    day: Day, caplog: pytest.LogCaptureFixture
) -> None:
    day.ann().product.user("u2", email="Ann@example.com", name="Anne")
    assert any(ANN in message and "u1" in message and "u2" in message for message in caplog.messages)
    day.ends("to the address").hers("to u1").ends("to u2", email=None, user_id="u2")
    assert day.sent == [(0, "to the address"), (0, "to u1"), (0, "to u2")]  # each has a rhythm of its own
    assert [mail.mailbox for mail in day.product.relay.mails] == [f"address:{ANN}", "user:u1", "user:u2"]
    day.product.prefers("u1", {"email": False})
    day.ends("to the address again")  # neither gets it, but the inbox is hers as well
    assert day.suppressed == [("to the address again", "opted_out_user")]
    day.product.no_user("u2")
    day.ends("of u1 alone")
    assert day.suppressed[1:] == [("of u1 alone", "opted_out_user")]


def test_what_was_read_elsewhere_is_taken_out_of_the_summary(day: Day) -> None:
    day.ends("first").at(1).ends("a").ends("b").ends("c")
    [read, also, _] = day.product.statuses("batched")
    day.product.read(read["notification_id"])
    day.product.read(read["notification_id"])
    day.product.read("something else")
    assert day.suppressed == [("a", "read")]
    day.product.read(also["notification_id"])
    assert day.at(60).sent == [(0, "first"), (31, "c")]


def test_a_summary_that_was_read_to_its_end_is_not_sent(day: Day) -> None:
    day.ends("first").at(1).ends("a").ends("b")
    for batched in day.product.statuses("batched"):
        day.product.read(batched["notification_id"])
    assert day.at(60).sent == [(0, "first")]


def test_who_unsubscribes_is_on_record_and_gets_no_more_of_it_at_once(day: Day) -> None:
    day.ann().hers("a").at(1).hers("b").unsubscribes("user:u1", "task_completion", organization_id=None)
    [record] = day.product.engine.records(USER_PREFERENCES)
    assert record.key == b"u1"
    assert record.json()["kinds"] == {"task_completion": False}
    day.hers("c").at(60)
    assert day.sent == [(0, "a")]
    assert day.suppressed == [("c", "opted_out_kind"), ("b", "opted_out_kind")]


def test_a_digests_link_unsubscribes_from_what_it_is_about_and_keeps_the_rest(day: Day) -> None:
    day.product.prefers(ANN, {"digest": {"window": "1h"}, "organizations": {"org-b": {"email": False}}})
    day.unsubscribes(f"address:{ANN}", "task_completion", organization_id="org-a", whole_organization=True)
    *_, record = day.product.engine.records(USER_PREFERENCES)
    assert record.key == ANN.encode()
    assert record.json()["organizations"] == {"org-a": {"email": False}, "org-b": {"email": False}}
    assert record.json()["digest"] == {"window": "1h"}
    day.ends("a", organization_id="org-a").ends("b", organization_id="org-b").ends("c", organization_id="org-c")
    assert day.sent == [(0, "c")]


def test_a_mail_that_waits_for_its_relay_does_not_go_to_who_has_unsubscribed_by_then(day: Day) -> None:
    day.product.relay.is_down = True
    day.ends("a").at(1).unsubscribes(f"address:{ANN}", "task_completion")
    day.product.relay.is_down = False
    day.at(200)
    assert day.sent == []
    assert day.suppressed == [("a", "opted_out_kind")]


def test_of_a_summary_that_waits_for_its_relay_the_unwanted_part_is_taken_out(day: Day) -> None:
    day.ann().hers("first").at(1).hers("a", organization_id="org-a").hers("b").hers("c")
    day.product.relay.is_down = True
    day.at(40).product.prefers("u1", {"organizations": {"org-a": {"email": False}}})
    day.product.relay.is_down = False
    day.at(200)
    assert [total for _, total in day.sent] == ["first", "2"]
    assert ("a", "opted_out_organization") in day.suppressed


def test_an_organization_is_switched_off_for_mails_that_wait_for_their_relay_too(day: Day) -> None:
    day.product.relay.is_down = True
    day.ends("a", organization_id="org-a").at(1).product.prefers("organization:org-a", {"email": False})
    day.product.relay.is_down = False
    assert day.at(200).sent == []
    assert day.suppressed == [("a", "organization_off")]


def test_an_event_of_an_organization_the_user_is_not_in_is_suppressed(day: Day) -> None:
    day.ann(organizations=["org-a"]).hers("a", organization_id="org-a").hers("b", organization_id="org-b")
    assert day.sent == [(0, "a")]
    assert day.suppressed == [("b", "cross_organization")]


def test_who_leaves_an_organization_gets_nothing_of_it_that_was_waiting(day: Day) -> None:
    day.ann(organizations=["org-a", "org-b"]).hers("first").at(1)
    day.hers("a", organization_id="org-a").hers("b", organization_id="org-b").hers("c")
    assert day.ann(organizations=["org-b"]).at(60).sent == [(0, "first"), (31, "2")]
    assert day.suppressed == [("a", "cross_organization")]
