"""docs/publishing.md: its code runs, and it names every setting, counter and function there is."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from streamnotify import sdk
from streamnotify.sdk.config import PublisherConfig
from streamnotify.sdk.counters import Counters
from tests.sdk import topics

DOCS = (Path(__file__).parents[2] / "docs" / "publishing.md").read_text()
FROM_ENVIRONMENT = {"bootstrap_servers", "security", "topic", "source", "spool_dir"}


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL))
def test_its_code_runs_as_it_stands_there(code: str) -> None:
    _, complained = topics.output(code, KAFKA_BOOTSTRAP_SERVERS="")
    assert complained == ""


def test_it_names_every_setting_with_its_default() -> None:
    for field in dataclasses.fields(PublisherConfig):
        if field.name not in FROM_ENVIRONMENT:
            assert f"`{field.name}`" in DOCS
    config = PublisherConfig()
    assert f"| {config.queue_events:,}, {config.queue_bytes // 2**20} MiB |" in DOCS
    for name in ("linger_ms", "give_up_s", "flush_s"):
        assert re.search(rf"`{name}` \| {getattr(config, name):g} \|", DOCS)


def test_it_names_every_counter_and_function() -> None:
    names = [field.name for field in dataclasses.fields(Counters)]
    names += ["progress(", "invalidate(", "default_publisher()", "set_default_publisher()"]
    assert [name for name in names if f"`{name}" not in DOCS] == []
    assert {"publish", "progress", "invalidate", "default_publisher", "set_default_publisher"} <= set(sdk.__all__)
