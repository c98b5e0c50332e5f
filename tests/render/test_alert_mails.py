"""The mails about monitored tasks and our own outages, as their readers get them (SPEC section 5)."""

from __future__ import annotations

import email
import email.policy
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streamnotify.devtools.alert_samples import alert_sample, health_sample
from streamnotify.domain.alerts import ALERT, HEALTH, RECOVERY, AlertNotification, Verdict, WrongNow
from streamnotify.render.addresses import InvalidAddress
from streamnotify.render.alert_variables import OF_ALERTS, OF_HEALTH, alert_variables, health_variables
from streamnotify.render.policy import Brand, RenderPolicy
from streamnotify.render.renderer import RenderedMail, Renderer
from tests.render.a_notification import a_notification
from tests.render.reading import html_of, links, text_of, words

POLICY = RenderPolicy("noreply@mail.example.com", unsubscribe_mailto="stop@mail.example.com")
RENDERER = Renderer(POLICY)
NOW = datetime(2024, 1, 15, 14, 5, 3, tzinfo=UTC)
DUE = datetime(2024, 1, 15, 14, 5, tzinfo=UTC)


def an_alert(kind: str = ALERT, **fields: Any) -> AlertNotification:
    """``hourly_data_sync`` was Stopped and not Completed, but as ``fields`` say."""
    return replace(alert_sample("status-mismatch", kind), **fields)


def mail(renderer: Renderer = RENDERER, kind: str = ALERT, **fields: Any) -> RenderedMail:
    """The mail to the operators about :func:`an_alert`."""
    return renderer.alert_mail(an_alert(kind, **fields), "ops@example.com", NOW)


def parsed(rendered: RenderedMail) -> EmailMessage:
    """A mail as Python's parser understands its bytes."""
    return email.message_from_bytes(rendered.content, policy=email.policy.default)


def read(rendered: RenderedMail) -> tuple[str, str]:
    """What the text and the HTML say, with single spaces."""
    return " ".join(text_of(rendered).split()), words(html_of(rendered))


NONE_FOUND: dict[str, Any] = {"current_status": None, "started_at": None, "finished_at": None}


@pytest.mark.parametrize(
    ("kind", "fields", "subject"),
    [
        (ALERT, {}, "[ALERT] hourly_data_sync Status Check Failed"),
        (ALERT, NONE_FOUND, "[ALERT] hourly_data_sync Has Not Executed"),
        (RECOVERY, {"current_status": "Completed"}, "[RESOLVED] hourly_data_sync Status Check Passed"),
    ],
)
def test_the_subjects_are_the_sources(kind: str, fields: dict[str, Any], subject: str) -> None:
    rendered = mail(kind=kind, **fields)
    assert rendered.subject == parsed(rendered)["Subject"] == subject
    assert rendered.message_id == f"{kind}.{an_alert(kind).notification_id}@mail.example.com"
    assert rendered.problems == rendered.warnings == ()


def test_a_long_name_leaves_both_ends_of_the_subject() -> None:
    subject = mail(task_name="a_very_long_name_" * 20).subject
    assert len(subject) <= 120
    assert subject.startswith("[ALERT] a_very_long_name_")
    assert subject.endswith(" Status Check Failed")


def test_a_mismatch_says_what_was_found_and_what_was_expected() -> None:
    for said in read(mail(expected_statuses=("Completed", "Running"), lookback_hours=1.0)):
        for sentence in (
            "⚠️ Task Status Alert",
            "The latest execution of this task has status Stopped. Expected: Completed, Running.",
            "Action Required: Please investigate immediately.",
            "Last 1 hour(s)",
            "2024-01-15 13:30:00 UTC",
            "2024-01-15 13:52:42 UTC",
            "2024-01-15 14:05:00 UTC",
        ):
            assert sentence in said
        assert "Dependent" not in said
        assert "None" not in said


def test_no_execution_says_that_it_did_not_run_within_the_expected_time() -> None:
    for said in read(mail(**NONE_FOUND)):
        assert "No execution found" in said
        assert "This task did not run within the expected time" in said
        assert "Started at" not in said
        assert "Finished at" not in said
        assert "None" not in said


