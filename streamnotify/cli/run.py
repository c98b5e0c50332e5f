"""``streamnotify run``: any command as a task, for cron, systemd, CI and every language."""

from __future__ import annotations

import threading
import time
import uuid
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import click

from streamnotify.cli.child_exec import EXIT_CANNOT_RUN
from streamnotify.cli.child_process import ChildProcess, end_as
from streamnotify.cli.run_options import ADDRESS, NAME, OUTCOMES, TEXT, CommandRun, Ended, environment_of

if TYPE_CHECKING:
    from collections.abc import Callable

_NOTIFY = ("email", "name", "on", "template", "subject_template", "urgent")


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("command_line", metavar="-- CMD [ARG]...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--task", "task_name", type=NAME, required=True, help="The task's name.")
@click.option("--id", "--task-id", "task_id", type=NAME, help="The run.  [default: a new one]")
@click.option("--attempt", type=click.IntRange(1, 2**31 - 1), help="Which attempt at the run --id this is, from 1.")
@click.option("--user", "user_id", metavar="ID", type=NAME, help="Whom to tell how it ends.")
@click.option("--email", metavar="ADDRESS", type=ADDRESS, help="Whom to tell, without --user.")
@click.option("--name", type=NAME, help="The recipient's name.")
@click.option("--org", "organization_id", metavar="ID", type=NAME, help="The organization it is about.")
@click.option("--on", metavar="success,failure", type=OUTCOMES, help="What is mailed.  [default: both]")
@click.option("--template", type=NAME, help="The mail's template.  [default: task_completion]")
@click.option("--subject", "subject_template", metavar="TEMPLATE", type=TEXT, help="The mail's subject.")
@click.option("--urgent", is_flag=True, default=None, help="The mail does not wait for a digest.")
@click.option("--notify/--silent", default=None, help="Whether somebody is told.  [default: with --user or --email]")
@click.option("--context-type", metavar="TYPE", type=NAME, help="What the run works on.")
@click.option("--context-model", metavar="MODEL", type=NAME, help="The class of that.")
@click.option("--context-id", metavar="ID", type=NAME, help="The id of that.")
@click.option("--schedule", type=NAME, help="The entry of cron, or the timer, that starts it.")
@click.option("--source", type=NAME, help="The application and environment.  [default: STREAMNOTIFY_SOURCE]")
@click.option("--verbose", is_flag=True, help="Say on standard error what was published, and what was not.")
def command(command_line: tuple[str, ...], verbose: bool, **options: Any) -> None:
    """Run CMD, and publish that it started and how it ended: 0 is Completed, all else Stopped.

    CMD is run as if this were not there: its streams, exit code, signals and job control are its own; it finds
    STREAMNOTIFY_TASK_ID and STREAMNOTIFY_TASK_NAME in its environment. It is run at once, also if Kafka is down; how it
    ended then goes to the spool after 5 s. Without KAFKA_BOOTSTRAP_SERVERS, in the environment or .env, it is run only.

    Exit code of CMD; 126 if it cannot be run, 127 if there is none, 2 if an option is wrong (CMD is not run then).

    \b
    Example:
      streamnotify run --task nightly-import --email ann@example.com --on failure -- ./import.sh --all
      streamnotify run --task tests --user u1 --org acme --context-type CI -- make test
    """
    run = _run_of(options, started_at=datetime.now(UTC))
    began = time.monotonic()
    try:
        child = ChildProcess(list(command_line), environment_of(run))
    except OSError as error:  # no more processes: then no thread of ours either, to tell somebody
        click.echo(f"streamnotify: {command_line[0]}: {error.strerror}", err=True)
        raise SystemExit(EXIT_CANNOT_RUN) from None
    ends: SimpleQueue[Ended] = SimpleQueue()
    reporter = threading.Thread(target=_report, args=(run, ends.get, verbose), daemon=True)
    try:
        reporter.start()
    except RuntimeError as error:
        click.echo(f"streamnotify: nobody is told how {run.task_name} ends: {error}", err=True)
    ending = child.wait()
    ends.put(Ended(ending, datetime.now(UTC), time.monotonic() - began))
    if reporter.ident is not None:
        reporter.join()
    end_as(ending)


def _run_of(options: dict[str, Any], started_at: datetime) -> CommandRun:
    notify = {name: value for name in _NOTIFY if (value := options.pop(name)) is not None}
    is_told = options.pop("notify")
    if is_told is None:
        is_told = options["user_id"] is not None or "email" in notify
        if notify and not is_told:
            raise click.UsageError("--email or --user is needed: who is told?")
    context = {name: value for name in ("type", "model", "id") if (value := options.pop(f"context_{name}")) is not None}
    options["task_id"] = options["task_id"] or str(uuid.uuid4())
    return CommandRun(**options, notify=notify if is_told else None, context=context or None, started_at=started_at)


def _report(run: CommandRun, end: Callable[[], Ended], verbose: bool) -> None:
    # Imported while the command runs already, and its signals are handed on.
    from streamnotify.cli.run_report import report  # noqa: PLC0415

    report(run, end, verbose=verbose)
