"""The JSON Schemas in schemas/ say what the models say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

from streamnotify.domain.preferences import Preferences
from streamnotify.errors import BadRecord
from streamnotify.wire import monitor_config, user, user_preferences
from streamnotify.wire.schemas import MODELS, schema_text, texts, write
from streamnotify.wire.task_event import parse

SCHEMAS = Path(__file__).parents[2] / "schemas"
TOPICS_PAGE = Path(__file__).parents[2] / "docs" / "topics.md"
SMALLEST = {"task_name": "nightly-report", "status": "Completed"}


@pytest.mark.parametrize("topic", MODELS)
def test_the_files_are_what_the_models_generate(topic: str) -> None:
    """If this fails: python -m streamnotify.wire.schemas."""
    assert (SCHEMAS / f"{topic}.json").read_text(encoding="utf-8") == schema_text(topic)


def test_writing_makes_every_file(tmp_path: Path) -> None:
    write(tmp_path / "new")
    made = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "new").iterdir()}
    assert made == texts()
    assert set(made) == {f"{topic}.json" for topic in MODELS} | {"asyncapi.json"}


@pytest.mark.parametrize("topic", MODELS)
def test_content_stays_open_so_that_optional_fields_can_be_added(topic: str) -> None:
    def closed(schema: Any) -> bool:
        children = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
        return (isinstance(schema, dict) and schema.get("additionalProperties") is False) or any(map(closed, children))

    assert not closed(json.loads(schema_text(topic)))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"status": "rEvOkEd"},
        {"status": "Done"},
        {"status": 3},
        {"task_name": 42},
        {"task_name": ""},
        {"task_name": 1.5},
        {"task_name": None},
        {"task_id": "x" * 256},
        {"task_id": None},
        {"attempt": 0},
        {"attempt": "1"},
        {"notify": True},
        {"notify": None},
        {"notify": {}},
        {"notify": "yes"},
        {"notify": {"on": ["FAILURE"]}},
        {"notify": {"on": ["never"]}},
        {"notify": {"subject_template": "x" * 4097}},
        {"error": "boom"},
        {"error": {"message": "boom", "cause": {"type": "KeyError"}}},
        {"error": 3},
        {"result": [1]},
        {"progress": {"percent": 101}},
        {"unknown": {"anything": 1}},
    ],
)
def test_the_schema_accepts_what_ingest_accepts(fields: dict[str, Any]) -> None:
    event = SMALLEST | fields
    valid = jsonschema.Draft202012Validator(json.loads(schema_text("task-events"))).is_valid(event)
    try:
        parse(json.dumps(event).encode())
    except BadRecord:
        assert not valid
    else:
        assert valid


EXAMPLES = re.findall(
    r"^```json ([\w-]+)\n(.*?)^```", TOPICS_PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
)


@pytest.mark.parametrize(("topic", "example"), EXAMPLES)
def test_the_examples_on_the_page_of_topics_are_valid(topic: str, example: str) -> None:
    """By the schema, and as their topic is read."""
    value = json.loads(example)
    jsonschema.validate(value, json.loads(schema_text(topic)))
    if topic == "monitor-configs":
        assert monitor_config.parse(example.encode(), value.get("name", "any")).warnings == []
    elif topic == "users":
        assert user.profile_of(*user.parse(example.encode(), None)).user_id == value["user_id"]
    elif topic == "user-preferences":
        record = user_preferences.parse(example.encode())
        assert user_preferences.preferences_in(record) != Preferences()
        assert not any(part.model_extra for _, part in user_preferences.parts(record))
    else:
        assert set(value) <= set(MODELS[topic].model_fields)


def test_every_topic_that_the_page_describes_has_an_example_of_every_field() -> None:
    shown = {
        topic: {field for name, text in EXAMPLES if name == topic for field in json.loads(text)}
        for topic, _ in EXAMPLES
    }
    assert shown["users"] == set(MODELS["users"].model_fields)
    assert shown["user-preferences"] | {"revision"} == set(MODELS["user-preferences"].model_fields)
    assert shown["monitor-configs"] == set(MODELS["monitor-configs"].model_fields)
    assert shown["monitor-results"] | {"error"} == set(MODELS["monitor-results"].model_fields)
