"""docs/mails.md tells what is so."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from email import message_from_bytes
from pathlib import Path

import pytest

from streamnotify.devtools.mail_lint import faults
from streamnotify.devtools.samples import NOW, RECIPIENT, sample, sample_mail, samples_of
from streamnotify.render.alert_variables import OF_ALERTS, OF_HEALTH
from streamnotify.render.digest_variables import OF_DIGESTS, Item, Section
from streamnotify.render.policy import RenderPolicy
from streamnotify.render.renderer import Renderer
from streamnotify.render.variables import DECLARED
from tests.render.reading import html_of, links, text_of, words

PAGE = (Path(__file__).parents[2] / "docs" / "mails.md").read_text("utf-8")
POLICY = RenderPolicy("noreply@example.com", frontend_url="https://app.example.com")


EXAMPLES = dict(
    zip(
        ("weekly_report.html", "weekly_report.txt", "task_status_alert.html", "task_status_alert.txt"),
        re.findall(r"```jinja\n(.*?)```", PAGE, re.DOTALL),
        strict=True,
    )
)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A template directory with the page's examples."""
    for name, source in EXAMPLES.items():
        (tmp_path / name).write_text(source)
    return tmp_path


@pytest.mark.parametrize("template", ["weekly_report", "task_status_alert"])
def test_preview_finds_no_fault_in_the_examples(own: Path, template: str) -> None:
    for name in samples_of(template):
        mail = sample_mail(Renderer(POLICY, own), name, template)
        assert (mail.problems, faults(html_of(mail), text_of(mail))) == ((), [])


def test_the_example_template_shows_the_names_of_its_result(own: Path) -> None:
    notification = sample("success", "weekly_report")
    notification.variables.update({"report_name": "Week 3", "report_url": "https://app.example.com/weeks/3"})
    mail = Renderer(POLICY, own).task_mail(notification, RECIPIENT, NOW)
    assert (mail.problems, faults(html_of(mail), text_of(mail))) == ((), [])
    assert "Week 3" in words(html_of(mail))
    assert "https://app.example.com/weeks/3" in links(html_of(mail))
    assert "- Report: Week 3\n- Link: https://app.example.com/weeks/3\n" in text_of(mail)


def test_the_example_alert_has_its_own_words(own: Path) -> None:
    mail = sample_mail(Renderer(POLICY, own), "dependents", "task_status_alert")
    assert "On call: Sam, https://wiki.example.com/monitoring" in words(html_of(mail))
    assert "Sam, https://wiki.example.com/monitoring\n\nMay fail:\n" in text_of(mail)


def test_one_subject_for_alert_and_recovery_makes_one_thread_where_subjects_count(tmp_path: Path) -> None:
    threads = set()
    for template in ("task_status_alert", "task_status_recovery"):
        (tmp_path / f"{template}.subject").write_text("Status of {{ task_name }}\n")
    for template in ("task_status_alert", "task_status_recovery"):
        headers = message_from_bytes(sample_mail(Renderer(POLICY, tmp_path), "status-mismatch", template).content)
        threads.add((headers["Subject"], headers["References"]))
    [(subject, thread)] = threads
    assert subject.startswith("Status of ")
    assert thread


def test_the_example_brand_is_valid(tmp_path: Path) -> None:
    source = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert source
    assert json.loads(source[1])["name"] == "ACME"
    (tmp_path / "organizations" / "acme").mkdir(parents=True)
    (tmp_path / "organizations" / "acme" / "brand.json").write_text(source[1])
    assert Renderer(POLICY, tmp_path).organizations() == ["acme"]


def test_every_variable_and_template_is_listed() -> None:
    listed = set(re.findall(r"`(\w+)`", PAGE))
    assert {*DECLARED, *OF_ALERTS, *OF_HEALTH, *OF_DIGESTS} | {
        "brand",
        "unsubscribe_url",
        "preferences_url",
        "subject",
    } <= listed
    assert {field.name for part in (Item, Section) for field in fields(part)} | {"more"} <= listed
    assert set(Renderer(POLICY).library.names()) <= listed
