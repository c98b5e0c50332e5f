"""Instants as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from streamnotify.render.instants import instant
from streamnotify.render.policy import RenderPolicy
from streamnotify.render.renderer import Renderer
from tests.render.a_notification import NOW, a_notification
from tests.render.reading import html_of, text_of, words

AT = datetime(2024, 1, 15, 14, 30, 25, 999_999, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        (None, "2024-01-15 14:30:25 UTC"),
        ("UTC", "2024-01-15 14:30:25 UTC"),
        ("Etc/UTC", "2024-01-15 14:30:25 UTC"),
        ("Europe/Rome", "2024-01-15 15:30:25 CET"),
        ("America/New_York", "2024-01-15 09:30:25 EST"),
        ("Asia/Kolkata", "2024-01-15 20:00:25 IST"),
        ("Europe/Istanbul", "2024-01-15 17:30:25 UTC+03"),
        ("America/Sao_Paulo", "2024-01-15 11:30:25 UTC-03"),
        ("Asia/Kathmandu", "2024-01-15 20:15:25 UTC+05:45"),
        ("Pacific/Marquesas", "2024-01-15 05:00:25 UTC-09:30"),
    ],
)
def test_an_instant_is_said_in_the_readers_zone(zone: str | None, said: str) -> None:
    assert instant(AT, zone) == said
    assert instant(AT.astimezone(timezone(timedelta(hours=9))), zone) == said


def test_summer_has_a_name_of_its_own() -> None:
    assert instant(AT.replace(month=7), "Europe/Rome") == "2024-07-15 16:30:25 CEST"


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "Europe", "a\0b", "x" * 300])
def test_an_unknown_zone_is_utc(zone: str) -> None:
    assert instant(AT, zone) == "2024-01-15 14:30:25 UTC"


def test_the_first_and_last_days_there_are_can_be_said() -> None:
    assert instant(datetime.max.replace(tzinfo=UTC), "Asia/Tokyo") == "9999-12-31 23:59:59 UTC"
    assert instant(datetime.min.replace(tzinfo=UTC), "America/New_York") == "0001-01-01 00:00:00 UTC"


def test_a_task_mail_says_its_end_in_the_recipients_zone() -> None:
    renderer = Renderer(RenderPolicy("noreply@example.com"))
    mail = renderer.task_mail(a_notification(timezone="Europe/Rome"), "ann@example.com", NOW)
    for said in (text_of(mail), words(html_of(mail))):
        assert "2024-01-15 15:30:25 CET" in said
        assert "UTC" not in said
