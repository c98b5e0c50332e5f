"""How mails offer to unsubscribe: by a link that needs one click, by mail, or not at all."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from streamnotify.devtools.alert_samples import alert_sample, health_sample
from streamnotify.devtools.digest_samples import digest_sample
from streamnotify.devtools.samples import NOW, sample
from streamnotify.domain.alerts import ALERT, AlertNotification, HealthNotification
from streamnotify.domain.notifications import TaskNotification
from streamnotify.domain.preferences import UnsubscribeScope
from streamnotify.render.policy import RenderPolicy
from streamnotify.render.recipient_links import RecipientLinks
from streamnotify.render.renderer import Notification, RenderedMail, Renderer
from tests.render.reading import html_of, links, text_of
from tests.render.test_alert_mails import parsed

LINKS = RecipientLinks("https://notify.example.com", "a secret of some length, 32 bytes")
MAILTO = "mailto:stop@example.com?subject=unsubscribe%20"
WITH_LINKS = RenderPolicy("noreply@example.com", links=LINKS)

TASK = replace(sample("success", "task_completion"), mailbox="user:u1")
ALERTED = replace(alert_sample("dependents", ALERT), mailbox="user:u1")
DIGEST = digest_sample("organizations")


def mail(policy: RenderPolicy, notification: Notification) -> RenderedMail:
    """The mail that a policy makes of a notification of any kind."""
    renderer, email = Renderer(policy), "Ann@Example.com"
    if isinstance(notification, TaskNotification):
        return renderer.task_mail(notification, email, NOW)
    if isinstance(notification, AlertNotification):
        return renderer.alert_mail(notification, email, NOW)
    if isinstance(notification, HealthNotification):
        return renderer.health_mail(notification, email, NOW)
    return renderer.digest_mail(notification, email, NOW)


def opened(rendered: RenderedMail) -> UnsubscribeScope:
    """What the link of a mail unsubscribes from."""
    url = parsed(rendered)["List-Unsubscribe"].split(",")[0].strip("<>")
    return LINKS.unsubscribe.opened(url.rpartition("/")[2], NOW + timedelta(days=1)).scope


@pytest.mark.parametrize(
    ("notification", "scope"),
    [
        (TASK, UnsubscribeScope("user:u1", ("task_completion",), "org-a")),
        (ALERTED, UnsubscribeScope("user:u1", ("task_status_alert",), "org-a")),
        (DIGEST, UnsubscribeScope("user:u1", ("task_completion", "test_execution_summary"))),
        (digest_sample("one-organization"), UnsubscribeScope("user:u1", DIGEST.kinds, "org-a")),
    ],
)
def test_one_click_unsubscribes_from_the_kinds_of_the_mail(notification: Notification, scope: UnsubscribeScope) -> None:
    rendered = mail(WITH_LINKS, notification)
    assert opened(rendered) == scope
    headers = parsed(rendered)
    url = headers["List-Unsubscribe"].strip("<>")
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert url in links(html_of(rendered))
    assert f"Unsubscribe from mails like this:\n{url}" in text_of(rendered)
    assert "ann" not in url.lower()


@pytest.mark.parametrize(
    "notification", [TASK, ALERTED, DIGEST, replace(health_sample("some-wrong"), mailbox="user:u1")]
)
def test_every_mail_leads_to_its_recipients_preferences(notification: Notification) -> None:
    rendered = mail(WITH_LINKS, notification)
    [url] = re.findall(r"Choose what you are mailed:\n(\S+)", text_of(rendered))
    assert url in links(html_of(rendered))
    assert LINKS.preferences.opened(url.rpartition("/")[2], NOW).scope.mailbox == "user:u1"


def test_who_unsubscribes_by_mail_still_can() -> None:
    policy = replace(WITH_LINKS, unsubscribe_mailto="stop@example.com")
    both = parsed(mail(policy, DIGEST))["List-Unsubscribe"]
    assert both.startswith("<https://notify.example.com/unsubscribe/")
    assert both.endswith(f">, <{MAILTO}notification_digest>")
    only = mail(replace(policy, links=None), TASK)
    assert parsed(only)["List-Unsubscribe"] == f"<{MAILTO}task_completion>"
    assert parsed(only)["List-Unsubscribe-Post"] is None
    assert f"{MAILTO}task_completion" in links(html_of(only))


def test_what_must_come_offers_nothing() -> None:
    rendered = mail(replace(WITH_LINKS, unsubscribe_mailto="stop@example.com"), health_sample("some-wrong"))
    assert not [name for name in parsed(rendered).keys() if "nsubscribe" in name]  # noqa: SIM118 a mail's headers
    assert "nsubscribe" not in text_of(rendered) + html_of(rendered)


def test_a_mail_that_went_through_no_mailbox_is_its_addresss() -> None:
    assert opened(mail(WITH_LINKS, replace(TASK, mailbox=None))).mailbox == "address:ann@example.com"


def test_http_which_is_for_a_local_test_only_is_no_one_click() -> None:
    links_here = RecipientLinks("http://127.0.0.1:8090", "a secret of some length, 32 bytes")
    headers = parsed(mail(replace(WITH_LINKS, links=links_here), TASK))
    assert headers["List-Unsubscribe"].startswith("<http://127.0.0.1:8090/unsubscribe/")
    assert headers["List-Unsubscribe-Post"] is None


def test_without_any_way_there_is_no_header() -> None:
    rendered = mail(RenderPolicy("noreply@example.com"), DIGEST)
    assert parsed(rendered)["List-Unsubscribe"] is None
    assert "nsubscribe" not in text_of(rendered) + html_of(rendered)


def test_the_longest_names_leave_a_header_that_servers_take() -> None:
    long = replace(TASK, mailbox="user:" + "x" * 255, organization_id="o" * 255)
    rendered = mail(WITH_LINKS, long)
    assert opened(rendered).mailbox == long.mailbox
    assert max(map(len, rendered.content.split(b"\r\n"))) <= 998
    too_long = mail(WITH_LINKS, replace(long, mailbox="user:" + "字" * 255))
    assert parsed(too_long)["List-Unsubscribe"] is None
    assert "nsubscribe" not in text_of(too_long)
