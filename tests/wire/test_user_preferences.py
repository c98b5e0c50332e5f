"""user-preferences: what a record may say, what is said about a wrong one, and the way back from the rules' view."""

from __future__ import annotations

import contextlib
import json
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnotify.domain.digest_wishes import DigestWish, QuietHours
from streamnotify.domain.preferences import MANDATORY_KINDS, Preferences
from streamnotify.errors import BadRecord
from streamnotify.wire.schemas import schema_text
from streamnotify.wire.topics import USER_PREFERENCES
from streamnotify.wire.user_preferences import (
    LONGEST_WINDOW,
    MOST_BYTES,
    MOST_NAMED,
    parse,
    parse_organization,
    preferences_in,
    public_preferences,
    without_effect,
)

TOPICS_PAGE = Path(__file__).parents[2] / "docs" / "topics.md"
VALID = jsonschema.Draft202012Validator(json.loads(schema_text("user-preferences"))).is_valid


def read(record: Any) -> Preferences:
    """A record as the rules see it."""
    return preferences_in(parse(json.dumps(record).encode()))


def refused(record: Any) -> BadRecord:
    with pytest.raises(BadRecord) as refusal:
        read(record)
    return refusal.value


@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        ({}, Preferences()),
        (dict.fromkeys(("email", "organizations", "kinds", "digest", "quiet_hours")), Preferences()),
        ({"email": False}, Preferences(email=False)),
        (
            {"organizations": {"a": {"email": False}, "b": {"email": True}, "c": {"email": None}, "d": {}, "e": None}},
            Preferences(organizations={"a": False, "b": True}),
        ),
        ({"kinds": {"a": False, "b": True, "c": None}}, Preferences(kinds={"a": False, "b": True})),
        ({"digest": False}, Preferences(digest=DigestWish(timedelta()))),
        ({"digest": {"window": "0"}}, Preferences(digest=DigestWish(timedelta()))),
        ({"digest": {"window": "1h"}}, Preferences(digest=DigestWish(timedelta(hours=1)))),
        ({"digest": {"window": "90"}}, Preferences(digest=DigestWish(timedelta(seconds=90)))),
        ({"digest": {"window": "7d"}}, Preferences(digest=DigestWish(LONGEST_WINDOW))),
        ({"digest": "daily at 08:00"}, Preferences(digest=DigestWish(daily_at=time(8)))),
        ({"digest": "daily at 8:05"}, Preferences(digest=DigestWish(daily_at=time(8, 5)))),
        ({"quiet_hours": {"from": "22:00", "to": "07:00"}}, Preferences(quiet_hours=QuietHours(time(22), time(7)))),
        (
            {"quiet_hours": {"from": "00:00", "to": "23:59", "timezone": "Asia/Tokyo"}},
            Preferences(quiet_hours=QuietHours(time(0), time(23, 59), "Asia/Tokyo")),
        ),
        ({"unknown": {"anything": 1}, "revision": 3}, Preferences()),
    ],
)
def test_a_record_is_read(record: dict[str, Any], wanted: Preferences) -> None:
    assert read(record) == wanted
    assert VALID(record)


DIGEST = '{"window": "1h"}, "daily at 08:00" or false is allowed'
HOURS = '{"from": "22:00", "to": "07:00"} or null is allowed'


@pytest.mark.parametrize(
    ("record", "field", "reason"),
    [
        ({"email": "no"}, "email", 'true or false is allowed, not "no"'),
        ({"organizations": ["org-a"]}, "organizations", '{"org-a": {"email": false}} is allowed'),
        ({"organizations": {"org-a": False}}, "organizations.org-a", '{"email": false} is allowed'),
        ({"organizations": {"org-a": {"email": 0}}}, "organizations.org-a.email", "true or false is allowed, not 0"),
        ({"kinds": {"Nightly run": "off"}}, "kinds.Nightly run", 'true or false is allowed, not "off"'),
        ({"kinds": ["task_completion"]}, "kinds", '{"task_completion": false} is allowed'),
        ({"digest": True}, "digest", DIGEST),
        ({"digest": 0}, "digest", DIGEST),
        ({"digest": []}, "digest", DIGEST),
        ({"digest": "weekly"}, "digest", DIGEST),
        ({"digest": "off"}, "digest", DIGEST),
        ({"digest": "daily at 24:00"}, "digest", DIGEST),
        ({"digest": "daily at 08:00 "}, "digest", DIGEST),
        ({"digest": {}}, "digest.window", "required"),
        ({"digest": {"windw": "1h"}}, "digest.window", "required"),
        ({"digest": {"window": "1 week"}}, "digest.window", "a duration such as 30m"),
        ({"digest": {"window": "-1h"}}, "digest.window", "a duration such as 30m"),
        ({"digest": {"window": "169h"}}, "digest.window", "at most 7d is allowed"),
        ({"quiet_hours": "22:00-07:00"}, "quiet_hours", HOURS),
        ({"quiet_hours": False}, "quiet_hours", HOURS),
        ({"quiet_hours": True}, "quiet_hours", HOURS),
        ({"quiet_hours": {"from": "22:00"}}, "quiet_hours.to", "required"),
        ({"quiet_hours": {"from": "10pm", "to": "07:00"}}, "quiet_hours.from", "from 00:00 to 23:59"),
        ({"quiet_hours": {"from": "22:00", "to": "07:60"}}, "quiet_hours.to", "from 00:00 to 23:59"),
        ({"quiet_hours": {"from": "7:00", "to": "07:00"}}, "quiet_hours.to", "both 07:00; two different times"),
        (
            {"quiet_hours": {"from": "22:00", "to": "07:00", "timezone": "Europe/Rom"}},
            "quiet_hours.timezone",
            "did you mean Europe/Rome?",
        ),
        ({"revision": 0}, "revision", "greater than or equal to 1"),
    ],
)
def test_a_wrong_field_is_named_with_what_is_allowed(record: dict[str, Any], field: str, reason: str) -> None:
    refusal = refused(record)
    assert refusal.field == field
    assert reason in refusal.reason


