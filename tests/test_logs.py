"""Log lines as text and as JSON."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from streamnotify import logs
from streamnotify.errors import BadRecord, SettingsError

logger = logging.getLogger("streamnotify.example")


@pytest.fixture(autouse=True)
def root_logger_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def _logged(style: str, level: str = "INFO") -> str:
    stream = io.StringIO()
    logs.configure(level, style, stream)
    password = "hunter2"  # a local variable, as tracebacks know them
    try:
        raise ValueError("broken")
    except ValueError:
        logger.exception("Task completion email sent successfully to %s for task %s", "ann@example.com", len(password))
    logger.debug("not shown")
    return stream.getvalue()


def test_a_sentence_stays_unbroken_in_text() -> None:
    written = _logged("text")
    assert (
        "[error    ] Task completion email sent successfully to ann@example.com for task 7 [streamnotify.exam"
        in written
    )
    assert "ValueError: broken" in written


def test_json_is_one_object_a_line() -> None:
    (line,) = _logged("json").splitlines()
    written = json.loads(line)
    assert written["event"] == "Task completion email sent successfully to ann@example.com for task 7"
    assert (written["level"], written["logger"]) == ("error", "streamnotify.example")
    assert written["exception"].endswith("ValueError: broken")


@pytest.mark.parametrize("style", ["text", "json"])
def test_tracebacks_do_not_show_what_variables_hold(style: str) -> None:
    assert "hunter2" not in _logged(style).replace('password = "hunter2"', "")


def test_libraries_never_log_at_debug() -> None:
    logs.configure("DEBUG", "text", io.StringIO())
    assert not logging.getLogger("aiokafka.fetcher").isEnabledFor(logging.DEBUG)
    assert logger.isEnabledFor(logging.DEBUG)
    logs.configure("INFO", "text", io.StringIO())
    assert not logging.getLogger("faust.tables").isEnabledFor(logging.INFO)


def test_what_comes_from_outside_cannot_forge_a_log_line() -> None:
    stream = io.StringIO()
    logs.configure("INFO", "text", stream)
    evil = "a\r\n2026-01-01T00:00:00Z [info] all is well\x1b[2J\u2028\u202e"
    logger.warning("mailed %s for %s: %s", evil, 5, BadRecord(evil))
    [line] = stream.getvalue().splitlines()
    shown = r"a\r\n2026-01-01T00:00:00Z [info] all is well\x1b[2J\u2028\u202e"
    assert f"mailed {shown} for 5: {shown}" in line


def test_several_wrong_settings_keep_their_lines() -> None:
    stream = io.StringIO()
    logs.configure("INFO", "text", stream)
    logger.error("Refused to start: %s", SettingsError("A is 1\nB is 2"))
    assert len(stream.getvalue().splitlines()) == 2


def test_a_library_that_repeats_itself_is_heard_once_a_minute() -> None:
    now = [0.0]
    repetitions = logs.Repetitions("aiokafka", lambda: now[0])

    def said(name: str, sentence: str, *arguments: object) -> str | None:
        record = logging.LogRecord(name, logging.ERROR, "", 0, sentence, arguments, None)
        return record.getMessage() if repetitions.filter(record) else None

    assert said("aiokafka", "Unable connect to node with id %s", 1) == "Unable connect to node with id 1"
    now[0] = 59.9
    assert [said("aiokafka", "Unable connect to node with id %s", 2) for _ in range(3)] == [None] * 3
    assert said("aiokafka.client", "Unable to update metadata") == "Unable to update metadata"
    assert [said("streamnotify.stream", "the same") for _ in range(2)] == ["the same"] * 2
    now[0] = 60.0
    assert said("aiokafka", "Unable connect to node with id %s", 1) == (
        "Unable connect to node with id 1 (3 such lines were left out)"
    )
