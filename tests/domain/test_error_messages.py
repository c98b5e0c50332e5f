"""An error's message as a mail shows it."""

from __future__ import annotations

import pytest

from streamnotify.domain.error_messages import ERROR_MESSAGE_LIMIT, both_ends
from streamnotify.domain.run_mail import decide_mail
from streamnotify.domain.runs import Notify
from streamnotify.domain.status import Status
from streamnotify.wire.cuts import cut_error
from tests.domain.run_builders import an_update


def test_what_has_room_stays_as_it_is() -> None:
    text = "x" * ERROR_MESSAGE_LIMIT
    assert both_ends(text) == text


@pytest.mark.parametrize("length", [2001, 20_000, 1_000_000])
def test_a_long_message_is_mailed_with_both_its_ends_and_its_length_whatever_cuts_it_on_its_way(length: int) -> None:
    message = "first\n" + "x" * (length - 10) + "last"
    update = an_update(Status.STOPPED, notify=Notify(email="ann@example.com"), error=cut_error(message))
    assert update.end is not None
    decision = decide_mail("nightly-report", "run-1", update.facts, update.end, ())
    assert decision is not None
    shown = decision.notification.error_message
    assert shown is not None
    assert len(shown) == ERROR_MESSAGE_LIMIT
    assert (shown[:7], shown[-5:]) == ("first\nx", "xlast")
    assert shown.count("characters in all") == 1
    assert f"x\n… {length:,} characters in all …\nx" in shown
