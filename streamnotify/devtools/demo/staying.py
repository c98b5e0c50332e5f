"""The demo after its scenes: it tells what a person at the machine makes happen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from streamnotify.devtools.demo.stage import Stage
from streamnotify.devtools.demo.words import dead_letter_line, mail_line, suppressed_line, wish_line
from streamnotify.wire.topics import DEAD_LETTERS, USER_PREFERENCES

_LOOK_EVERY = timedelta(seconds=0.3)


def stay(stage: Stage, wished: Callable[[str], None]) -> None:
    """Say what comes out from now on, until KeyboardInterrupt.

    Args:
        stage: what runs.
        wished: called with the key of each record on ``user-preferences``.

    Raises:
        ServiceEnded: if a service has ended.
    """
    try:
        while True:
            _say_what_came(stage, wished)
    except KeyboardInterrupt:
        stage.say("")


def _say_what_came(stage: Stage, wished: Callable[[str], None]) -> None:
    told = len(stage.statuses)
    for record in stage.take_in(_LOOK_EVERY):
        if record.topic() == DEAD_LETTERS.name:
            stage.say(dead_letter_line(record))
        elif record.topic() == USER_PREFERENCES.name:
            stage.say(wish_line(record))
            wished((record.key() or b"").decode())
    for status in stage.statuses[told:]:
        if status["status"] == "suppressed":
            stage.say(suppressed_line(status))
        elif status["status"] == "batched":
            stage.say(f"{status['task_name']} {status['task_id']} waits for a digest until {status['next_at']}")
    for mail in stage.inbox.mails:
        if mail.number not in stage.shown:
            stage.shown.add(mail.number)
            stage.say(mail_line(mail))
