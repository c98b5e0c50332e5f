"""The pages in a real browser, on a phone and a desk, by day and by night. These tests are skipped, and say so, where
there is no Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page

from streamnotify.devtools.browser import NoBrowser
from streamnotify.domain.preferences import UnsubscribeScope
from streamnotify.render.policy import Brand
from tests.e2e.product import parsed
from tests.web import chromium
from tests.web.browsing import HEALTH, NOW, Site
from tests.web.chromium import DESKTOP, PHONE, visit
from tests.web.mailed_site import ANN, MailedSite, notifications_url, preferences_url

HOSTILE = "<img src=x onerror=alert(1)>"
LONG = UnsubscribeScope("user:ann", (HOSTILE + "k" * 100, "task_completion"), HOSTILE + "o" * 100)


@dataclass
class Place:
    """Where the pages are, what they are about, and the browser."""

    browser: Browser
    origin: str
    site: MailedSite
    unsubscribe: str
    preferences: str
    notifications: str
    of_a_long_brand: list[str]

    def begin(self, *, is_known: bool = True) -> None:
        """Ann has no wishes; whether the read model knows that."""
        self.site.product.prefers("ann", None)
        self.site.model.lose()
        if is_known:
            self.site.model.catch_up()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Ann, her digest of 70 notifications, and the pages that its links lead to."""
    listening = chromium.free_socket()
    origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
    brand = Brand(name="Acme", reply_to="help@example.com")
    site = MailedSite(tmp_path_factory.mktemp("web"), digests=True, public_url=origin, brand=brand)
    off = {"kinds": {"task_status_recovery": False}, "organizations": {"Closed": {"email": False}}}
    organizations = ["org-a", "Customer Success", "Closed"]
    site.product.user("ann", email=ANN, timezone="Europe/Rome", organizations=organizations, preferences=off)
    for number in range(71):
        site.product.ran(
            f"import customers {number}",
            ("Stopped", "Completed", "Cancelled")[number % 3],
            task_id=f"run-{number}",
            organization_id=(*organizations[:2], None)[number % 3],
            user_id="ann",
            notify={"on": ["success", "failure", "cancelled"]},
            error="KeyError: 'customer' in row 17 of the file",
        )
    site.product.advance(hours=3)
    other = Site(brand=Brand(name="N" * 100))
    answers = (other.get(other.link(LONG)), other.one_click(other.link(LONG)), other.get(other.link() + "x"))
    pages = [answer.text for answer in answers]
    single, digest = (parsed(mail.content) for mail in site.product.relay.mails)
    try:
        with chromium.browser() as browser, chromium.serving(site.app, listening):
            unsubscribe = str(single["List-Unsubscribe"]).strip("<>")
            yield Place(browser, origin, site, unsubscribe, preferences_url(digest), notifications_url(digest), pages)
    except NoBrowser as error:
        pytest.skip(f"the pages were not looked at in a browser: {error}")


def save(page: Page) -> None:
    """Press the form's button."""
    page.get_by_role("button", name="Save").click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_every_page_can_be_read_and_used_by_everybody(place: Place, width: int, scheme: str) -> None:
    """No violation that axe finds, nothing across the window's edge, no error, no request to anywhere else."""
    place.begin(is_known=False)
    with visit(place.browser, place.origin, width, scheme) as visited:
        page, found = visited.page, list[str]()

        def look(heading: str) -> None:
            assert page.get_by_role("heading", level=1).inner_text() == heading
            found.extend(f"{heading}: {wrong}" for wrong in visited.violations())

        page.goto(place.preferences)
        page.get_by_text("At the moment we cannot look up").wait_for()
        look("Your mail preferences")
        place.begin()
        page.goto(place.preferences)
        page.get_by_label("Mails about tasks").select_option("Send one a day")
        page.get_by_label("Keep quiet hours").check()
        page.get_by_label("To", exact=True).fill("")
        page.get_by_label("Task results").uncheck()
        save(page)
        page.get_by_role("alert").get_by_text("Nothing was changed yet.").wait_for()
        look("Your mail preferences")
        page.get_by_label("To", exact=True).fill("06:30")
        save(page)
        page.get_by_role("status").get_by_text("Quiet hours: 22:00 to 06:30").wait_for()
        look("Your mail preferences")
        for path, heading in (
            (place.notifications, "70 notifications"),
            (place.unsubscribe, "Unsubscribe"),
            (place.site.links.unsubscribe.url(HEALTH, NOW), "Unsubscribe"),
            (f"{place.origin}/notifications/1", "This link does not work"),
            (f"{place.origin}/", "streamnotify web is running"),
        ):
            page.goto(path or "")
            look(heading)
        page.goto(place.unsubscribe)
        page.get_by_role("button", name="Unsubscribe").click()
        look("You are unsubscribed")
        assert found == []
        page.get_by_role("link", name="Turn it on again").click()
        assert page.get_by_label("Task results").is_visible()


