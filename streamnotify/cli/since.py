"""The option ``--since`` of the commands that read a topic from some time on."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from streamnotify.wire.durations import duration


class Ago(click.ParamType):
    """How long ago, as a duration of the settings' form; the instant."""

    name = "duration"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """See click."""
        try:
            return datetime.now(UTC) - duration(zero=False)(value)
        except (ValueError, OverflowError) as error:
            self.fail(str(error), param, ctx)
