"""users: what a person's record may look like, and what is said about one that cannot be read."""

from __future__ import annotations

import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnotify.errors import BadRecord
from streamnotify.wire.schemas import schema_text
from streamnotify.wire.user import MOST_ORGANIZATIONS, parse, profile_of
from streamnotify.wire.user_preferences import MOST_NAMED

WHOLE = {
    "user_id": "u1",
    "email": "ann@example.com",
    "name": "Ann",
    "email_verified": True,
    "is_active": True,
    "is_superuser": False,
    "organizations": ["org-a"],
    "timezone": "Europe/Rome",
    "locale": "en",
    "preferences": {
        "email": None,
        "organizations": {"org-a": {"email": False}},
        "kinds": {"task_completion": True},
        "digest": {"window": "1h"},
        "quiet_hours": {"from": "22:00", "to": "07:00", "timezone": "Asia/Tokyo"},
    },
}
VALID = jsonschema.Draft202012Validator(json.loads(schema_text("users"))).is_valid


def test_a_whole_record_is_read() -> None:
    user_id, user = parse(json.dumps(WHOLE).encode(), "u1")
    assert user_id == "u1"
    assert user.model_dump() == WHOLE
    assert VALID(WHOLE)


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ({}, "u1"),
        ({"user_id": None}, "u1"),
        ({"user_id": ""}, "u1"),
        ({"user_id": "u1"}, None),
        ({"user_id": "u1"}, ""),
        ({"user_id": "u1", "unknown": {"anything": 1}}, "u1"),
        (dict.fromkeys(WHOLE), "u1"),
        ({"preferences": {"organizations": {"org-a": None}, "kinds": {"task_completion": None}}}, "u1"),
    ],
)
def test_only_the_user_id_is_required_and_the_key_will_do(value: dict[str, Any], key: str | None) -> None:
    assert parse(json.dumps(value).encode(), key)[0] == "u1"
    assert VALID(value)


def test_an_integer_is_a_user_id() -> None:
    assert parse(b'{"user_id": 42}', "42")[0] == "42"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"user_id": "u2"}, "user_id"),
        ({"user_id": 1.5}, "user_id"),
        ({"user_id": "x" * 256}, "user_id"),
        ({"email": 3}, "email"),
        ({"email": ["ann@example.com"]}, "email"),
        ({"name": {"first": "Ann"}}, "name"),
        ({"email_verified": "true"}, "email_verified"),
        ({"is_active": 1}, "is_active"),
        ({"is_superuser": "yes"}, "is_superuser"),
        ({"organizations": "org-a"}, "organizations"),
        ({"organizations": [None]}, "organizations[0]"),
        ({"timezone": 1}, "timezone"),
        ({"preferences": []}, "preferences"),
        ({"preferences": {"email": "no"}}, "preferences.email"),
        ({"preferences": {"digest": True}}, "preferences.digest"),
        ({"organizations": ["x"] * (MOST_ORGANIZATIONS + 1)}, "organizations"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], field: str) -> None:
    with pytest.raises(BadRecord) as refused:
        parse(json.dumps(WHOLE | change).encode(), "u1")
    assert refused.value.field == field
    assert not VALID(WHOLE | change) or change == {"user_id": "u2"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"preferences": {"quiet_hours": {"from": "1:00", "to": "01:00"}}}, "preferences.quiet_hours.to"),
        ({"preferences": {"kinds": {f"{n}" + "é" * 200: True for n in range(MOST_NAMED)}}}, "preferences.kinds"),
        ({"organizations": [f"{n}" + "é" * 200 for n in range(MOST_ORGANIZATIONS)]}, "organizations"),
    ],
)
def test_what_no_schema_can_say_is_refused_with_its_field(change: dict[str, Any], field: str) -> None:
    user_id, user = parse(json.dumps(WHOLE | change).encode(), "u1")
    with pytest.raises(BadRecord) as refused:
        profile_of(user_id, user)
    assert refused.value.field == field


def test_an_unknown_time_zone_gets_a_hint() -> None:
    with pytest.raises(
        BadRecord, match=r"timezone: unknown time zone 'europe/rome'; .* \(did you mean Europe/Rome\?\)"
    ):
        profile_of(*parse(b'{"timezone": "europe/rome"}', "u1"))


@pytest.mark.parametrize("key", [None, "", "x" * 256])
def test_a_record_must_say_whom_it_is_about(key: str | None) -> None:
    with pytest.raises(BadRecord) as refused:
        parse(b"{}", key)
    assert refused.value.field == "user_id"


def test_a_user_id_cannot_read_as_an_organization_on_user_preferences() -> None:
    """Its unsubscribe would switch the organization off for everybody."""
    with pytest.raises(BadRecord, match=r"user_id: one that begins with organization:"):
        parse(b'{"user_id": "organization:org-a"}', None)


def test_broken_json_is_no_event() -> None:
    with pytest.raises(BadRecord, match=r"not one whole JSON value \(.*\): one record per line$"):
        parse(b"{", "u1")


@pytest.mark.parametrize("value", [b"", b"null", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_user_at_all_is_refused(value: bytes) -> None:
    with pytest.raises(BadRecord):
        parse(value, "u1")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(list(WHOLE)), JSON), st.none() | st.text(max_size=4))
def test_whatever_comes_is_a_user_or_refused(value: dict[str, Any], key: str | None) -> None:
    try:
        user_id, user = parse(json.dumps(value).encode(), key)
        profile_of(user_id, user)
    except BadRecord:
        return
    assert user_id
