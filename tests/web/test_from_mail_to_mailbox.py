"""The whole way: a mail's link, a click on it, and what is mailed from then on."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from streamnotify.wire.topics import USER_PREFERENCES
from tests.web.browsing import NOW
from tests.web.filled_forms import shown, switch_of
from tests.web.mailed_site import ANN, MailedSite, notifications_url, one_click_url, preferences_url


@pytest.fixture
def site(tmp_path: Path) -> MailedSite:
    return MailedSite(tmp_path)


def test_one_click_ends_the_mails_of_this_kind_and_no_others(site: MailedSite) -> None:
    site.ends()
    url = one_click_url(site.product.last_mail())
    site.get(url)
    site.ends()
    assert site.count == 2
    assert site.one_click(url).status_code == 200
    site.ends()
    assert (site.count, site.reasons()) == (2, ["opted_out_kind"])
    site.ends(template="test_execution_summary")
    assert site.count == 3
    site.ends(email="ben@example.com")
    assert site.count == 4


def test_the_form_ends_the_mails_of_one_organization(site: MailedSite) -> None:
    site.ends()
    site.post(one_click_url(site.product.last_mail()), choice="organization")
    site.ends()
    site.ends("org-b")
    assert (site.count, site.reasons()) == (2, ["opted_out_organization"])


def test_the_form_ends_all_mails_and_the_wish_is_on_user_preferences(site: MailedSite) -> None:
    site.ends()
    site.post(one_click_url(site.product.last_mail()), choice="everything")
    site.ends("org-b", template="test_execution_summary")
    assert (site.count, site.reasons()) == (1, ["opted_out_user"])
    records = site.product.engine.records(USER_PREFERENCES)
    assert [(record.key, record.json()["email"]) for record in records] == [(ANN.encode(), False)]


def test_a_click_takes_back_what_waits_in_a_digest(tmp_path: Path) -> None:
    site = MailedSite(tmp_path, digests=True)
    for _ in range(3):
        site.ends()
    assert site.count == 1
    site.one_click(one_click_url(site.product.last_mail()))
    site.product.advance(hours=3)
    assert site.count == 1


def test_a_click_takes_back_what_waits_for_the_relay(site: MailedSite) -> None:
    site.ends()
    url = one_click_url(site.product.last_mail())
    site.product.relay.is_down = True
    site.ends()
    site.one_click(url)
    site.product.relay.is_down = False
    site.product.advance(hours=3)
    assert (site.count, site.reasons()) == (1, ["opted_out_kind"])


def test_a_digest_is_unsubscribed_from_like_its_notifications(tmp_path: Path) -> None:
    site = MailedSite(tmp_path, digests=True)
    for _ in range(3):
        site.ends()
    site.product.advance(hours=3)
    assert site.count == 2
    site.one_click(one_click_url(site.product.last_mail()))
    site.product.advance(hours=3)
    site.ends()
    assert (site.count, site.reasons()) == (2, ["opted_out_kind"])


def test_a_users_link_follows_the_user_to_another_address(site: MailedSite) -> None:
    site.product.user("ann", email=ANN)
    site.ends(user_id="ann")
    url = one_click_url(site.product.last_mail())
    site.product.user("ann", email="ann@elsewhere.example.com")
    site.now = NOW + timedelta(days=1)
    site.one_click(url)
    site.ends(user_id="ann")
    assert (site.count, site.reasons()) == (1, ["opted_out_kind"])


def test_what_is_chosen_on_the_page_counts_for_the_next_mail(site: MailedSite) -> None:
    site.ends()
    url = preferences_url(site.product.last_mail())
    site.model.catch_up()
    page = site.get(url)
    form = shown(page)
    del form[switch_of(page, "Task results")]
    saved = site.post(url, **form)
    assert "Off: Task results." in saved.text
    site.ends()
    site.ends(template="test_execution_summary")
    assert (site.count, site.reasons()) == (2, ["opted_out_kind"])
    again = shown(saved)
    assert site.post(url, **again | {switch_of(page, "Task results"): "on"}).status_code == 200
    site.ends()
    assert site.count == 3


def test_an_unsubscribe_that_the_page_does_not_know_of_yet_is_not_undone_by_it(site: MailedSite) -> None:
    """The read model lags: the page was made before the click, and is sent after it."""
    site.ends()
    mail = site.product.last_mail()
    site.model.catch_up()
    page = site.get(preferences_url(mail))
    site.one_click(one_click_url(mail))
    form = shown(page)
    del form[switch_of(page, "Test run results")]
    assert site.post(preferences_url(mail), **form).status_code == 200
    site.ends()
    site.ends(template="test_execution_summary")
    assert (site.count, site.reasons()) == (1, ["opted_out_kind"] * 2)


@pytest.mark.parametrize("is_known", [True, False])
def test_a_click_is_taken_back_on_the_page_that_its_answer_links_to(site: MailedSite, is_known: bool) -> None:
    site.ends()
    confirmed = site.one_click(one_click_url(site.product.last_mail()))
    [path] = re.findall(r'href="(/preferences/[^"]+)"', confirmed.text)
    url = f"https://notify.example.com{path}"
    if is_known:
        site.model.catch_up()
    page = site.get(url)
    assert ("cannot look up" in page.text) is not is_known
    site.post(url, **shown(page) | {switch_of(page, "Task results"): "on"})
    site.ends()
    assert site.count == 2


def test_daily_digests_and_quiet_hours_hold_for_what_waits_already(tmp_path: Path) -> None:
    site = MailedSite(tmp_path, digests=True)
    site.product.user("ann", email=ANN, timezone="Europe/Rome")
    for _ in range(3):
        site.ends(user_id="ann")
    url = preferences_url(site.product.last_mail())
    site.model.catch_up()
    page = site.get(url)
    assert "Europe/Rome time" in page.text
    saved = site.post(url, **shown(page) | {"digest": "daily", "daily_at": "18:30"})
    assert "Send one a day at 18:30." in saved.text
    site.product.advance(hours=5)
    assert site.count == 1
    site.product.advance(hours=1)  # 12:00 UTC is 13:00 in Rome
    assert site.count == 2
    nights = {"digest": "0s", "quiet": "on", "quiet_from": "13:00", "quiet_to": "23:00", "quiet_zone": "Asia/Tokyo"}
    saved = site.post(url, **shown(saved) | nights)
    assert "Quiet hours: 13:00 to 23:00, Asia/Tokyo time." in saved.text
    site.product.advance(hours=12)
    site.ends(user_id="ann")
    assert site.count == 2
    site.product.advance(hours=8)
    assert site.count == 3


def test_sixty_notifications_are_counted_alike_in_mail_and_page_and_all_are_listed(tmp_path: Path) -> None:
    site = MailedSite(tmp_path, digests=True)
    site.ends()
    for number in range(60):
        failed = number % 10 == 0
        site.product.ran(
            f"import {number}",
            "Stopped" if failed else "Completed",
            task_id=f"run-{number}",
            organization_id=("org-a", "org-b", None)[number % 3],
            notify={"email": ANN},
            error=f"KeyError {number}" if failed else None,
        )
        site.product.advance(seconds=20)
    site.product.advance(hours=3)
    mail = site.product.last_mail()
    url = notifications_url(mail)
    assert "6 failed, 54 completed" in mail["Subject"]
    assert "60 task notifications" in mail["Subject"]
    site.model.catch_up()
    first = site.get(url)
    assert "<h1>60 notifications</h1>" in first.text
    [path] = re.findall(r'href="(\?after=[^"]+)" rel="next"', first.text)
    second = site.get(url + path)
    pages = [re.findall(r"Task ID: <bdi>(run-\d+)</bdi>", page.text) for page in (first, second)]
    assert [len(page) for page in pages] == [50, 10]
    assert {*pages[0]} == {f"run-{number}" for number in range(10, 60)}
    assert {*pages[1]} == {f"run-{number}" for number in range(10)}
    for page, failures in ((first, 5), (second, 1)):
        assert len(re.findall(r'<li class="fails">', page.text)) == page.text.count("KeyError") == failures
        assert re.findall(r"<h2><bdi>(.*?)</bdi>", page.text) in (
            ["org-a", "org-b", "Of no organization"],
            ["org-b", "org-a", "Of no organization"],
        )
        assert "Still collecting" not in page.text
    ordered = [number for number in pages[0] if int(number.removeprefix("run-")) % 3 == 0]
    assert ordered == sorted(ordered, key=lambda each: -int(each.removeprefix("run-")))


def test_a_digest_of_alerts_lists_what_is_wrong_and_what_is_well_again(tmp_path: Path) -> None:
    site = MailedSite(tmp_path, digests=True)
    check = {"expected_statuses": ["Completed"], "notify_to": [ANN], "notify": "on_change"}
    for name in ("sync", "import", "report", "export", "backup", "cleanup", "index"):
        site.product.monitor(f"Watch {name}", [{name: check}], interval={"every": 1, "period": "minutes"})
    site.product.advance(minutes=2)
    site.product.ran("index", organization_id=None)
    site.product.advance(hours=1)
    mail = site.product.last_mail()
    assert "alerts" in mail["Subject"]
    site.model.catch_up()
    page = site.get(notifications_url(mail))
    [total] = re.findall(r"<h1>(\d+) notifications</h1>", page.text)
    assert f"{total} alerts" in mail["Subject"]
    outcomes = re.findall(r'<span class="outcome">(.*?)</span>', page.text)
    assert outcomes.count("Not as expected") == len(re.findall('<li class="fails">', page.text)) >= 2
    assert outcomes.count("As expected again") == 1
    assert len(outcomes) == int(total)
    assert "Monitor: <bdi>Watch index</bdi>" in page.text
    assert "Task ID" not in page.text


def test_a_list_that_is_not_complete_yet_says_so_and_names_the_exact_number(tmp_path: Path) -> None:
    site = MailedSite(tmp_path, digests=True)
    for _ in range(5):
        site.ends()
    site.product.advance(hours=3)
    url = notifications_url(site.product.last_mail())
    empty = site.get(url)
    assert "<h1>4 notifications</h1>" in empty.text
    assert "Still collecting:</strong> 0 of 4 are here" in empty.text
    records = site.product.statuses("batched")
    site.model.catch_up(but_for=len(records))
    partly = site.get(url)
    assert "Still collecting" in partly.text
    site.model.catch_up()
    assert "Still collecting" not in site.get(url).text
    site.now = NOW + timedelta(days=40)
    site.model.forget()
    assert "None of them is kept any more" in site.get(url).text


def test_a_digest_of_which_something_was_dropped_lists_only_what_its_mail_counts(tmp_path: Path) -> None:
    site = MailedSite(tmp_path, digests=True)
    for number in range(30):
        site.ends(("org-a", "org-b")[number % 2])
    site.product.prefers(ANN, {"organizations": {"org-b": {"email": False}}})
    site.product.advance(hours=3)
    mail = site.product.last_mail()
    assert "14 completed" in mail["Subject"]
    site.model.catch_up()
    page = site.get(notifications_url(mail))
    assert "<h1>14 notifications</h1>" in page.text
    assert page.text.count("Task ID:") == 14
    assert "org-b" not in page.text