@pytest.mark.parametrize(
    "record",
    [
        {"email": "no"},
        {"organizations": {"org-a": False}},
        {"digest": "weekly"},
        {"digest": {"window": "8d"}},
        {"quiet_hours": False},
        {"quiet_hours": {"from": "22:00", "to": "22:00"}},
        {"quiet_hours": {"from": "22:00", "to": "07:00", "timezone": "Europe/Rom"}},
    ],
)
def test_the_page_of_topics_shows_what_is_said(record: dict[str, Any]) -> None:
    assert f"\n{refused(record)}\n" in TOPICS_PAGE.read_text(encoding="utf-8")


def test_a_mailbox_stays_small_whatever_is_named() -> None:
    for field, each in (("organizations", {"email": False}), ("kinds", False)):
        assert refused({field: {f"{number}": each for number in range(MOST_NAMED + 1)}}).field == field
        assert getattr(read({field: {f"{number}": each for number in range(MOST_NAMED)}}), field)
        assert refused({field: {"x" * 256: each}}).field == f"{field}.{'x' * 255}"
    long = {f"{number:03}" + "é" * 100: {"email": False} for number in range(MOST_NAMED)}
    assert f"at most {MOST_BYTES} are allowed" in refused({"organizations": long}).reason
    assert refused({"organizations": long}).field == "organizations"


def test_a_mandatory_kind_cannot_be_turned_off_and_it_is_said() -> None:
    record = parse(b'{"kinds": {"service_health": false}}')
    assert preferences_in(record) == Preferences()
    assert without_effect(record) == ["kinds.service_health: cannot be turned off"]
    assert without_effect(parse(b'{"kinds": {"service_health": true, "a": false}}')) == []


def test_an_organizations_record_says_whether_there_are_mails() -> None:
    assert parse_organization(b'{"email": false}').email is False
    with pytest.raises(BadRecord) as refusal:
        parse_organization(b'{"email": "off"}')
    assert refusal.value.field == "email"


# Microseconds, because a window may be written with a fraction.
WINDOWS = st.integers(0, LONGEST_WINDOW // timedelta(microseconds=1)).map(lambda n: timedelta(microseconds=n))
CLOCKS = st.builds(time, st.integers(0, 23), st.integers(0, 59))
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter(lambda name: name not in MANDATORY_KINDS)
PREFERENCES = st.builds(
    Preferences,
    email=st.none() | st.booleans(),
    organizations=st.dictionaries(NAMES, st.booleans(), max_size=4),
    kinds=st.dictionaries(NAMES, st.booleans(), max_size=4),
    digest=st.none() | st.builds(DigestWish, window=WINDOWS) | st.builds(DigestWish, daily_at=CLOCKS),
    quiet_hours=st.none()
    | st.tuples(CLOCKS, CLOCKS, st.none() | st.sampled_from(["Europe/Rome", "UTC"]))
    .filter(lambda hours: hours[0] != hours[1])
    .map(lambda hours: QuietHours(*hours)),
)


@given(PREFERENCES, st.none() | st.integers(1, 2**63 - 1))
def test_what_is_published_is_read_back_as_the_same(preferences: Preferences, revision: int | None) -> None:
    value = USER_PREFERENCES.encode(public_preferences(preferences, revision))
    record = parse(value)
    assert (preferences_in(record), record.revision) == (preferences, revision)
    assert VALID(json.loads(value))


def test_more_than_may_be_named_can_still_be_published() -> None:
    many = Preferences(organizations={f"{number}": False for number in range(MOST_NAMED + 1)})
    assert len(json.loads(USER_PREFERENCES.encode(public_preferences(many)))["organizations"]) == MOST_NAMED + 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["email", "organizations", "kinds", "digest", "quiet_hours", "revision", "other"])


@given(st.dictionaries(FIELDS, JSON))
def test_whatever_comes_is_read_or_refused(record: dict[str, Any]) -> None:
    with contextlib.suppress(BadRecord):
        preferences_in(parse(json.dumps(record).encode()))
