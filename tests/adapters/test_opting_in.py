"""What tasks may say about who is told."""

from __future__ import annotations

from typing import Any

import pytest

from streamnotify.adapters.opting_in import id_in, notify_of
from streamnotify.sdk import Notify


@pytest.mark.parametrize(
    ("wish", "notify"),
    [
        (None, None),
        (False, None),
        (True, Notify()),
        ({}, Notify()),
        ({"email": "ann@example.com", "on": ["failure"]}, {"email": "ann@example.com", "on": ["failure"]}),
        (Notify(template="nightly"), Notify(template="nightly")),
    ],
)
def test_notify_may_be_all_that_an_event_may_have_there(wish: Any, notify: Any) -> None:
    made = notify_of(wish)
    assert made == (notify if not isinstance(notify, dict) else Notify(**notify))


def test_a_misspelt_field_is_left_out_and_named(caplog: pytest.LogCaptureFixture) -> None:
    assert notify_of({"emial": "ann@example.com", "urgent": True}) == Notify(urgent=True)
    assert "['emial']" in caplog.text


@pytest.mark.parametrize(
    ("field", "value"), [("email", "ann"), ("email", 7), ("on", "failure"), ("on", ["failed"]), ("on", [{}])]
)
def test_what_workers_would_refuse_is_left_out_and_named(
    field: str, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """With it every event of the run would be a dead letter, and monitors would not see the run."""
    assert notify_of({field: value, "urgent": True}) == Notify(urgent=True)
    assert f"notify.{field} is {value!r}" in caplog.text


def test_an_id_is_text_and_zero_is_one() -> None:
    assert [id_in({"user_id": value}, "user_id") for value in (0, "u-1", None)] == ["0", "u-1", None]
    assert id_in({}, "user_id") is None
