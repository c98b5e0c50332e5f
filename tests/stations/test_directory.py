"""directory: from the records of people and what they want to what the mailboxes are told."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from streamnotify.domain.digest_wishes import DigestWish
from streamnotify.domain.preferences import Preferences, Profile
from streamnotify.errors import BadRecord
from streamnotify.stations import directory
from streamnotify.stations.context import Record
from streamnotify.testing.memory import MemoryEngine
from streamnotify.wire import dead_letter
from streamnotify.wire.commands import SetOrganization, SetPreferences, SetProfile
from streamnotify.wire.topics import DEAD_LETTERS, MAILBOXES, OUTBOX, USER_PREFERENCES, USERS, Topic
from tests.stations.fake_context import EVERYWHERE, FakeContext, FakeRecord, a_record

ANN = {"user_id": "u1", "email": "Ann@Example.com", "name": "Ann", "is_superuser": True}
PROFILE = Profile("u1", "Ann@example.com", "Ann", is_superuser=True)


def emitted(record: Record) -> list[tuple[Topic, Any, Any]]:
    """Topic, key and command of all that follows from a record."""
    ctx = FakeContext()
    directory.station().handle(record, ctx)
    return ctx.emitted


def told(record: Record) -> SetProfile:
    """The one thing a person's mailbox is told."""
    [(topic, key, command)] = emitted(record)
    assert isinstance(command, SetProfile)
    assert (topic, key) == (MAILBOXES, f"user:{command.user_id}")
    return command


def preferred(value: Any, key: str | None) -> FakeRecord:
    """A record of user-preferences; value None: without one."""
    data = None if value is None else json.dumps(value).encode()
    return FakeRecord(data, topic="prefix.user-preferences", key=None if key is None else key.encode())


@pytest.mark.parametrize("key", [b"u1", None, b""])
def test_a_persons_mailbox_is_told_who_they_are(key: bytes | None) -> None:
    assert told(a_record(ANN, key=key)) == SetProfile("u1", PROFILE)


def test_everything_in_a_persons_record_is_passed_on() -> None:
    record = {
        "email": "ann@example.com",
        "email_verified": False,
        "is_active": False,
        "organizations": ["org-b", "org-a", "org-b"],
        "timezone": "Europe/Rome",
        "locale": "it",
        "preferences": {"email": None, "organizations": {"org-a": {"email": False}}, "digest": {"window": "2h"}},
    }
    wanted = Profile(
        "u1",
        "ann@example.com",
        email_verified=False,
        is_active=False,
        organizations=("org-b", "org-a"),
        timezone="Europe/Rome",
        locale="it",
        preferences=Preferences(organizations={"org-a": False}, digest=DigestWish(timedelta(hours=2))),
    )
    assert told(a_record(record, key=b"u1")) == SetProfile("u1", wanted)


def test_what_is_null_or_empty_is_as_good_as_absent() -> None:
    nothing = {"email": "", "name": "", "timezone": "", "locale": "", "preferences": None, "is_active": None}
    assert told(a_record(nothing, key=b"u1")) == told(a_record({}, key=b"u1")) == SetProfile("u1", Profile("u1"))