def test_everything_can_be_done_by_keyboard_and_one_sees_where_one_is(place: Place) -> None:
    place.begin()
    with visit(place.browser, place.origin) as visited:
        page = visited.page
        page.goto(place.preferences)
        seen: list[str] = []
        while not (seen and seen[-1] == "Save"):
            page.keyboard.press("Tab")
            name, outline = page.evaluate(
                """() => {
                    const at = document.activeElement;
                    const seen = [at, at.closest("label.choice")].filter(Boolean);
                    const outlined = seen.some(each => getComputedStyle(each).outlineStyle == "solid");
                    return [at.name || at.textContent, outlined];
                }"""
            )
            assert outline, name
            seen.append(name)
            if name == "kind.1":
                page.keyboard.press("Space")
            elif name == "digest":
                page.keyboard.type("Send one a day")
            assert len(seen) < 40
        assert [*dict.fromkeys(seen)][:2] == ["email", "kind.0"]
        assert "daily_at" in seen  # it has come up with the choice before it
        page.keyboard.press("Enter")
        said = page.get_by_role("status").inner_text()
        assert "Off: Test run results." in said
        assert "Send one a day at 08:00." in said
        page.goto(place.unsubscribe)
        page.keyboard.press("Tab")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="You are unsubscribed").wait_for()
        page.goto(place.notifications)
        older = page.get_by_role("link", name="Older ones")
        older.focus()
        page.keyboard.press("Enter")
        page.get_by_text("run-1", exact=True).wait_for()
        assert page.get_by_role("listitem").count() == 20
        assert page.get_by_role("link", name="Older ones").count() == 0


def test_nothing_needs_a_script(place: Place) -> None:
    place.begin()
    with visit(place.browser, place.origin, scripts=False) as visited:
        page = visited.page
        page.goto(place.preferences)
        assert page.get_by_label("Send it at").is_hidden()
        page.get_by_label("Mails about tasks").select_option("Gather what comes within 2 hours")
        page.get_by_label("Customer Success").uncheck()
        save(page)
        page.get_by_text("Off: Customer Success.").wait_for()
        assert not page.get_by_label("Customer Success").is_checked()


def test_what_is_off_elsewhere_is_shown_as_off_and_cannot_be_touched(place: Place) -> None:
    place.begin()
    with visit(place.browser, place.origin) as visited:
        visited.page.goto(place.preferences)
        for name in ("All-clears of monitored tasks", "Closed"):
            visited.page.get_by_text(name, exact=True).wait_for()
            assert visited.page.get_by_label(name).count() == 0


@pytest.mark.parametrize("width", [320, 375, 600])
def test_no_page_is_wider_than_its_window_whatever_the_names(place: Place, width: int) -> None:
    links = place.site.links
    with visit(place.browser, place.origin, width) as visited:
        page = visited.page
        page.on("dialog", lambda dialog: visited.wrong.append(dialog.message))

        def is_narrow() -> bool:
            return bool(page.evaluate("document.documentElement.scrollWidth") <= width)

        for url in (links.unsubscribe.url(LONG, NOW), links.preferences.url(LONG, NOW)):
            page.goto(url or "")
            page.get_by_text(HOSTILE + "k" * 100).wait_for()
            assert is_narrow()
        for shown in place.of_a_long_brand:
            page.set_content(shown)
            assert is_narrow()
