"""Digests: what matters is in the subject, the numbers are exact, and nothing loses the mail (SPEC section 6)."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from streamnotify.devtools.alert_samples import alert_sample
from streamnotify.devtools.digest_samples import a_digest, digest_sample
from streamnotify.devtools.mail_lint import faults
from streamnotify.domain.alerts import ALERT, RECOVERY
from streamnotify.domain.digest import Lane
from streamnotify.domain.pending import DigestItem, DigestNotification, DigestSection, PendingDigest, Tally
from streamnotify.render.addresses import InvalidAddress
from streamnotify.render.digest_variables import OF_DIGESTS, digest_variables
from streamnotify.render.policy import RenderPolicy
from streamnotify.render.recipient_links import DigestScope, RecipientLinks
from streamnotify.render.renderer import RenderedMail, Renderer
from tests.render.a_notification import a_notification
from tests.render.reading import html_of, links, text_of
from tests.render.test_alert_mails import parsed, read

POLICY = RenderPolicy("noreply@mail.example.com", frontend_url="https://app.example.com")
NOW = datetime(2024, 1, 15, 15, 0, tzinfo=UTC)
AT = datetime(2024, 1, 15, 14, 30, 25, tzinfo=UTC)
VIEW_ALL = replace(POLICY, link_notifications="/notifications")


def mail(digest: DigestNotification, policy: RenderPolicy = POLICY, own: Path | None = None) -> RenderedMail:
    """The mail of a digest."""
    renderer = renderer_of(policy) if own is None else Renderer(policy, own)
    return renderer.digest_mail(digest, "ann@example.com", NOW)


@lru_cache
def renderer_of(policy: RenderPolicy) -> Renderer:
    """A renderer takes longer to make than a mail."""
    return Renderer(policy)


def tasks(count: int, **fields: Any) -> list[DigestItem]:
    """So many tasks, the newest first, each a second older than the one before."""
    return [a_notification(task_id=f"run-{n}", completed_at=AT - timedelta(seconds=n), **fields) for n in range(count)]


def alerts(count: int, kind: str = ALERT, **fields: Any) -> list[DigestItem]:
    """So many alerts."""
    return [replace(alert_sample("status-mismatch", kind), organization_id=None, **fields) for _ in range(count)]


def counted(lane: Lane, failed: int, completed: int, cancelled: int) -> DigestNotification:
    """A digest of which the numbers are known and nothing is listed."""
    section = DigestSection(None, failed, completed, cancelled, ())
    return replace(a_digest(tasks(1), lane), sections=(section,))


@pytest.mark.parametrize(
    ("lane", "numbers", "subject"),
    [
        (Lane.TASKS, (3, 12, 0), "3 failed, 12 completed — 15 task notifications"),
        (Lane.TASKS, (3, 12, 1), "3 failed, 12 completed, 1 cancelled — 16 task notifications"),
        (Lane.TASKS, (0, 2, 0), "2 completed — 2 task notifications"),
        (Lane.TASKS, (0, 0, 2), "2 cancelled — 2 task notifications"),
        (Lane.TASKS, (50_000, 0, 0), "50000 failed — 50000 task notifications"),
        (Lane.TASKS, (1, 0, 0), "1 failed — 1 task notification"),
        (Lane.ALERTS, (3, 2, 0), "3 failed, 2 resolved — 5 alerts"),
        (Lane.ALERTS, (7, 0, 0), "7 failed — 7 alerts"),
        (Lane.ALERTS, (0, 1, 0), "1 resolved — 1 alert"),
    ],
)
def test_the_subject_says_what_matters(lane: Lane, numbers: tuple[int, int, int], subject: str) -> None:
    rendered = mail(counted(lane, *numbers))
    assert rendered.subject == parsed(rendered)["Subject"] == subject
    summary, _, what = subject.partition(" — ")
    for said in read(rendered):
        assert f"{what} {summary}" in said
    assert f"<title>{subject}</title>" in html_of(rendered)
    assert rendered.problems == ()


def test_of_37_the_newest_10_are_listed_and_37_are_counted() -> None:
    rendered = mail(a_digest(tasks(37)), VIEW_ALL)
    assert rendered.subject == "37 completed — 37 task notifications"
    for said in read(rendered):
        assert "37 task notifications were put into this one mail. 10 of them are listed here." in said
        assert re.findall(r"Task ID: (\S+)", said) == [f"run-{n}" for n in range(10)]
        assert "… and 27 more" in said
        assert "View all 37 notifications" in said
    url = "https://app.example.com/notifications"
    assert url in links(html_of(rendered))
    assert f"View all 37 notifications: {url}" in text_of(rendered)


@pytest.mark.parametrize("policy", [POLICY, replace(VIEW_ALL, frontend_url=None)], ids=["no path", "no FRONTEND_URL"])
def test_without_a_page_of_them_all_there_is_no_link_to_it(policy: RenderPolicy) -> None:
    for said in read(mail(a_digest(tasks(37)), policy)):
        assert "View all" not in said
        assert "37 task notifications" in said


def test_where_the_application_has_no_page_of_them_all_our_own_is_linked_about_exactly_this_mail() -> None:
    signed = RecipientLinks("https://notify.example.com", "a secret of the tests")
    digest = replace(a_digest(tasks(37)), mailbox="user:u1")
    for policy in (replace(POLICY, links=signed), replace(VIEW_ALL, frontend_url=None, links=signed)):
        rendered = mail(digest, policy)
        [url] = re.findall(r"View all 37 notifications:\s+(\S+)", text_of(rendered))
        assert url in links(html_of(rendered))
        scope = signed.notifications.opened(url.rpartition("/")[2], NOW).scope
        assert scope == DigestScope("user:u1", digest.notification_id, 37)
    own = mail(digest, replace(VIEW_ALL, links=signed))
    assert "View all 37 notifications: https://app.example.com/notifications" in text_of(own)


def test_an_item_says_at_a_glance_what_became_of_what() -> None:
    failed = a_notification(
        status="failed",
        display_name="Import Customers",
        duration_s=4.2,
        error_message="KeyError: 'customer'\n  in row 17",
        variables={"test_run_id": "r1"},
    )
    for said in read(mail(a_digest([failed, *tasks(1)]))):
        assert (
            "❌ Import Customers Failed · 2024-01-15 14:30:25 UTC · 4.2s Task ID: run-1 KeyError: 'customer' in row 17 "
            "View Results" in said
        )
        assert "✅ nightly-report Completed · 2024-01-15 14:30:25 UTC Task ID: run-0" in said
        assert "None" not in said
    assert "https://app.example.com/test-runs/r1" in links(html_of(mail(a_digest([failed]))))


def test_a_success_that_hides_failed_tests_is_none_at_a_glance() -> None:
    counts = {"test_set_name": "API Tests", "total_tests": 10, "tests_passed": 8, "tests_failed": "2"}
    for said in read(mail(a_digest(tasks(1, variables=counts)))):
        assert "⚠️ nightly-report Completed, tests failed ·" in said
        assert "API Tests: 8 of 10 tests passed, 2 failed" in said


def test_an_alert_says_what_was_found_and_by_which_monitor() -> None:
    items = [*alerts(1, RECOVERY, current_status="Completed"), *alerts(1), *alerts(1, current_status=None)]
    for said in read(mail(a_digest(items, Lane.ALERTS))):
        assert "⚠️ 3 alerts 2 failed, 1 resolved" in said
        assert (
            "⚠️ hourly_data_sync Status Check Failed · 2024-01-15 14:05:00 UTC Stopped, expected Completed. Last 1"
            in (said)
        )
        assert "⚠️ hourly_data_sync Has Not Executed ·" in said
        assert "No execution found, expected Completed." in said
        assert "✅ hourly_data_sync Status Check Passed ·" in said
        assert "Monitor: Monitor Critical Data Collection Tasks" in said
        assert said.index("Has Not Executed") < said.index("Status Check Passed")
        assert "Task ID" not in said


def test_sections_are_by_organization_those_of_none_last_and_failures_first() -> None:
    headings = [
        "org-a 3 task notifications: 1 failed, 2 completed ❌ Import Customers Failed",
        "org-b 2 task notifications: 1 failed, 1 completed ❌ Import Customers Failed",
        "org-c 12 task notifications: 12 completed ✅ Nightly Report",
        "… and 9 more Other task notifications 2 task notifications: 2 completed ✅ Nightly Report",
    ]
    for said in read(mail(digest_sample("organizations"))):
        places = [said.replace("== ", "").replace(" ==", "").index(heading) for heading in headings]
        assert places == sorted(places)


def test_a_section_of_which_nothing_is_listed_is_counted() -> None:
    sections = (DigestSection("org-a", 0, 4, 0, ()), DigestSection(None, 0, 1, 0, tuple(tasks(1))))
    for said in read(mail(replace(a_digest(tasks(1)), sections=sections))):
        assert "4 task notifications: 4 completed Not listed here: all 4" in said


def test_many_organizations_leave_room_for_what_is_listed_and_those_beyond_are_counted_as_one() -> None:
    listed = DigestSection("x-listed", 1, 0, 0, tuple(tasks(1, status="failed", organization_id="x-listed")))
    largest = DigestSection("y-largest", 9, 0, 0, ())
    of_none = DigestSection(None, 0, 1, 0, ())
    many = tuple(DigestSection(f"o-{number:03d}", 2, 3, 1, ()) for number in range(120))
    digest = replace(a_digest(tasks(1)), sections=(*many, listed, largest, of_none))
    rendered = mail(digest)
    assert faults(html_of(rendered), text_of(rendered)) == []
    assert rendered.subject == f"{9 + 1 + 240} failed, 361 completed, 120 cancelled — 731 task notifications"
    for said in read(rendered):
        shown = [f"o-{number:03d}" for number in range(26)]
        places = [said.index(name) for name in (*shown, "x-listed", "y-largest", "Other task", "94 more organizations")]
        assert places == sorted(places)
        assert "o-026" not in said
        assert "1 of them is listed here" in said
        assert "564 task notifications: 188 failed, 282 completed, 94 cancelled Not listed here: all 564" in said


def test_one_section_without_organization_needs_no_heading() -> None:
    for said in read(mail(a_digest(tasks(3)))):
        assert "Other task" not in said
    for said in read(mail(digest_sample("one-organization"))):
        assert "org-a" in said


def test_headings_leave_out_no_level() -> None:
    for name in ("few", "organizations"):
        levels = [int(level) for level in re.findall(r"<h(\d)", html_of(mail(digest_sample(name))))]
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))


def test_instants_of_tasks_are_in_the_readers_zone_and_of_alerts_in_utc() -> None:
    for said in read(mail(a_digest(tasks(2), timezone="Europe/Rome"))):
        assert said.count("2024-01-15 15:30:25 CET") >= 1
        assert "UTC" not in said
    for said in read(mail(a_digest(alerts(2), Lane.ALERTS, timezone="Europe/Rome"))):
        assert "2024-01-15 14:05:00 UTC" in said
        assert "CET" not in said


def test_an_item_that_cannot_be_listed_is_left_out_and_counted() -> None:
    broken = a_notification(status="failed", variables={"test_run_id": 10**5000})
    unknown = a_notification(status="exploded")
    rendered = mail(a_digest([broken, unknown, *tasks(2)]))
    assert rendered.subject == "2 failed, 2 completed — 4 task notifications"
    for said in read(rendered):
        assert "4 task notifications were put into this one mail. 2 of them are listed here." in said
        assert "… and 2 more" in said
    assert len(rendered.warnings) == 1
    assert rendered.warnings[0].startswith("2 of the digest's 4 notifications cannot be listed, such as ")
    assert broken.notification_id in rendered.warnings[0]
    none = mail(a_digest([broken, broken]))
    for said in read(none):
        assert "None of them can be listed here." in said
    assert faults(html_of(none), text_of(none)) == []


def test_the_mail_of_one_organization_has_its_brand_and_of_several_the_services(tmp_path: Path) -> None:
    theirs = tmp_path / "organizations" / "org-a"
    theirs.mkdir(parents=True)
    (theirs / "brand.json").write_text('{"name": "ACME", "logo": "https://acme.example/l.png"}')
    (theirs / "notification_digest.subject").write_text("{{ total }} for you")
    one = mail(digest_sample("one-organization"), own=tmp_path)
    assert one.subject == "4 for you"
    assert "https://acme.example/l.png" in links(html_of(one))
    several = mail(digest_sample("organizations"), own=tmp_path)
    assert several.subject.endswith("19 task notifications")
    assert "https://acme.example/l.png" not in links(html_of(several))
    assert "== ACME ==" in text_of(several)  # by the name of its brand
    assert "== org-b ==" in text_of(several)


def test_a_template_of_ones_own_sees_every_variable(tmp_path: Path) -> None:
    source = (
        "{% for s in sections %}{{ s.name }} {{ s.total }}"
        "{% for i in s.items %} {{ i.outcome }}{% endfor %};{% endfor %}"
    )
    (tmp_path / "notification_digest.txt").write_text(" ".join(f"{{{{ {name} }}}}" for name in OF_DIGESTS) + source)
    rendered = mail(digest_sample("organizations"), own=tmp_path)
    assert rendered.problems == ()
    assert "org-b 2 failed success;" in " ".join(text_of(rendered).split())
    (tmp_path / "notification_digest.html").write_text("{{ task_name }}")
    failing = mail(digest_sample("organizations"), own=tmp_path)
    assert len(failing.problems) == 1
    assert html_of(failing) == html_of(mail(digest_sample("organizations")))


def test_templates_have_exactly_the_declared_variables() -> None:
    variables, warnings = digest_variables(digest_sample("few"), POLICY, {}, NOW)
    assert tuple(variables) == OF_DIGESTS
    assert warnings == ()


def test_a_task_cannot_choose_the_digests_template() -> None:
    rendered = renderer_of(POLICY).task_mail(a_notification(template="notification_digest"), "ann@example.com", NOW)
    assert rendered.warnings == ("Unknown template 'notification_digest': task_completion is used",)
    assert "Task Completed" in text_of(rendered)


def test_the_mail_in_the_outbox_carries_what_it_is_made_of() -> None:
    pending = PendingDigest("d1", "tasks", AT, AT, (Tally(None, "task_completion", completed=2),))
    digest = replace(a_digest(tasks(2)), pending=pending)
    outgoing = mail(digest).outgoing(digest, NOW, timedelta(days=3))
    assert (outgoing.kind, outgoing.mailbox, outgoing.digest) == ("notification_digest", "user:u1", pending)
    assert outgoing.task_name is outgoing.task_id is outgoing.monitor is None
    single = a_notification(mailbox="user:u1")
    alone = renderer_of(POLICY).task_mail(single, "ann@example.com", NOW).outgoing(single, NOW, timedelta(days=3))
    assert (alone.mailbox, alone.digest) == ("user:u1", None)


def test_the_digests_of_one_mailbox_and_lane_are_one_thread() -> None:
    def thread(digest: DigestNotification) -> str:
        headers = message_from_bytes(mail(digest).content)
        assert headers["References"] == headers["In-Reply-To"]
        return str(headers["References"])

    first = replace(digest_sample("few"), mailbox="user:u1")
    assert thread(first) == thread(replace(digest_sample("many"), mailbox="user:u1"))
    assert "u1" not in thread(first)
    assert thread(first) != thread(replace(first, lane=Lane.ALERTS))
    assert thread(first) != thread(replace(first, mailbox="user:u2"))


def test_the_same_digest_makes_the_same_bytes() -> None:
    assert mail(digest_sample("many")).content == mail(digest_sample("many")).content
    assert mail(digest_sample("many")).message_id.startswith("notification_digest.")
    with pytest.raises(InvalidAddress):
        renderer_of(POLICY).digest_mail(digest_sample("few"), "ann@", NOW)