def test_a_running_task_has_no_row_for_its_end() -> None:
    for said in read(mail(current_status="Running", finished_at=None)):
        assert "Started at" in said
        assert "Finished at" not in said


@pytest.mark.parametrize(
    ("hours", "said"), [(1, "1"), (1.0, "1"), (1.5, "1.5"), (24, "24"), (840.0, "840"), (0.25, "0.25")]
)
def test_hours_are_said_as_people_write_them(hours: float, said: str) -> None:
    for part in read(mail(lookback_hours=hours)):
        assert f"Last {said} hour(s)" in part


def test_instants_are_in_utc_to_the_second() -> None:
    india = timezone(timedelta(hours=5, minutes=30))
    for part in read(mail(started_at=datetime(2024, 1, 15, 19, 0, 0, 123456, tzinfo=india))):
        assert "2024-01-15 13:30:00 UTC" in part


def test_a_box_names_the_dependents() -> None:
    for said in read(mail(dependent_tasks=("data_processing", "data_export"))):
        assert "⚠️ Dependent Tasks: These tasks may be delayed or fail: - data_processing - data_export" in said


def test_of_many_dependents_the_first_are_named() -> None:
    for said in read(mail(dependent_tasks=tuple(f"task-{n}" for n in range(25)))):
        assert "- task-19 … and 5 more" in said


def test_a_recovery_says_so_and_asks_for_nothing() -> None:
    for said in read(mail(kind=RECOVERY, current_status="Completed", dependent_tasks=("data_export",))):
        assert "✅ Task Status Resolved" in said
        assert "The status of this task is as expected again: Completed." in said
        assert "These tasks may have been delayed, or have failed: - data_export" in said
        assert "Action Required" not in said


def test_alert_and_recovery_of_a_task_are_one_thread_and_others_are_not() -> None:
    def thread(rendered: RenderedMail) -> str:
        headers = parsed(rendered)
        assert headers["References"] == headers["In-Reply-To"]
        assert headers["References"].endswith("@mail.example.com>")
        return str(headers["References"])

    ours = thread(mail())
    assert ours == thread(mail(kind=RECOVERY)) == thread(mail(check_time=DUE + timedelta(hours=1), **NONE_FOUND))
    assert "ops" not in ours
    assert ours != thread(mail(task_name="other"))
    assert ours != thread(mail(monitor="other"))
    assert ours != thread(RENDERER.alert_mail(an_alert(), "ann@example.com", NOW))
    assert ours == thread(RENDERER.alert_mail(an_alert(), "Ops@example.com", NOW))


def test_an_alert_can_be_unsubscribed_from_and_a_report_of_an_outage_cannot() -> None:
    assert "task_status_alert" in parsed(mail())["List-Unsubscribe"]
    assert "mailto:stop@mail.example.com" in " ".join(links(html_of(mail())))
    health = RENDERER.health_mail(health_sample("some-wrong"), "ops@example.com", NOW)
    assert "List-Unsubscribe" not in parsed(health)
    assert "nsubscribe" not in text_of(health) + html_of(health)


def test_a_report_of_an_outage_says_when_how_many_and_what_is_wrong() -> None:
    rendered = RENDERER.health_mail(health_sample("some-wrong"), "ops@example.com", NOW)
    assert rendered.subject == "[HEALTH] Monitoring was interrupted for 2h 05m 42s: 2 tasks are not as expected"
    for said in read(rendered):
        assert "2024-01-15 12:00:00 UTC" in said
        assert "2024-01-15 14:05:42 UTC" in said
        assert "Skipped Checks" in said
        assert "Not as expected now (2):" in said
        assert "hourly_data_sync: No execution found (Monitor Critical Data Collection Tasks)" in said
        assert "data_export: Stopped (Monitor Critical Data Collection Tasks)" in said
        assert " more" not in said


def test_a_report_of_an_outage_that_harmed_nothing_says_so() -> None:
    rendered = RENDERER.health_mail(health_sample("nothing-wrong"), "ops@example.com", NOW)
    assert rendered.subject.endswith(": nothing is wrong now")
    for said in read(rendered):
        assert "None of those made found anything wrong." in said


