"""``subject_template``: what it can do and what it cannot reach."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnotify.render.subject import SUBJECT_LIMIT, format_line, subject_line

VARIABLES: dict[str, object] = {
    "task_name": "nightly report",
    "status": "success",
    "total": 12,
    "nothing": None,
    "many": ["a"],
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Task Complete: {task_name} - {status.title()}", "Task Complete: nightly report - Success"),
        ("{status.upper()} {status.lower()} {task_name.capitalize()}", "SUCCESS success Nightly report"),
        ("{total} of {{all}}", "12 of {all}"),
        ("no variables", "no variables"),
        ("", ""),
    ],
)
def test_names_and_four_methods_are_filled_in(template: str, text: str) -> None:
    assert format_line(template, VARIABLES) == text


@pytest.mark.parametrize(
    "template",
    [
        "{unknown}",
        "{nothing}",
        "{many}",
        "{task_name.__class__}",
        "{task_name.__class__()}",
        "{task_name[0]}",
        "{task_name!r}",
        "{task_name:>9999999}",
        "{task_name.format()}",
        "{task_name.title}",
        "{task_name.title().upper()}",
        "{}",
        "{0}",
        "{ task_name }",
        "{task_name",
        "task_name}",
        "{{task_name}",
    ],
)
def test_nothing_else_is_reachable(template: str) -> None:
    assert format_line(template, VARIABLES) is None


@given(st.text())
def test_a_subject_is_one_clean_line_of_at_most_120_characters(text: str) -> None:
    subject = subject_line(text)
    assert len(subject) <= SUBJECT_LIMIT
    assert subject == " ".join(subject.split())
    assert subject.isprintable() or any(not c.isprintable() for c in text)
    assert not set(subject) & set("\r\n\x00\x85\u2028\u2029\u202e\u2066")


def test_a_long_subject_keeps_its_beginning_and_its_end() -> None:
    subject = subject_line(f"Task Completed: {'very-long-name ' * 20} - Failed")
    assert subject.startswith("Task Completed: very-long-name")
    assert subject.endswith("- Failed")
    assert "…" in subject
    assert len(subject) <= SUBJECT_LIMIT


def test_cutting_tears_no_accent_and_no_joined_emoji_apart() -> None:
    family = "👩\u200d👩\u200d👧"
    for length in range(60, 90):
        subject = subject_line("x" * length + family + "e\u0301" + "y" * 100)
        kept = subject.partition("…")[0].lstrip("x")
        assert kept in ("", family, family + "e\u0301", family + "e\u0301" + "y" * kept.count("y"))
