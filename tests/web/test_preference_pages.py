"""The preferences page: what it shows, what a form changes, and what it refuses."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Any

import pytest

from streamnotify.domain.digest_wishes import DigestWish, QuietHours
from streamnotify.domain.preference_changes import USUAL, PreferenceChange
from streamnotify.errors import EngineFailure
from streamnotify.wire.commands import ChangePreferences
from streamnotify.wire.topics import USER_PREFERENCES
from tests.web.browsing import HEALTH, NOW, PUBLIC_URL, Site
from tests.web.filled_forms import shown, switch_of
from tests.web.mailed_site import ANN, MailedSite
from tests.web.test_unsubscribe_pages import text_of


def changes(site: Site) -> list[PreferenceChange]:
    assert all(isinstance(command, ChangePreferences) for _, _, command in site.commands.sent)
    return [command.change for _, _, command in site.commands.sent]


def test_a_link_in_a_mail_shows_its_kinds_and_organization_even_if_nothing_else_is_known(site: Site) -> None:
    page = site.get(site.preferences_link())
    for said in ("Your mail preferences", "cannot look up", "Task results", "All-clears of monitored tasks", "org-a"):
        assert said in text_of(page)
    assert {*shown(page).values()} >= {"keep"}
    assert site.request("HEAD", site.preferences_link()).status_code == 200
    assert site.get(site.links.preferences.url(HEALTH, NOW) or "").status_code == 200


def test_what_is_known_is_shown(known: MailedSite) -> None:
    wishes = {"kinds": {"report": False}, "organizations": {"org-b": {"email": False}}, "digest": {"window": "45m"}}
    known.product.prefers("ann", wishes | {"quiet_hours": {"from": "21:15", "to": "06:45", "timezone": "Asia/Tokyo"}})
    known.product.prefers(ANN, {"kinds": {"weekly": False}})
    known.product.prefers("organization:org-off", {"email": False})
    for organization in ("org-a", "org-off"):
        known.ends(organization, user_id="ann")
    known.model.catch_up()
    page = known.get(known.preferences_link("user:ann"))
    form, read = shown(page), text_of(page)
    for label, is_on in (
        ("Task results", True),
        ("report", False),
        ("weekly", False),
        ("org-a", True),
        ("org-b", False),
    ):
        assert (switch_of(page, label) in form) is is_on, label
    assert "org-off Off, and cannot be turned on here Off" in read
    assert "Europe/Rome time" in read
    assert form["digest"] == "45m"
    assert "Gather what comes within 45 minutes" in read
    assert (form["quiet"], form["quiet_from"], form["quiet_to"]) == ("on", "21:15", "06:45")
    assert form["quiet_zone"] == "Asia/Tokyo"
    known.post(known.preferences_link("user:ann"), **form)
    assert len(known.product.engine.records(USER_PREFERENCES)) == 3  # nothing was touched


def test_an_address_is_shown_what_its_user_wants(known: MailedSite) -> None:
    known.product.prefers("ann", {"kinds": {"report": False}})
    known.model.catch_up()
    page = known.get(known.preferences_link(f"address:{ANN}"))
    assert switch_of(page, "report") not in shown(page)
    assert "Europe/Rome" in page.text


def test_who_is_in_no_directory_sees_what_they_were_told_about(known: MailedSite) -> None:
    for email in ("ben@example.com", "zoe@example.com"):
        known.product.ran("import", organization_id=f"of {email[:3]}", notify={"email": email})
    known.product.user("ben")
    known.product.ran("import", organization_id="as a user", user_id="ben", notify={"email": "ben@example.com"})
    known.product.no_user("ben")
    known.model.catch_up()
    read = text_of(known.get(known.preferences_link("address:ben@example.com")))
    assert "of ben" in read
    assert "of zoe" not in read
    assert "UTC, or the time zone of your account" in read
    gone = text_of(known.get(known.preferences_link("user:ben")))
    assert "as a user" in gone
    others = text_of(known.get(known.preferences_link("@superusers")))
    assert not [name for name in ("of zoe", "of ben") if name in gone + others]
    assert "as a user" not in others


def test_what_the_account_says_is_told_and_cannot_be_changed(known: MailedSite) -> None:
    said = {"email": False, "kinds": {"report": False}, "digest": "daily at 08:00"}
    said["quiet_hours"] = {"from": "20:00", "to": "08:00"}
    known.product.user("ann", email=ANN, preferences=said)
    known.model.catch_up()
    page = known.get(known.preferences_link("user:ann"))
    read = text_of(page)
    assert "Send me mails Off in your account: turn it on there Off" in read
    assert "report Off in your account: turn it on there Off" in read
    assert "As your account says: send one a day at 08:00" in read
    assert "Your account has quiet hours from 20:00 to 08:00." in read
    known.post(known.preferences_link("user:ann"), **shown(page))
    assert known.product.engine.records(USER_PREFERENCES) == []


@pytest.mark.parametrize(
    ("own", "changed", "expected", "said"),
    [
        ({}, {"email": None}, PreferenceChange(email=False), "All mails are turned off."),
        ({"email": False}, {"email": "on"}, PreferenceChange(email=True), "Mails are turned on again."),
        ({}, {"kind.0": None}, PreferenceChange(kinds={"task_completion": False}), "Off: Task results."),
        ({"kinds": {"report": False}}, {"kind.4": "on"}, PreferenceChange(kinds={"report": True}), "On again: report."),
        ({}, {"organization.0": None}, PreferenceChange(organizations={"org-a": False}), "Off: org-a."),
        (
            {},
            {"digest": "0s"},
            PreferenceChange(digest=DigestWish(window=timedelta())),
            "Send each by itself, at once.",
        ),
        (
            {},
            {"digest": "4h"},
            PreferenceChange(digest=DigestWish(window=timedelta(hours=4))),
            "Gather what comes within 4 hours.",
        ),
        (
            {},
            {"digest": "daily", "daily_at": "07:05"},
            PreferenceChange(digest=DigestWish(daily_at=time(7, 5))),
            "Send one a day at 07:05.",
        ),
        (
            {"digest": "daily at 18:30"},
            {"daily_at": "18:31"},
            PreferenceChange(digest=DigestWish(daily_at=time(18, 31))),
            "Send one a day at 18:31.",
        ),
        ({"digest": False}, {"digest": "usual"}, PreferenceChange(digest=USUAL), "Mails about tasks come as usual."),
        (
            {},
            {"quiet": "on", "quiet_from": "23:00"},
            PreferenceChange(quiet_hours=QuietHours(time(23), time(7))),
            "Quiet hours: 23:00 to 07:00.",
        ),
        (
            {"quiet_hours": {"from": "22:00", "to": "07:00"}},
            {"quiet_zone": "Africa/Addis_Ababa"},
            PreferenceChange(quiet_hours=QuietHours(time(22), time(7), "Africa/Addis_Ababa")),
            "Quiet hours: 22:00 to 07:00, Africa/Addis Ababa time.",
        ),
        (
            {"quiet_hours": {"from": "22:00", "to": "07:00"}},
            {"quiet": None},
            PreferenceChange(quiet_hours=USUAL),
            "No quiet hours any more.",
        ),
        ({"kinds": {"report": False}, "digest": False}, {}, None, "Nothing was different"),
    ],
)
def test_only_what_was_touched_is_commanded_and_the_answer_shows_what_was_wished_for(
    known: MailedSite, own: dict[str, Any], changed: dict[str, str | None], expected: PreferenceChange | None, said: str
) -> None:
    known.product.prefers("ann", own)
    known.model.catch_up()
    sent: list[Any] = []
    known.commands.send = lambda *command: sent.append(command)  # type: ignore[method-assign]
    url = known.preferences_link("user:ann")
    form = shown(known.get(url)) | changed
    posted_form = {name: value for name, value in form.items() if value is not None}
    answer = known.post(url, **posted_form)
    assert answer.status_code == 200
    assert said in text_of(answer)
    wanted = [] if expected is None else [("user:ann", ChangePreferences("user:ann", expected))]
    assert [(key, command) for _, key, command in sent] == wanted
    after = shown(answer)
    assert {name: after.get(name) for name in changed} == changed
    assert known.post(url, **after).status_code == 200
    assert len(sent) == len(wanted)  # what was wished for is what it shows, so that it is nothing new


def test_without_kafka_nobody_is_told_that_it_was_saved(site: Site) -> None:
    site.commands.failure = EngineFailure("Kafka at kafka-1:9092 is away")
    answer = site.post(site.preferences_link(), **shown(site.get(site.preferences_link())) | {"email": "off"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert "Please try again" in text_of(answer)
    assert "kafka-1" not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example.com"},
        {"Origin": "https://notify.example.com.evil.example"},
        {"Origin": "http://evil.example.com", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "not an origin"},
    ],
)
def test_a_form_from_another_site_is_refused_even_with_a_link(site: Site, headers: dict[str, str]) -> None:
    form = shown(site.get(site.preferences_link())) | {"email": "off"}
    answer = site.request("POST", site.preferences_link(), data=form, headers=headers)
    assert answer.status_code == 403
    assert "sent from another page" in text_of(answer)
    assert site.commands.sent == []
    # What a mail program sends is no form of ours, and must get through (RFC 8058).
    url = site.link()
    assert site.request("POST", url, content="List-Unsubscribe=One-Click", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "null"},
        {"Origin": PUBLIC_URL, "Sec-Fetch-Site": "same-origin"},
        {"Origin": PUBLIC_URL, "Host": "127.0.0.1:8090"},
        {"Origin": "http://127.0.0.1:8090", "Host": "127.0.0.1:8090"},
    ],
)
def test_our_own_form_gets_through_also_behind_a_proxy(site: Site, headers: dict[str, str]) -> None:
    form = shown(site.get(site.preferences_link())) | {"email": "off"}
    assert site.request("POST", site.preferences_link(), data=form, headers=headers).status_code == 200
    assert changes(site) == [PreferenceChange(email=False)]