def test_what_is_wrong_beyond_the_list_is_counted() -> None:
    rendered = RENDERER.health_mail(health_sample("many-wrong"), "ops@example.com", NOW)
    assert rendered.subject.endswith(": 180 tasks are not as expected")
    for said in read(rendered):
        assert "- task_050: No execution found (Nightly) … and 130 more" in said
    one = replace(health_sample("nothing-wrong"), wrong=(WrongNow("m", "t", Verdict.NOT_EXECUTED),), wrong_count=1)
    assert RENDERER.health_mail(one, "ops@example.com", NOW).subject.endswith(": 1 task is not as expected")


def test_the_longest_and_worst_names_never_make_a_mail_too_large() -> None:
    worst = "&" * 255
    assert mail(task_name=worst, monitor=worst, dependent_tasks=(worst,) * 1000).problems == ()
    wrong = (WrongNow(worst, worst, Verdict.STATUS_MISMATCH, "Cancelled"),) * 50
    health = replace(health_sample("some-wrong"), wrong=wrong, wrong_count=10**9)
    assert RENDERER.health_mail(health, "ops@example.com", NOW).problems == ()


def test_templates_have_exactly_the_declared_variables() -> None:
    assert tuple(alert_variables(an_alert())) == OF_ALERTS
    assert tuple(health_variables(health_sample("some-wrong"))) == OF_HEALTH
    variables = alert_variables(an_alert(**NONE_FOUND, expected_statuses=("Completed", "Running")))
    assert variables["current_status"] == "No execution found"
    assert variables["expected_statuses"] == "Completed, Running"
    assert variables["started_at"] is variables["finished_at"] is None
    assert variables["has_dependent_tasks"] is False
    assert variables["dependent_tasks"] == []


def test_the_mail_as_it_goes_into_the_outbox_names_the_task() -> None:
    rendered = mail(urgent=True)
    outgoing = rendered.outgoing(an_alert(urgent=True), NOW, timedelta(days=3))
    assert (outgoing.kind, outgoing.task_name, outgoing.urgent) == (ALERT, "hourly_data_sync", True)
    assert outgoing.task_id == an_alert().task_id
    assert outgoing.content == rendered.content
    assert mail().content == mail().content


@pytest.mark.parametrize("kind", [ALERT, RECOVERY])
def test_an_invalid_address_is_told_apart_from_other_errors(kind: str) -> None:
    with pytest.raises(InvalidAddress):
        RENDERER.alert_mail(an_alert(kind), "ops@", NOW)
    with pytest.raises(InvalidAddress):
        RENDERER.health_mail(health_sample("some-wrong"), "ops@", NOW)


@pytest.mark.parametrize("template", [ALERT, RECOVERY, HEALTH])
def test_a_task_that_wants_an_alerts_template_gets_its_own_mail(template: str) -> None:
    rendered = RENDERER.task_mail(a_notification(template=template), "ann@example.com", NOW)
    assert "✅ Task Completed" in text_of(rendered)
    assert rendered.warnings == (f"Unknown template {template!r}: task_completion is used",)


# As the source shows them: a logo, colours and a footer of one's own.
CUSTOMIZED = """<html><head><style>
.header { background-color: #0f766e; color: white; }
</style></head><body>
<div class="header">
    <img src="https://yourcompany.com/logo.png" alt="Logo" style="height: 40px;">
    <h1>⚠️ Task Status Alert</h1>
</div>
<p>{{ task_name }}: {{ current_status }} / {{ expected_statuses }}, Last {{ lookback_hours }} hour(s)</p>
{% if started_at %}<p>Started {{ started_at }}, at {{ started_at.strftime("%H:%M") }}</p>{% endif %}
{% if finished_at %}<p>Took {{ finished_at - started_at }}</p>{% else %}<p>Not finished</p>{% endif %}
<p>Checked {{ check_time }}</p>
{% if has_dependent_tasks %}<ul>{% for task in dependent_tasks %}<li>{{ task }}</li>{% endfor %}</ul>{% endif %}
<div class="footer">
    <strong>Action Required:</strong> Please investigate immediately.
    <br><br>
    Contact: support@yourcompany.com | Internal Docs: https://wiki.yourcompany.com/monitoring
</div></body></html>"""


