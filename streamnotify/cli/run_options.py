"""What the options of ``streamnotify run`` may be, looked at before the command is run.

Nothing here imports pydantic or the SDK: the command waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from streamnotify.cli.child_process import Ending
from streamnotify.wire.run_environment import RUN_ATTEMPT, RUN_ID, RUN_NAME

_OUTCOMES = ("success", "failure")  # a command is never Cancelled


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRun:
    """A run of a command. Fields as in SPEC 2.1.

    Args:
        notify: the options about it; None: a silent run.
    """

    task_name: str
    task_id: str
    attempt: int | None = None
    organization_id: str | None = None
    user_id: str | None = None
    notify: dict[str, Any] | None = None
    context: dict[str, str] | None = None
    schedule: str | None = None
    source: str | None = None
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Ended:
    """Its end; ``seconds`` it took, by a clock that never jumps."""

    ending: Ending
    finished_at: datetime
    seconds: float


def environment_of(run: CommandRun) -> dict[str, str]:
    """What the command finds in its environment, so that it can publish about its run."""
    attempt = {} if run.attempt is None else {RUN_ATTEMPT: str(run.attempt)}
    return {RUN_ID: run.task_id, RUN_NAME: run.task_name, **attempt}


class Words(click.ParamType):
    """A text of at least one and at most ``most`` characters."""

    def __init__(self, name: str, most: int) -> None:
        self.name = name
        self.most = most

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not 0 < len(value) <= self.most:
            self.fail(f"1 to {self.most} characters are allowed, not {len(value)}", param, ctx)
        if not _is_unicode(value):
            self.fail("it is not UTF-8", param, ctx)
        return value


class Address(click.ParamType):
    """An e-mail address that workers will accept."""

    name = "address"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from email_validator import EmailNotValidError  # noqa: PLC0415 - 30 ms, which only --email costs

        from streamnotify.wire.addresses import ascii_address  # noqa: PLC0415 - likewise

        try:
            ascii_address(value)
        except EmailNotValidError as error:
            self.fail(f"{value!r} is no e-mail address: {error}", param, ctx)
        return value


class Outcomes(click.ParamType):
    """A list with commas."""

    name = "outcomes"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        words = tuple(dict.fromkeys(word.strip().lower() for word in value.split(",")))
        for word in words:
            if word not in _OUTCOMES:
                self.fail(f"{' and '.join(_OUTCOMES)} are allowed, with a comma between them, not {word!r}", param, ctx)
        return words


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # bytes that are no text in this locale
        return False
    return True


NAME = Words("text", 255)  # wire.fields has these two lengths, but imports pydantic
TEXT = Words("text", 4096)
ADDRESS = Address()
OUTCOMES = Outcomes()