@pytest.mark.parametrize("email", ["nobody", "ann@exam ple.com"])
def test_who_has_no_valid_address_is_in_the_directory_all_the_same_and_it_is_logged(
    email: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert told(a_record(ANN | {"email": email})) == SetProfile("u1", Profile("u1", name="Ann", is_superuser=True))
    assert caplog.messages == [f"user u1 gets no mails: {email!r} is no address"]


def test_a_record_without_value_removes_the_person_its_key_names() -> None:
    assert told(FakeRecord(None, key=b"u1")) == SetProfile("u1", None)


def test_a_cloudevent_is_opened() -> None:
    event = {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": ANN}
    assert told(a_record(event, key=b"u1")) == SetProfile("u1", PROFILE)
    [(_, key, command)] = emitted(preferred(event | {"data": {"email": False}}, "u1"))
    assert (key, command.preferences) == ("user:u1", Preferences(email=False))


def test_a_users_preferences_go_to_their_mailbox() -> None:
    said = SetPreferences("user:u1", Preferences(kinds={"task_completion": False}))
    assert emitted(preferred({"kinds": {"task_completion": False}}, "u1")) == [(MAILBOXES, "user:u1", said)]


def test_what_is_said_of_an_address_goes_to_the_address_and_to_the_user_whose_id_it_may_be() -> None:
    wanted = Preferences(email=False)
    assert emitted(preferred({"email": False}, "Ann@Example.com")) == [
        (MAILBOXES, mailbox, SetPreferences(mailbox, wanted))
        for mailbox in ("user:Ann@Example.com", "address:ann@example.com")
    ]


def test_an_address_is_told_by_the_name_that_mails_to_it_have() -> None:
    mailboxes = [key for _, key, _ in emitted(preferred({"email": False}, "ann@exämple.com"))]
    assert mailboxes == ["user:ann@exämple.com", "address:ann@xn--exmple-cua.com"]


def test_a_key_with_an_at_that_is_no_address_is_a_users() -> None:
    assert [key for _, key, _ in emitted(preferred({}, "ann@work@home"))] == ["user:ann@work@home"]


def test_preferences_without_value_are_taken_back() -> None:
    assert [command for *_, command in emitted(preferred(None, "ann@example.com"))] == [
        SetPreferences("user:ann@example.com", None),
        SetPreferences("address:ann@example.com", None),
    ]


def test_what_a_mailbox_has_published_itself_keeps_its_revision() -> None:
    [(_, _, command)] = emitted(preferred({"email": False, "revision": 7}, "u1"))
    assert command.revision == 7


@pytest.mark.parametrize(
    ("value", "is_off"), [({"email": False}, True), ({"email": True}, False), ({"email": None}, False), (None, False)]
)
def test_an_organization_is_switched_off_and_on_everywhere(value: Any, is_off: bool) -> None:
    command = SetOrganization("org-a", is_off)
    everywhere = [(MAILBOXES, EVERYWHERE, command), (OUTBOX, EVERYWHERE, command)]
    assert emitted(preferred(value, "organization:org-a")) == everywhere


@pytest.mark.parametrize(
    ("record", "field"),
    [
        (a_record(ANN | {"is_superuser": "yes"}), "is_superuser"),
        (a_record(ANN | {"timezone": "Europe/Rom"}), "timezone"),
        (a_record(ANN | {"preferences": {"digest": "hourly"}}), "preferences.digest"),
        (a_record(ANN, key=b"u2"), "user_id"),
        (a_record({}), "user_id"),
        (FakeRecord(None), "user_id"),
        (FakeRecord(b"{", key=b"u1"), None),
        (FakeRecord(b"{}", key=b"\xff"), None),
        (preferred({"email": "no"}, "u1"), "email"),
        (preferred({"quiet_hours": {"from": "22:00", "to": "22:00"}}, "u1"), "quiet_hours.to"),
        (preferred({"email": "no"}, "organization:org-a"), "email"),
        (preferred({"email": False}, "organization:"), None),
        (preferred({"email": False}, "organization:" + "x" * 256), None),
        (preferred({"email": False}, "x" * 256), None),
        (preferred({"email": False}, "@" + "x" * 320), None),
        (preferred({"email": False}, ""), None),
        (preferred({"email": False}, None), None),
        (preferred(None, None), None),
    ],
)
def test_a_record_that_cannot_be_read_is_refused_with_its_field(record: FakeRecord, field: str | None) -> None:
    ctx = FakeContext()
    with pytest.raises(BadRecord) as refusal:
        directory.station().handle(record, ctx)
    assert refusal.value.field == field
    assert ctx.emitted == []


def test_in_the_engine_a_bad_record_stops_nothing_and_its_dead_letter_names_the_field() -> None:
    engine = MemoryEngine([directory.station()])
    engine.put(USERS, {"is_superuser": "yes"}, key=b"u1", settle=False)
    engine.put(USERS, ANN, key=b"u1", settle=False)
    engine.put(USER_PREFERENCES, {"digest": {"window": "8d"}}, key=b"u1", settle=False)
    engine.put(USER_PREFERENCES, {"digest": {"window": "7d"}}, key=b"u1")
    letters = [dict(letter.headers) for letter in engine.records(DEAD_LETTERS)]
    assert [(each[dead_letter.STAGE], each[dead_letter.FIELD]) for each in letters] == [
        (b"directory", b"is_superuser"),
        (b"directory", b"digest.window"),
    ]
    decode = MAILBOXES.decode
    assert decode is not None
    week = Preferences(digest=DigestWish(timedelta(days=7)))
    assert [decode(record.value or b"") for record in engine.records(MAILBOXES)] == [
        SetProfile("u1", PROFILE),
        SetPreferences("user:u1", week),
    ]


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (a_record(ANN | {"is_superusr": True}), "'is_superusr' in user 'u1': did you mean is_superuser?"),
        (
            a_record(ANN | {"preferences": {"quiet_hour": {}}}),
            "'preferences.quiet_hour' in user 'u1': did you mean quiet_hours?",
        ),
        (
            preferred({"organisations": {}}, "u1"),
            "'organisations' in the preferences of 'u1': did you mean organizations?",
        ),
        (
            preferred({"organizations": {"org-a": {"emails": False}}}, "u1"),
            "'organizations.<id>.emails' in the preferences of 'u1': did you mean email?",
        ),
        (
            preferred({"quiet_hours": {"from": "22:00", "to": "07:00", "time_zone": "Europe/Rome"}}, "u1"),
            "'quiet_hours.time_zone' in the preferences of 'u1': did you mean timezone?",
        ),
        (
            preferred({"e-mail": False}, "organization:a"),
            "'e-mail' in the preferences of 'organization:a': did you mean email?",
        ),
        (
            a_record(ANN | {"preferences": {"timezone": "Europe/Rome"}}),
            "'preferences.timezone' in user 'u1': did you mean timezone beside preferences?",
        ),
        (
            preferred({"digest": {"window": "1h", "quiet_hours": None}}, "x" * 65),
            f"'digest.quiet_hours' in the preferences of '{'x' * 64}…': did you mean quiet_hours beside digest?",
        ),
        (
            preferred({"emial": False}, "u\n1"),
            r"'emial' in the preferences of 'u\n1': did you mean email?",
        ),
    ],
)
def test_a_misspelt_field_is_pointed_out_once(record: Record, said: str, caplog: pytest.LogCaptureFixture) -> None:
    handle = directory.station().handle
    for _ in range(3):
        handle(record, FakeContext())
    assert caplog.messages == [f"unknown field {said}"]