def test_the_sources_customizations_work_in_a_template_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "task_status_alert.html").write_text(CUSTOMIZED, "utf-8")
    renderer = Renderer(POLICY, tmp_path)
    rendered = mail(renderer, dependent_tasks=("a", "<b>"))
    assert rendered.problems == ()
    html = html_of(rendered)
    assert ".header { background-color: #0f766e; color: white; }" in html
    assert links(html) == ["https://yourcompany.com/logo.png"]
    said = words(html)
    assert "hourly_data_sync: Stopped / Completed, Last 1 hour(s)" in said
    assert "Started 2024-01-15 13:30:00 UTC, at 13:30 Took 0:22:42 Checked 2024-01-15 14:05:00 UTC a <b> Action" in said
    assert "Internal Docs: https://wiki.yourcompany.com/monitoring" in said
    assert "These tasks" not in said
    nothing = mail(renderer, **NONE_FOUND)
    assert nothing.problems == ()
    assert "Last 1 hour(s) Not finished Checked" in words(html_of(nothing))
    assert "⚠️ Task Status Alert" in text_of(rendered)  # the shipped text
    assert "Task Status Resolved" in words(html_of(mail(renderer, kind=RECOVERY)))


def test_an_organization_has_its_alerts_with_its_brand(tmp_path: Path) -> None:
    theirs = tmp_path / "organizations" / "acme"
    theirs.mkdir(parents=True)
    (theirs / "brand.json").write_text('{"name": "ACME", "logo": "https://acme.example/l.png", "footer": "ACME Ltd"}')
    (theirs / "task_status_alert.subject").write_text("{{ task_name }} is {{ current_status }}")
    renderer = Renderer(POLICY, tmp_path)
    acme = mail(renderer, organization_id="acme")
    assert acme.subject == "hourly_data_sync is Stopped"
    assert "https://acme.example/l.png" in links(html_of(acme))
    assert text_of(acme).count("ACME Ltd") == 1
    assert mail(renderer).subject == "[ALERT] hourly_data_sync Status Check Failed"


def test_a_template_of_ones_own_that_fails_never_loses_an_alert(tmp_path: Path) -> None:
    (tmp_path / "task_status_alert.txt").write_text("{{ recipient_name }}")
    rendered = mail(Renderer(POLICY, tmp_path))
    assert rendered.content == mail().content
    assert len(rendered.problems) == 1


def test_the_brands_logo_and_footer_show() -> None:
    brand = Brand("ACME", "The crew", "#ffcc00", "https://acme.example/logo.png", "ACME Ltd")
    html = html_of(mail(Renderer(RenderPolicy("no@acme.example", brand))))
    assert "https://acme.example/logo.png" in links(html)
    assert "The crew ACME Ltd" in words(html)


TEXT = st.text(st.one_of(st.characters(), st.sampled_from('\r\n\x00\u2028\u202e:<>,"\\=?@ {}%')), max_size=80)


@settings(max_examples=50, deadline=None)
@given(task=TEXT, monitor=TEXT, name=st.none() | TEXT, dependents=st.lists(TEXT, max_size=3))
@example(task="\udcff", monitor="\ud800", name="\ud800", dependents=["\ud800"])
def test_no_field_adds_a_header_a_recipient_or_markup(
    task: str, monitor: str, name: str | None, dependents: list[str]
) -> None:
    plain = mail(dependent_tasks=("a",) if dependents else ())
    rendered = mail(task_name=task, monitor=monitor, name=name, dependent_tasks=tuple(dependents))
    assert parsed(rendered).keys() == parsed(plain).keys()
    assert [address.addr_spec for address in parsed(rendered)["To"].addresses] == ["ops@example.com"]
    assert max(rendered.content) < 128
    assert html_of(rendered).count("<") == html_of(plain).count("<") + max(0, len(dependents) - 1)
