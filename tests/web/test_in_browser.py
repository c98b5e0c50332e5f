"""The pages in a real browser. These tests are skipped, and say so, where there is no Chromium."""

from __future__ import annotations

import pytest

from streamnotify.devtools import browser
from streamnotify.domain.preferences import UnsubscribeScope
from streamnotify.render.policy import Brand
from tests.web.browsing import HEALTH, PUBLIC_URL, Site

LONG = UnsubscribeScope("user:ann", ("k" * 100, "task_completion"), "o" * 100)


@pytest.fixture(autouse=True, scope="module")
def a_browser() -> None:
    try:
        browser.chromium()
    except browser.NoBrowser as error:
        pytest.skip(f"whether the pages fit a phone was not looked at: {error}")


@pytest.mark.parametrize("width", [320, 375, 600])
def test_no_page_is_wider_than_its_window(width: int) -> None:
    site = Site(brand=Brand(name="N" * 100))
    urls = [site.link(LONG), site.link(HEALTH), PUBLIC_URL + "/unsubscribe/1"]
    pages = [site.get(url).text for url in urls] + [site.one_click(site.link(LONG)).text]
    found = browser.sizes(pages, width)
    assert [across for across, _ in found] == [width] * len(pages)
