"""Tells Kafka of a command's run, beside the command; whatever goes wrong here is none of the command's business."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from msgspec import structs

from streamnotify.cli.child_process import Ending
from streamnotify.cli.run_options import CommandRun, Ended
from streamnotify.sdk import Context, ErrorInfo, Notify, Publisher, PublisherConfig, Status, TaskEvent
from streamnotify.sdk.config import spool_of_user

FLUSH_S = 5.0


def report(run: CommandRun, end: Callable[[], Ended], *, verbose: bool) -> None:
    """Publish that a run has started, and when ``end`` returns how it has ended. Raises nothing.

    Args:
        end: waits for the end of the command.
        verbose: say on standard error what became of it; else only that it is lost, or where nobody expects it.
    """
    heard = _Heard(verbose)
    logger = logging.getLogger("streamnotify")
    logger.addHandler(heard)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        settings = _settings()
        config = _config(settings)
        publisher = Publisher(config, role="cli")
        running = started(run)
        publisher.publish(running)
        event = ended(running, end())
        is_taken = publisher.publish(event) and not publisher.flush(FLUSH_S)
        is_kept = publisher.counters.spooled > 0
        publisher.close()
    except Exception as error:  # noqa: BLE001 - the command has its exit code, whatever happens to us
        _say(f"nobody is told how {run.task_name} ended: {error}")
        return
    if is_taken:
        if verbose:
            _say(
                f"published: {run.task_name} is {event.status}; streamnotify why --task {run.task_id} says who is told"
            )
    elif not is_kept:
        _say(f"nobody is told how {run.task_name} ended: {heard.last}")
    elif verbose or "STREAMNOTIFY_SPOOL_DIR" not in settings:
        _say(
            f"Kafka did not take how {run.task_name} ended; kept in {config.spool_dir} for the next run or "
            "`streamnotify spool replay`"
        )


def started(run: CommandRun) -> TaskEvent:
    """The event that a run has begun."""
    return TaskEvent(
        task_name=run.task_name,
        status=Status.RUNNING,
        task_id=run.task_id,
        occurred_at=run.started_at,
        attempt=run.attempt,
        started_at=run.started_at,
        context=None if run.context is None else Context(**run.context),
        organization_id=run.organization_id,
        user_id=run.user_id,
        notify=None if run.notify is None else Notify(**run.notify),
        source=run.source,
        schedule=run.schedule,
    )


def ended(running: TaskEvent, end: Ended) -> TaskEvent:
    """The event that it has ended, which says all that the first one said (research/celery-sdk.md P4)."""
    error = error_of(end.ending)
    return structs.replace(
        running,
        status=Status.COMPLETED if error is None else Status.STOPPED,
        occurred_at=end.finished_at,
        finished_at=end.finished_at,
        duration_s=round(end.seconds, 6),
        exit_code=end.ending.exit_code,
        error=error,
    )


def error_of(ending: Ending) -> ErrorInfo | None:
    """Why a command's run is Stopped; None if it is not."""
    if ending.never_ran is not None:
        return ErrorInfo(message=ending.never_ran, cause="exec")
    if ending.signal is not None:
        core = " (core dumped)" if ending.dumped_core else ""
        return ErrorInfo(message=f"killed by {_name_of(ending.signal)}{core}", cause="signal")
    return ErrorInfo(message=f"exit code {ending.exit_code}") if ending.exit_code else None


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _settings() -> dict[str, str]:
    """Of the environment, then of the .env of this directory if python-dotenv is installed (SPEC section 8)."""
    settings: dict[str, str | None] = {}
    with suppress(ImportError):
        from dotenv import dotenv_values  # noqa: PLC0415 - an application that only publishes may not have it

        try:
            settings = dotenv_values(".env")
        except (
            OSError,
            ValueError,
        ) as error:  # another user's, or no UTF-8; the environment may say all that is needed
            _say(f".env is not read: {error}")
    given = {name: value for name, value in os.environ.items() if value}  # noqa: TID251 - read by PublisherConfig
    return {name: value for name, value in {**settings, **given}.items() if value}


def _config(settings: Mapping[str, str]) -> PublisherConfig:
    config = PublisherConfig.from_environment(settings)
    return config if config.spool_dir else replace(config, spool_dir=spool_of_user(settings))


class _Heard(logging.Handler):
    """Keeps the last line of the publisher's log; with ``verbose`` all of them are said."""

    def __init__(self, verbose: bool) -> None:
        super().__init__()
        self.last = "Kafka did not take it"
        self._verbose = verbose

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage().partition("\n")[0]
        if self._verbose:
            _say(self.last)


def _say(line: str) -> None:
    with suppress(OSError):  # nobody may be there to read it
        os.write(2, f"streamnotify: {line}\n".encode(errors="backslashreplace"))
