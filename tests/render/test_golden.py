"""Whole mails, as they are sent: tests/golden holds them. `make golden` writes it anew, for review as a diff.

Of each mail there is what a person reviews, its headers, text and HTML; of some also the bytes on the wire.
"""

from __future__ import annotations

import pytest

from streamnotify.devtools.mail_views import parts
from streamnotify.devtools.samples import sample_mail, samples_of
from streamnotify.render.policy import Brand, RenderPolicy
from streamnotify.render.recipient_links import RecipientLinks
from streamnotify.render.renderer import RenderedMail, Renderer
from tests.conftest import Golden

POLICY = RenderPolicy(
    "noreply@mail.example.com",
    Brand(name="Example", team="Example Team", footer="Example Ltd, 1 Example Street"),
    "https://app.example.com",
    link_notifications="/notifications",
    links=RecipientLinks("https://notify.example.com", "a secret of these mails"),
    unsubscribe_mailto="unsubscribe@mail.example.com",
)
RENDERER = Renderer(POLICY)
OF_TASKS = ("task_completion", "test_execution_summary")
TEMPLATES = (*OF_TASKS, "task_status_alert", "task_status_recovery", "service_health", "notification_digest")
MAILS = [(template, name) for template in TEMPLATES for name in samples_of(template)]


def mail(template: str, name: str) -> RenderedMail:
    """The mail of a sample."""
    return sample_mail(RENDERER, name, template)


@pytest.mark.parametrize(("template", "name"), MAILS)
def test_the_mail_is_the_expected_one(template: str, name: str, golden: Golden) -> None:
    for suffix, text in zip(("headers", "txt", "html"), parts(mail(template, name).content), strict=True):
        golden(f"{template}.{name}.{suffix}", text.encode())


@pytest.mark.parametrize("name", ["success", "failure", "cyrillic", "emoji", "bare"])
@pytest.mark.parametrize("template", OF_TASKS)
def test_the_mail_is_the_expected_one_to_the_byte(template: str, name: str, golden: Golden) -> None:
    golden(f"{template}.{name}.eml", mail(template, name).content)


def test_every_shipped_template_is_among_them() -> None:
    assert RENDERER.library.names() == sorted(TEMPLATES)
