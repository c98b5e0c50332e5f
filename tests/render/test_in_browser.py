"""The mails in a real browser. These tests are skipped, and say so, where there is no Chromium."""

from __future__ import annotations

import pytest

from streamnotify.devtools import browser, mail_views
from streamnotify.devtools.samples import sample_mail, samples_of
from streamnotify.render.policy import Brand, RenderPolicy
from streamnotify.render.renderer import Renderer
from tests.render.reading import html_of
from tests.web import chromium

PHONE = 375
RENDERER = Renderer(
    RenderPolicy(
        "noreply@example.com",
        Brand(name="N" * 300, team="T" * 300, footer="F" * 300),
        "https://app.example.com",
        unsubscribe_mailto="stop@example.com",
    )
)


@pytest.fixture(autouse=True, scope="module")
def a_browser() -> None:
    try:
        browser.chromium()
    except browser.NoBrowser as error:
        pytest.skip(f"whether the mails fit a phone was not looked at: {error}")


@pytest.mark.parametrize("template", RENDERER.library.names())
def test_no_mail_is_wider_than_a_phone_with_or_without_its_style(template: str) -> None:
    pages = [html_of(sample_mail(RENDERER, name, template)) for name in samples_of(template)]
    views = [mail_views.light(page) for page in pages] + [mail_views.stripped(page) for page in pages]
    found = browser.sizes(views, PHONE)
    assert [width for width, _ in found] == [PHONE] * len(views)
    assert all(height > 300 for _, height in found)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_any_template(scheme: str) -> None:
    with chromium.browser() as launched, chromium.visit(launched, "http://127.0.0.1", PHONE, scheme) as visit:
        for template in RENDERER.library.names():
            visit.page.set_content(html_of(sample_mail(RENDERER, samples_of(template)[0], template)))
            # A mail is shown within the page of a mail program, which has the landmarks.
            assert [each for each in visit.violations() if not each.startswith(("landmark-one-main:", "region:"))] == []


def test_what_is_too_wide_is_noticed() -> None:
    assert browser.sizes(['<body style="margin:0"><div style="width:400px">x</div>'], PHONE)[0][0] == 400
