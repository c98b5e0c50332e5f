"""docs/mails.md tells what is so."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

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


def test_the_example_template_renders_with_a_result_that_has_its_names(tmp_path: Path) -> None:
    source = re.search(r"```jinja\n(.*?)```", PAGE, re.DOTALL)
    assert source
    text = "{{ task_name }} {{ recipient_name }} Weekly Report {{ link_url }} {{ report_name }} {{ report_url }}"
    (tmp_path / "weekly_report.html").write_text(source[1])
    (tmp_path / "weekly_report.txt").write_text(text)
    notification = sample("success", "weekly_report")
    notification.variables.update({"report_name": "Week 3", "report_url": "https://app.example.com/weeks/3"})
    mail = Renderer(POLICY, tmp_path).task_mail(notification, RECIPIENT, NOW)
    assert mail.problems == ()
    assert "Week 3" in words(html_of(mail))
    assert "https://app.example.com/weeks/3" in links(html_of(mail))
    assert all(fault.startswith("the text part lacks") for fault in faults(html_of(mail), text_of(mail)))


def test_the_example_alert_renders_and_has_its_own_words(tmp_path: Path) -> None:
    source = re.findall(r"```jinja\n(.*?)```", PAGE, re.DOTALL)[1]
    (tmp_path / "task_status_alert.html").write_text(source)
    for name in samples_of("task_status_alert"):
        mail = sample_mail(Renderer(POLICY, tmp_path), name, "task_status_alert")
        assert mail.problems == ()
        assert "On call: Sam, https://wiki.example.com/monitoring" in words(html_of(mail))
        assert all(fault.startswith("the text part lacks") for fault in faults(html_of(mail), text_of(mail)))


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
