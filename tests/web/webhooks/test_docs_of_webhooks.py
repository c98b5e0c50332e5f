"""docs/feedback.md tells the webhooks' limits as the code has them."""

from __future__ import annotations

import re
from pathlib import Path

from streamnotify.web.bodies import PATIENCE
from streamnotify.web.webhooks import mailgun, routes, sendgrid, sns
from streamnotify.web.webhooks.refusals import NotNow, Refused, Replayed, Unreadable
from streamnotify.wire.durations import format_duration

PAGE = (Path(__file__).parents[3] / "docs" / "feedback.md").read_text()


def row(start: str) -> str:
    """The row of a table that begins so."""
    [found] = re.findall(rf"^\| {re.escape(start)}.*$", PAGE, re.MULTILINE)
    return str(found)


def test_the_ages_of_signatures_are_as_they_are_checked() -> None:
    for name, oldest in (("ses", sns.OLDEST), ("sendgrid", sendgrid.OLDEST), ("mailgun", mailgun.OLDEST)):
        hours = int(oldest.total_seconds()) // 3600
        assert f"at most {hours} h old" in row(f"`POST /webhooks/{name}`")


def test_answers_and_limits_are_as_they_are_given() -> None:
    for why in (Refused, Replayed, Unreadable, NotNow):
        assert row(f"{why.answer} ")
    assert (
        f"within {format_duration(PATIENCE).removesuffix('s')} s, or has more than {routes.MAX_BYTES >> 20} MiB" in PAGE
    )
    assert f"{routes.MOST_AT_A_TIME} requests are under way" in PAGE
