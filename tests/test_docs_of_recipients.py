"""docs/recipients.md shows how an unsubscribe is taken back with records that can be used as they stand."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from streamnotify.wire.user_preferences import UserPreferences, parse, preferences_in, public_preferences

PAGE = (Path(__file__).parents[1] / "docs" / "recipients.md").read_text("utf-8")


def record(pattern: str) -> UserPreferences:
    """The page's one record of u1 that stands so."""
    [found] = re.findall(pattern, PAGE, re.MULTILINE)
    return parse(found.encode())


def test_the_record_that_is_shown_is_one_that_a_mailbox_publishes() -> None:
    shown = record(r"^u1\|(\{.*\})$")
    assert public_preferences(preferences_in(shown), shown.revision) == shown


def test_the_record_that_takes_one_back_lacks_only_that_and_the_revision() -> None:
    before, after = record(r"^u1\|(\{.*\})$"), record(r"^echo 'u1\|(\{.*\})' \|$")
    assert preferences_in(before).kinds == {"task_completion": False}
    assert preferences_in(after) == replace(preferences_in(before), kinds={})
    assert after.revision is None
