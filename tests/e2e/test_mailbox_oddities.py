"""Odd names, odd times and odd owners of mailboxes, on the whole product in memory: nothing is lost, nothing leaks."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from streamnotify.stations.holding import RELEASING
from streamnotify.stations.owners import OWNER
from streamnotify.wire.commands import DeliverMail, SetOrganization
from streamnotify.wire.topics import DEAD_LETTERS, MAILBOXES, OUTBOX, USER_PREFERENCES
from tests.e2e.product import parsed, text_of
from tests.e2e.test_source_digests import ANN, Day

MALLORY = "mallory"
NOT_SURE: list[dict[str, Any]] = [{"email_verified": False}, {"is_active": False}]


@pytest.fixture
def day() -> Day:
    return Day()


def urgent_ones(day: Day, how_many: int, **fields: Any) -> None:
    """So many runs have failed of a user whom the directory does not know yet."""
    for number in range(how_many):
        day.hers(f"r{number}", status="Stopped", notify={"urgent": True}, **fields)


def nobody_lost(day: Day, how_many: int) -> bool:
    """Whether so many runs have been mailed, each once, and nothing else was."""
    runs = sorted(run for _, run in day.sent)
    return runs == sorted(f"r{number}" for number in range(how_many)) and not day.product.engine.records(DEAD_LETTERS)


def texts(day: Day, to: str) -> str:
    """What the mails to an address say."""
    return "\n".join(text_of(parsed(mail.content)) for mail in day.product.relay.mails if mail.to == to)


def test_all_that_is_held_for_a_user_is_mailed_when_they_become_known(day: Day) -> None:
    urgent_ones(day, 51, error="plain words " * 200)
    day.ann()
    assert nobody_lost(day, 51)
    assert {to for _, to, _ in day.mails} == {ANN}
    day.hers("later")
    assert day.suppressed == []


def test_what_is_held_and_too_much_for_one_step_is_mailed_in_several(day: Day) -> None:
    result = {"test_set_name": "\u4e2d<" * 12_000, "status_details": {f"{'x' * 200}{n}": 1 for n in range(200)}}
    urgent_ones(day, 60, error="<&\u4e2d" * 600, result=result, template="test_execution_summary")
    day.ann()
    assert "user:u1" in day.product.engine.state("mailboxes").items(RELEASING)
    assert 0 < len(day.sent) < 60
    day.at(1)
    assert nobody_lost(day, 60)
    assert day.product.engine.state("mailboxes").items(RELEASING) == {}


def test_what_is_held_for_a_user_never_comes_to_one_whose_name_is_the_beginning_of_theirs(day: Day) -> None:
    day.hers("of u1").ends("of evil", email=None, user_id="u1\0evil")
    assert day.ann().at(2).sent == [(0, "of u1")]
    assert [each["task_id"] for each in day.product.statuses("held")] == ["of u1", "of evil"]  # once each
    assert day.suppressed == [("of evil", "no_recipient")]


def test_what_is_pending_for_a_user_never_comes_to_one_whose_name_is_the_beginning_of_theirs(day: Day) -> None:
    day.ann().product.user("u1\0tasks\0z", email="evil@example.com")
    for number in range(3):
        day.hers(f"hers {number}", display_name="innocent")
        day.ends(f"theirs {number}", email=None, user_id="u1\0tasks\0z", display_name="SECRET")
    day.at(60)
    assert sorted(day.mails[2:]) == [
        (30, ANN, "2 completed — 2 task notifications"),
        (30, "evil@example.com", "2 completed — 2 task notifications"),
    ]
    assert "innocent" in texts(day, ANN)
    assert "SECRET" not in texts(day, ANN)
    assert "innocent" not in texts(day, "evil@example.com")


def test_a_record_that_could_not_know_of_an_unsubscribe_does_not_undo_it(day: Day) -> None:
    """While no worker ran, the application wrote a record, and then somebody followed a link: the mailbox hears of the
    click first, since the record comes to it by way of the directory."""
    day.ann()
    said = {"organizations": {"org-a": {"email": False}}, "quiet_hours": {"from": "22:00", "to": "07:00"}}
    day.product.engine.put(USER_PREFERENCES, said, key=b"u1", settle=False)
    day.unsubscribes("user:u1", "task_completion")
    *_, merged = day.product.engine.records(USER_PREFERENCES)
    assert merged.key == b"u1"
    record = merged.json()
    assert (record["kinds"], record["organizations"]) == ({"task_completion": False}, said["organizations"])
    assert record["quiet_hours"] == said["quiet_hours"]
    day.hers("a").hers("b", organization_id="org-a", notify={"template": "test_execution_summary"})
    assert day.suppressed == [("a", "opted_out_kind"), ("b", "opted_out_organization")]
    assert day.hers("c", notify={"template": "test_execution_summary"}).sent == [(0, "c")]


def test_a_record_written_after_an_unsubscribe_counts_and_the_log_says_what_it_takes_back(
    day: Day, caplog: pytest.LogCaptureFixture
) -> None:
    day.ann().unsubscribes("user:u1", "task_completion").unsubscribes(
        "user:u1", "task_completion", organization_id="org-a", whole_organization=True
    )
    caplog.clear()
    day.product.prefers("u1", {"organizations": {"org-a": {"email": True}}})
    assert caplog.messages == [
        "user:u1: a record on user-preferences takes back what was turned off: task_completion, organization org-a"
    ]
    assert day.hers("a", organization_id="org-a").sent == [(0, "a")]


@pytest.mark.parametrize("fields", NOT_SURE)
@pytest.mark.parametrize("is_first", [True, False])
def test_who_is_unverified_or_inactive_takes_an_address_from_nobody(
    day: Day, fields: dict[str, Any], is_first: bool, caplog: pytest.LogCaptureFixture
) -> None:
    day.product.prefers(MALLORY, {"email": False})
    if is_first:
        day.product.user(MALLORY, email=ANN, **fields)
    day.ann(name="Ann Lee")
    if not is_first:
        day.product.user(MALLORY, email=ANN, **fields)
    assert "Hello Ann Lee" in day.ends("a").text()
    day.product.prefers("u1", {"kinds": {"task_completion": False}})
    day.ends("b")
    assert day.suppressed == [("b", "opted_out_kind")]
    assert caplog.messages == []


def test_who_is_verified_in_time_shares_the_address_and_who_is_not_any_more_gives_it_back(
    day: Day, caplog: pytest.LogCaptureFixture
) -> None:
    day.ann(name="Ann Lee").product.user(MALLORY, email=ANN, email_verified=False)
    day.product.user(MALLORY, email=ANN, email_verified=True)
    assert len(caplog.messages) == 1
    assert "Hello Ann Lee" not in day.ends("a").text()
    day.product.user(MALLORY, email=ANN, email_verified=True, is_active=False)
    assert "Hello Ann Lee" in day.at(1).ends("b").text()


@pytest.mark.parametrize(("fields", "reason"), [(NOT_SURE[0], "unverified"), (NOT_SURE[1], "inactive")])
def test_an_address_that_only_somebody_unverified_or_inactive_claims_is_theirs(
    day: Day, fields: dict[str, Any], reason: str
) -> None:
    day.product.user(MALLORY, email=ANN, **fields)
    day.ends("a")
    assert (day.sent, day.suppressed) == ([], [("a", reason)])
    day.product.no_user(MALLORY)
    assert day.ends("b").sent == [(0, "b")]


@pytest.mark.parametrize("how", ["profile", "record"])
@pytest.mark.parametrize("left", ["moved", "gone", "wants it again"])
def test_what_one_of_its_users_refuses_is_refused_at_a_shared_address_until_it_is_theirs_no_more(
    day: Day, how: str, left: str
) -> None:
    refuses = {"organizations": {"org-a": {"email": False}}, "kinds": {"test_execution_summary": False}}
    day.ann().product.user("u2", email="Ann@Example.com", **({"preferences": refuses} if how == "profile" else {}))
    if how == "record":
        day.product.prefers("u2", refuses)
    # A third one: with u2 gone the address is still of two.
    day.product.user("u3", email=ANN)
    day.ends("a", organization_id="org-a").ends("b", notify={"template": "test_execution_summary"})
    assert day.suppressed == [("a", "opted_out_organization"), ("b", "opted_out_kind")]
    assert day.ends("c").hers("d", organization_id="org-a").sent == [(0, "c"), (0, "d")]
    if left == "moved":
        day.product.user("u2", email="elsewhere@example.com", **({"preferences": refuses} if how == "profile" else {}))
    elif left == "gone":
        day.product.no_user("u2")
    else:
        day.product.user("u2", email=ANN)
        day.product.prefers("u2", None)
    assert day.at(100).ends("e", organization_id="org-a").sent[2:] == [(100, "e")]


def test_a_mail_that_waits_for_its_relay_does_not_go_to_who_claims_the_address_and_wants_none(day: Day) -> None:
    day.product.relay.is_down = True
    day.ends("a").ann(preferences={"email": False}).product.relay.is_down = False
    assert day.at(200).sent == []
    assert day.suppressed == [("a", "opted_out_user")]


@pytest.mark.parametrize(
    ("then", "reason"),
    [
        ({"preferences": {"email": False}}, "opted_out_user"),
        ({"is_active": False}, "inactive"),
        ({"email_verified": False}, "unverified"),
        (None, "inactive"),
    ],
)
def test_a_mail_to_a_former_address_does_not_go_to_who_wants_none_or_is_gone(
    day: Day, then: dict[str, Any] | None, reason: str
) -> None:
    day.ann().product.relay.is_down = True
    day.hers("a").ann(email="new@example.com")
    if then is None:
        day.product.no_user("u1")
    else:
        day.ann(email="new@example.com", **then)
    day.product.relay.is_down = False
    assert day.at(200).sent == []
    assert day.suppressed == [("a", reason)]


def test_when_a_user_is_deleted_what_was_sent_to_their_address_goes_there_and_what_was_sent_to_them_to_nobody(
    day: Day,
) -> None:
    day.ann(name="Ann Lee").hers("first").at(1).ends("by address").hers("by name").product.no_user("u1")
    assert day.at(20).sent == [(0, "first"), (1, "by address")]
    assert day.mails[1][1] == ANN
    assert "Ann Lee" not in day.text()
    assert [(held["task_id"], held["next_at"]) for held in day.product.statuses("held")] == [
        ("by name", "2024-01-15T12:02:00Z")
    ]
    assert day.suppressed == [("by name", "no_recipient")]


def test_when_a_user_is_deleted_an_alert_to_their_address_goes_there(day: Day) -> None:
    task = {"expected_statuses": ["Completed"], "notify_to": [ANN], "lookback_hours": 1}
    day.ann().product.monitor("watch", [{"never-ran": task}], interval={"every": 1, "period": "minutes"})
    day.at(8)  # five go at once
    waiting = len(day.product.statuses("batched"))
    day.product.monitor("watch", None)
    day.product.no_user("u1")
    assert waiting > 1
    # The address has a rhythm of its own, and starts with five at once, too.
    assert day.at(9).sent == [*day.sent[:5], *((8, run) for _, run in day.sent[5:])]
    assert len(day.sent) == 5 + waiting
    assert day.suppressed == []


def test_when_a_user_is_deleted_the_number_of_what_is_not_kept_of_their_digest_is_reported(day: Day) -> None:
    day.ann().hers("first").at(1)
    for number in range(300):
        day.hers(f"r{number}", status="Stopped", organization_id="org-a", error="e" * 300)
    day.product.no_user("u1")
    day.at(5)
    suppressed = day.product.statuses("suppressed")
    assert {(each["reason"], each["kind"], each["organization_id"]) for each in suppressed} == {
        ("no_recipient", "task_completion", "org-a")
    }
    [beside] = [each for each in suppressed if "count" in each]
    assert 0 < beside["count"] < 300
    assert beside["digest_id"] == day.product.statuses("batched")[0]["digest_id"]
    assert beside["count"] + len(suppressed) - 1 == 300
    assert day.sent == [(0, "first")]


def test_a_digest_that_is_given_back_to_a_user_who_is_gone_is_decided_about_anew(day: Day) -> None:
    day.ann().hers("first").at(1).ends("by address").hers("by name")
    for number in range(300):
        day.hers(f"r{number}", status="Stopped", organization_id="org-a", error="e" * 300)
    day.product.relay.is_down = True
    day.at(35).product.no_user("u1")
    day.product.relay.is_down = False
    day.at(200)
    kept = {each["task_id"] for each in day.product.statuses("held")}
    others = [each for each in day.product.statuses("suppressed") if each["kind"] == "task_completion"]
    assert sum(each.get("count", 1) for each in others) + len(day.sent) - 1 == 302
    assert {each["reason"] for each in others} == {"no_recipient"}
    assert 0 < len(kept) < 301
    assert day.sent[0] == (0, "first")


def test_a_small_digest_that_is_given_back_to_a_user_who_is_gone_goes_to_the_address_that_was_given(day: Day) -> None:
    day.ann().hers("first").at(1).ends("by address").hers("by name")
    day.product.relay.is_down = True
    day.at(35).product.no_user("u1")
    day.product.relay.is_down = False
    day.at(200)
    assert [(to, run) for (_, to, _), (_, run) in zip(day.mails, day.sent, strict=True)] == [
        (ANN, "first"),
        (ANN, "by address"),
    ]
    assert ("by name", "no_recipient") in day.suppressed


def test_an_address_of_hundreds_of_users_is_a_small_row_and_one_warning(
    day: Day, caplog: pytest.LogCaptureFixture
) -> None:
    names = [f"user-{number:08}-0000-4000-8000-000000000000" for number in range(300)]
    for name in names:
        day.product.user(name, email=ANN)
    row = day.product.engine.state("mailboxes").rows[OWNER.key(f"address:{ANN}")]
    assert len(row) < 300
    assert len(caplog.messages) == 1
    assert day.ends("a").sent == [(0, "a")]
    for name in names[:-1]:
        day.product.no_user(name)
    day.product.prefers(names[-1], {"email": False})
    day.ends("b")
    assert day.suppressed == [("b", "opted_out_user")]  # the last one's alone


def test_what_hundreds_of_users_of_one_address_refuse_does_not_make_its_row_large(day: Day) -> None:
    for number in range(100):
        day.product.user(f"u{number}", email=ANN, preferences={"organizations": {f"org-{number}": {"email": False}}})
    assert len(day.product.engine.state("mailboxes").rows[OWNER.key(f"address:{ANN}")]) < 2_000


def test_what_somebody_unverified_refuses_is_not_refused_for_those_who_share_the_address(day: Day) -> None:
    day.ann().product.user("u2", email=ANN)
    day.product.user("u3", email=ANN, email_verified=False, preferences={"email": False})
    assert day.ends("a").sent == [(0, "a")]
    day.product.user("u3", email=ANN, preferences={"email": False})
    assert day.at(40).ends("b").suppressed == [("b", "opted_out_user")]


def test_mails_of_a_user_without_an_address_go_to_the_ones_that_are_given_and_are_never_mixed(day: Day) -> None:
    day.product.user("service", name="Service")
    people = [f"{letter}@example.com" for letter in "abc"]
    for round_ in range(3):
        for person in people:
            day.ends(f"{round_} for {person}", email=person, user_id="service", display_name=f"for {person}")
    day.at(60)
    assert sorted((minute, to) for minute, to, _ in day.mails) == sorted((at, to) for to in people for at in (0, 30))
    assert [total for _, total in day.sent[3:]] == ["2", "2", "2"]
    for person in people:
        said = texts(day, person)
        assert [other for other in people if f"for {other}" in said] == [person]


def test_what_a_user_without_an_address_refuses_is_not_sent_to_a_given_one_either(day: Day) -> None:
    day.product.user("service", name="Service", preferences={"organizations": {"org-a": {"email": False}}})
    day.ends("a", user_id="service", organization_id="org-a").ends("b", user_id="service", organization_id="org-b")
    day.product.prefers("service", {"email": False})
    day.ends("c", user_id="service", email="bob@example.com")
    assert day.sent == [(0, "b")]
    assert day.suppressed == [("a", "opted_out_organization"), ("c", "opted_out_user")]


def test_a_digest_handed_back_for_a_refusal_that_its_mailbox_does_not_know_of_waits(
    day: Day, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    engine, off = day.product.engine, SetOrganization("org-a", is_off=True)
    day.ann().hers("first").at(1).hers("a", organization_id="org-a").hers("b", organization_id="org-a")
    engine.put(OUTBOX, OUTBOX.encode(off))  # the mailboxes are told of it later
    day.at(60)
    mails = [record for record in engine.records(OUTBOX) if isinstance(decoded(record.value), DeliverMail)]
    assert len(mails) == 2  # the first one and the digest, once
    *_, waits = day.product.statuses("batched")
    assert (waits["count"], waits["next_at"]) == (2, "2024-01-15T13:01:00Z")
    engine.put(MAILBOXES, MAILBOXES.encode(off))
    assert day.at(100).sent == [(0, "first")]
    named = [each for each in day.suppressed if each[0] is not None]
    assert sorted(named) == [("a", "organization_off"), ("b", "organization_off")]


def decoded(value: bytes | None) -> Any:
    """A command of the outbox; None for a tick."""
    assert OUTBOX.decode is not None
    return OUTBOX.decode(value) if value else None
