"""Mails where a program darkens them itself, without asking for their dark colours: read from a browser's pixels.

Chromium does so with a flag, and Android's web view with the same code. Skipped, saying so, where there is no Chromium.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from streamnotify.devtools import browser, mail_views
from streamnotify.devtools.samples import sample_mail, samples_of
from streamnotify.render.colours import LEAST_CONTRAST, contrast
from streamnotify.render.policy import Brand, RenderPolicy
from streamnotify.render.renderer import Renderer
from tests.render.pixels import painted
from tests.render.reading import html_of
from tests.web import chromium

PHONE = 375
COLOURS = (Brand().colour, "#ffcc00", "#00ff88", "#ff0000", "#0b5fff", "#fafafa", "#222222")


def branded(brand: Brand) -> Renderer:
    """A renderer of that brand's mails, which have all the links there are."""
    policy = RenderPolicy("noreply@example.com", brand, "https://app.example.com", unsubscribe_mailto="s@example.com")
    return Renderer(policy)


@pytest.fixture(scope="module")
def darkening() -> Iterator[Browser]:
    try:
        browser.chromium()
    except browser.NoBrowser as error:
        pytest.skip(f"whether mails that a program darkens can be read was not looked at: {error}")
    with chromium.browser(browser.FORCED_DARK) as launched:
        yield launched


@pytest.mark.parametrize("colour", COLOURS)
def test_a_button_can_be_read_whatever_the_brands_colour(colour: str, darkening: Browser) -> None:
    mail = html_of(sample_mail(branded(Brand(colour=colour)), "success", "task_completion"))
    lines = painted(darkening, mail_views.light(mail), PHONE)
    assert [line.words for line in lines].count("View Results") == 1
    assert [line for line in lines if line.contrast < LEAST_CONTRAST] == []


@pytest.mark.parametrize("template", branded(Brand()).library.names())
def test_all_text_can_be_read_and_is_on_dark(template: str, darkening: Browser) -> None:
    mail = html_of(sample_mail(branded(Brand(footer="Example Ltd")), samples_of(template)[0], template))
    lines = painted(darkening, mail_views.light(mail), PHONE)
    assert lines
    assert [line for line in lines if line.contrast < LEAST_CONTRAST] == []
    assert [line for line in lines if contrast("#ffffff", line.ground) < LEAST_CONTRAST] == []
