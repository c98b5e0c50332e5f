"""Having a monitor look now: its tasks from a file or from the workers, and what they find (SPEC section 5)."""

from __future__ import annotations

import difflib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from streamnotify import bootstrap
from streamnotify.cli.applying import published
from streamnotify.cli.documents import STDIN, UnreadableFile, name_of, read_documents
from streamnotify.cli.monitor_files import is_a_monitor, written_name
from streamnotify.domain.alerts import CheckResult, Verdict
from streamnotify.domain.monitors import TaskCheck
from streamnotify.errors import BadRecord
from streamnotify.settings import Settings
from streamnotify.stream.asking import PATIENCE, ask
from streamnotify.stream.topic_reader import TopicReader
from streamnotify.wire.commands import AskCheck, AskMonitor, CheckAnswer, MonitorAnswer
from streamnotify.wire.monitor_config import parse, parse_tasks
from streamnotify.wire.monitor_result import MonitorResult
from streamnotify.wire.topics import MONITOR_CONFIGS, MONITOR_RESULTS


class Refused(Exception):
    """There is nothing that could be looked for; says why."""


class Wanted(NamedTuple):
    """What is looked for, and in whose name; ``warnings`` are about what was ignored."""

    monitor: str
    tasks: Mapping[str, TaskCheck]
    warnings: Sequence[str] = ()


def is_file(monitor: str) -> bool:
    """Whether what was given means a file and not a name."""
    try:
        return monitor == STDIN or Path(monitor).suffix in (".json", ".yaml", ".yml") or Path(monitor).is_file()
    except OSError:  # too long for a file
        return False


def monitor_in(file: str) -> Wanted:
    """The one monitor in a file, or the tasks alone, in every form that ``args`` may have.

    Raises:
        Refused: if it cannot be used.
    """
    try:
        documents = read_documents(file)
        if len(documents) != 1:
            raise Refused(f"{name_of(file)}: one monitor is allowed, not {len(documents)}")
        return _wanted(Path(file).stem, documents[0])
    except (UnreadableFile, BadRecord) as error:
        raise Refused(str(error) if isinstance(error, UnreadableFile) else f"{name_of(file)}: {error}") from None


def named(loaded: Settings, name: str) -> Wanted:
    """A monitor as the workers have it, enabled or not.

    Raises:
        Refused: if there is none.
        EngineFailure: if nobody answers; also as :func:`streamnotify.stream.asking.ask`.
    """
    [answer] = ask(bootstrap.engine_config(loaded, Path()), [AskMonitor("", name)], MonitorAnswer)
    if answer.monitor is None:
        raise Refused(f"there is no monitor {name}, and no such file{meant(name, published(loaded, MONITOR_CONFIGS))}")
    return Wanted(name, answer.monitor.tasks)


def meant(name: str, known: Iterable[str]) -> str:
    """What is added to the news that a name is unknown: the one most like it, if there is one."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def look(loaded: Settings, wanted: Wanted, notify: bool) -> dict[str, CheckResult]:
    """What is found of each task now.

    Args:
        loaded: the settings.
        wanted: the tasks.
        notify: record it, and mail it; who was told is then in the results.

    Raises:
        EngineFailure: if nobody answers; also as :func:`streamnotify.stream.asking.ask`.
    """
    config = bootstrap.engine_config(loaded, Path())
    queries = [AskCheck("", wanted.monitor, name, check, notify) for name, check in wanted.tasks.items()]
    if not notify:
        return _results(ask(config, queries, CheckAnswer))
    results_topic = config.topic_name(MONITOR_RESULTS)
    with TopicReader(config.bootstrap_servers, [results_topic], config.security, only_new=True) as reader:
        found = _results(ask(config, queries, CheckAnswer))
        # Superusers may be waited for as long as an unknown user (SPEC section 5).
        return _as_recorded(found, reader, loaded.recipient_hold + PATIENCE)


def is_ok(result: CheckResult) -> bool:
    """Whether the task is as expected, and the check itself went well."""
    return result.verdict is Verdict.OK and result.error is None


def described(result: CheckResult) -> dict[str, Any]:
    """A result for a script."""
    found = {
        "verdict": result.verdict.value,
        "current_status": result.current_status,
        "started_at": result.started_at and result.started_at.isoformat(),
        "finished_at": result.finished_at and result.finished_at.isoformat(),
        "notified": list(result.notified),
    }
    return found if result.error is None else {**found, "error": result.error}


def _wanted(name: str, document: Any) -> Wanted:
    many = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    if len(many) > 1 and all(map(is_a_monitor, many)):
        raise Refused(f"there are {len(many)} monitors in the file: publish them, and name the one that is to look")
    if isinstance(document, list) and len(document) == 1 and is_a_monitor(document[0]):
        document = document[0]
    elif isinstance(document, dict) and len(document) == 1 and is_a_monitor(next(iter(document.values()))):
        [(name, document)] = document.items()
    value = json.dumps(document).encode()
    if not is_a_monitor(document):
        return Wanted(name, *parse_tasks(value))
    parsed = parse(value, written_name(document) or name)
    return Wanted(parsed.monitor.name, parsed.monitor.tasks, parsed.warnings)


def _results(answers: list[CheckAnswer]) -> dict[str, CheckResult]:
    return {answer.now.task_name: answer.now for answer in answers if answer.now and answer.now.task_name}


def _as_recorded(found: dict[str, CheckResult], reader: TopicReader, patience: timedelta) -> dict[str, CheckResult]:
    """The results with what only their records say: who was told, and what went wrong with that."""
    recorded: dict[str, CheckResult] = {}
    deadline = time.monotonic() + patience.total_seconds()
    while len(recorded) < len(found):
        message = reader.next(timedelta(seconds=deadline - time.monotonic()))
        if message is None:
            late = {name: replace(result, error="not recorded in time") for name, result in found.items()}
            return {**late, **recorded}
        try:
            record = MonitorResult.model_validate_json(message.value() or b"")
        except ValidationError:
            continue  # a newer worker's, about something else
        result = found.get(record.task_name or "")
        if result and (record.monitor, record.check_time) == (result.monitor, result.check_time):
            name = record.task_name or ""
            recorded[name] = replace(result, notified=tuple(record.notified or ()), error=record.error)
    return {name: recorded[name] for name in found}
