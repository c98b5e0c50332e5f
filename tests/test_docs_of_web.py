"""docs/web.md says of the read model what the code does."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from streamnotify.web.read_model import follower, following, schema
from streamnotify.web.read_model.answers import Freshness
from streamnotify.web.read_model.following import Intervals
from streamnotify.web.read_model.records import _SHOWN_BYTES
from streamnotify.web.read_model.tables import TABLES

PAGE = (Path(__file__).parents[1] / "docs" / "web.md").read_text(encoding="utf-8")
LOG = PAGE.partition("## What the log says")[2]
ROWS = {
    topic: row
    for row in re.findall(r"^\| `.*\|$", PAGE.partition("## What it takes")[0], re.MULTILINE)
    for topic in re.findall(r"`([a-z-]+)`", row.split("|")[1])
}


def test_every_topic_is_there_with_how_long_its_rows_are_kept() -> None:
    assert ROWS.keys() == TABLES.keys()
    for topic, table in TABLES.items():
        assert f"{table.kept.days} d" in ROWS[topic].split("|")[3]


def test_the_file_and_the_freshness_are_named_as_they_are() -> None:
    name = schema.file_in(Path()).name
    assert f"`{schema.FOLDER}/{name}`" in PAGE
    assert all(f'"{field}":' in PAGE for field in Freshness.__struct_fields__)
    assert Intervals().measure.total_seconds() == 2
    assert "every two seconds" in PAGE
    assert f"first {_SHOWN_BYTES:,} bytes" in PAGE


@pytest.mark.parametrize("line", re.findall(r"^\| `Read model: (.*?)`", LOG, re.MULTILINE))
def test_the_log_says_what_the_page_says(line: str) -> None:
    said = inspect.getsource(follower) + inspect.getsource(following) + "Kafka at does not answer Run: "
    for part in re.split(r"…|streamnotify topics apply", line):
        assert part.strip(" .;,()") in said