def test_a_name_misspelt_in_many_organizations_is_pointed_out_once(caplog: pytest.LogCaptureFixture) -> None:
    emitted(preferred({"organizations": {f"org-{number}": {"emial": False} for number in range(9)}}, "u1"))
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("kind", ["organisation", "Organization", "ORGANISATION", "organizations", "org", "Org"])
def test_a_key_that_nearly_names_an_organization_is_a_users_and_pointed_out_once(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    handle = directory.station().handle
    for name in ("org-a", "org-a", "org-b"):
        ctx = FakeContext()
        handle(preferred({"email": False}, f"{kind}:{name}"), ctx)
        assert [key for _, key, _ in ctx.emitted] == [f"user:{kind}:{name}"]
    assert caplog.messages == [f"key '{kind}:org-a' is taken for a user_id: did you mean organization:<id>?"]


@pytest.mark.parametrize("key", ["u1", "organisation", "sso:u1", "originals:7", ":", "organization:org-a"])
def test_other_keys_are_nothing_to_wonder_at(key: str, caplog: pytest.LogCaptureFixture) -> None:
    assert emitted(preferred({"email": False}, key))
    assert caplog.messages == []


def test_a_kind_close_to_a_known_one_is_pointed_out_once_and_counts(caplog: pytest.LogCaptureFixture) -> None:
    handle = directory.station().handle
    kinds = {"task_complete": False, "task_completion": False, "weekly": False, "task_status_recovery": True}
    for record in (preferred({"kinds": kinds}, "u1"), preferred({"kinds": kinds}, "u2")):
        ctx = FakeContext()
        handle(record, ctx)
        [(_, _, command)] = ctx.emitted
        assert command.preferences == Preferences(kinds=kinds)
    assert caplog.messages == ["kind 'task_complete' in the preferences of 'u1': did you mean task_completion?"]


def test_a_persons_kinds_are_looked_at_too(caplog: pytest.LogCaptureFixture) -> None:
    told(a_record(ANN | {"preferences": {"kinds": {"Task_Completion": False}}}))
    assert caplog.messages == ["kind 'Task_Completion' in user 'u1': did you mean task_completion?"]


def test_broken_json_is_told_to_hold_one_record_a_line() -> None:
    for record in (FakeRecord(b"{", key=b"u1"), FakeRecord(b"{", topic="user-preferences", key=b"u1")):
        with pytest.raises(BadRecord, match=r": one record per line$"):
            emitted(record)


def test_that_the_own_health_cannot_be_turned_off_is_said_and_the_rest_counts(caplog: pytest.LogCaptureFixture) -> None:
    kinds = {"service_health": False, "task_completion": False}
    [(_, _, command)] = emitted(preferred({"kinds": kinds}, "u1"))
    assert command.preferences == Preferences(kinds={"task_completion": False})
    assert told(a_record({"preferences": {"kinds": kinds}}, key=b"u1")).profile == Profile(
        "u1", preferences=command.preferences
    )
    assert caplog.messages == [
        "u1: kinds.service_health: cannot be turned off",
        "u1: preferences.kinds.service_health: cannot be turned off",
    ]
