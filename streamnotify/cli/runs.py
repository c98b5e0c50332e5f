"""``streamnotify runs``: which runs of a task do its monitors see?"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from streamnotify import bootstrap, settings
from streamnotify.cli.numbers import Number
from streamnotify.logs import visible
from streamnotify.stream.asking import ask
from streamnotify.wire.commands import AskRuns, RunsAnswer, RunSeen

_LONGEST_HOURS = 840  # runs are kept for 35 d (SPEC section 3)


@click.command()
@click.argument("task_name")
@click.option(
    "--lookback",
    metavar="HOURS",
    type=Number(0, _LONGEST_HOURS, min_open=True),
    default=24,
    show_default=True,
    help="How far to look back from now.",
)
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many, the newest ones.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def command(task_name: str, lookback: float, limit: int, as_json: bool) -> None:
    """List the runs of TASK_NAME as its monitors see them: when each started and its status, newest first.

    A running worker is asked. TASK_NAME is case-sensitive. Exit code 0 if there are any, 1 if there are none or nobody
    answered.

    \b
    Example:
      streamnotify runs hourly_data_sync --lookback 2
    """
    query = AskRuns("", task_name, datetime.now(UTC) - timedelta(hours=lookback), limit)
    [answer] = ask(bootstrap.engine_config(settings.load(), Path()), [query], RunsAnswer)
    if as_json:
        click.echo(json.dumps([_described(run) for run in answer.runs], indent=2))
    else:
        for run in answer.runs:
            click.echo(visible(_line(run)))
        click.echo(_counted(answer, task_name, lookback))
    raise SystemExit(0 if answer.runs else 1)


def _line(run: RunSeen) -> str:
    when = f"{run.at:%Y-%m-%d %H:%M:%S} UTC: {run.status}"
    ended = f", finished at {run.finished_at:%Y-%m-%d %H:%M:%S} UTC" if run.finished_at else ""
    waits = "" if run.started_at else ", not started yet"
    context = " ".join(part for part in (run.context_model, run.context_type) if part)
    organization = f", organization {run.organization_id}" if run.organization_id else ""
    return f"{when}{ended}{waits}{', ' + context if context else ''}{organization}  {run.task_id}"


def _counted(answer: RunsAnswer, task_name: str, lookback: float) -> str:
    number = "1 run" if len(answer.runs) == 1 else f"{len(answer.runs)} runs"
    more = ", and there are older ones: see --limit" if answer.more else ""
    hint = "" if answer.runs else "; a task's name is case-sensitive"
    return f"{number} of {visible(task_name)} in the last {lookback:g} hour(s){more}{hint}"


def _described(run: RunSeen) -> dict[str, Any]:
    return {
        "task_id": run.task_id,
        "status": run.status,
        "at": run.at.isoformat(),
        "started_at": run.started_at and run.started_at.isoformat(),
        "finished_at": run.finished_at and run.finished_at.isoformat(),
        "context_model": run.context_model,
        "context_type": run.context_type,
        "organization_id": run.organization_id,
    }
