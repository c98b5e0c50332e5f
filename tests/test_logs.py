"""Log lines as text and as JSON."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

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


NAMING = [
    ("sent successfully to %s for task t-1", "ann.o'neil+x=y@sub.example.com", "sent successfully to *** for task t-1"),
    ("Failed to send to %s: 550 no such user", "ann@example.com", "Failed to send to ***: 550 no such user"),
    ("%s wants no more of this", "address:ann@example.com", "address:*** wants no more of this"),
    ("the relay says %s", '<ann@example.com>, "ann@example.com" unknown', 'the relay says <***>, "***" unknown'),
    ("held for %s until 2024", "jörg.ann@bücher.example", "held for *** until 2024"),
    ("dead-letters %s of @superusers", "task-events[3]@17", "dead-letters task-events[3]@17 of @superusers"),
]


@pytest.mark.parametrize("style", ["text", "json"])
@pytest.mark.parametrize(("sentence", "address", "masked"), NAMING)
def test_addresses_are_masked_as_docs_delivery_md_says(sentence: str, address: str, masked: str, style: str) -> None:
    page = Path(__file__).parents[1] / "docs" / "delivery.md"
    [script] = re.findall(r"sed -uE '(.+)' >&2", page.read_text("utf-8"))
    stream = io.StringIO()
    logs.configure("INFO", style, stream)
    logger.info(sentence, address)
    run = subprocess.run(["sed", "-uE", script], input=stream.getvalue(), capture_output=True, text=True, check=True)
    said = json.loads(run.stdout)["event"] if style == "json" else run.stdout
    assert masked in said
    assert re.search("ann|example.com|bücher", run.stdout) is None
