"""The AsyncAPI document and the examples: valid by AsyncAPI's own schema, by ours, and as the service reads them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

from streamnotify import settings
from streamnotify.domain.preferences import Preferences
from streamnotify.stream.dead_letter_replay import REPLAY_OF
from streamnotify.stream.dead_letters import NOT_KEPT
from streamnotify.stream.layers import RECORD_ID
from streamnotify.wire import dead_letter, feedback, monitor_config, task_event, user, user_preferences
from streamnotify.wire.asyncapi import FILE, PARTITIONS, document
from streamnotify.wire.example import Example
from streamnotify.wire.examples import EXAMPLES
from streamnotify.wire.schemas import MODELS, texts
from streamnotify.wire.task_event_fast import parse_fast
from streamnotify.wire.topic_layout import layouts

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "schemas"
OFFICIAL = Path(__file__).parent / "asyncapi" / "schema-3.0.0.json"
PUBLIC = [layout.name for layout in layouts("", "app", 1, 1) if not layout.name.startswith("app-")]
ALL = [pytest.param(topic, each, id=f"{topic}-{each.name}") for topic in EXAMPLES for each in EXAMPLES[topic]]
CHECK_JSONSCHEMA = Path(sys.executable).with_name("check-jsonschema")


def test_the_file_is_what_the_models_and_the_layout_generate() -> None:
    """If this fails: make schemas."""
    assert {path.name for path in SCHEMAS.iterdir()} == set(texts())
    assert (SCHEMAS / FILE).read_text(encoding="utf-8") == texts()[FILE]


def check(schema: Path, *files: Path) -> None:
    """What a person does to check files by a schema."""
    run = subprocess.run(
        [CHECK_JSONSCHEMA, "--schemafile", schema, *files], capture_output=True, text=True, check=False, env=os.environ
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_document_is_valid_by_asyncapis_own_schema() -> None:
    check(OFFICIAL, SCHEMAS / FILE)


def test_asyncapis_own_schema_would_find_a_mistake() -> None:
    broken = document()
    broken["channels"]["users"]["bindings"]["kafka"]["partitions"] = "many"
    errors = jsonschema.Draft7Validator(json.loads(OFFICIAL.read_text(encoding="utf-8"))).iter_errors(broken)
    assert list(errors) != []


@pytest.mark.parametrize("topic", MODELS)
def test_every_example_is_valid_by_its_schema(topic: str, tmp_path: Path) -> None:
    files = []
    for each in EXAMPLES[topic]:
        files.append(tmp_path / f"{each.name}.json")
        files[-1].write_text(json.dumps(each.value), encoding="utf-8")
    check(SCHEMAS / f"{topic}.json", *files)
    assert json.loads((SCHEMAS / f"{topic}.json").read_text(encoding="utf-8"))["examples"] == [
        each.value for each in EXAMPLES[topic]
    ]


@pytest.mark.parametrize(("topic", "example"), ALL)
def test_every_example_is_read_as_its_topic_is(topic: str, example: Example) -> None:
    """And says nothing that nobody reads."""
    value = json.dumps(example.value).encode()
    if topic == "task-events":
        assert task_event.parse(value).model_extra == {}
        assert parse_fast(value) is not None
    elif topic == "monitor-configs":
        assert monitor_config.parse(value, example.key or "").warnings == []
    elif topic == "users":
        assert user.profile_of(*user.parse(value, example.key)).user_id == example.key
    elif topic == "user-preferences":
        record = user_preferences.parse(value)
        assert not any(part.model_extra for _, part in user_preferences.parts(record))
        assert user_preferences.preferences_in(record) != Preferences() or example.key == "organization:org-a"
    elif topic == "notification-feedback":
        assert feedback.parse(value).model_extra == {}
    elif topic == "dead-letters":
        schema = document()["components"]["schemas"]["deadLetterHeaders"]
        jsonschema.validate(dict(example.headers), schema)
        assert set(example.headers) | {NOT_KEPT} == set(schema["properties"])
    else:
        MODELS[topic].model_validate_json(value)
        assert set(example.value) <= set(MODELS[topic].model_fields)


def test_one_example_of_a_task_event_has_every_field() -> None:
    shown = EXAMPLES["task-events"][-1].value
    assert set(shown) == set(task_event.TaskEvent.model_fields)
    assert set(shown["notify"]) == set(task_event.NotifyOptions.model_fields)


def test_every_public_topic_is_a_channel_laid_out_as_it_is_created() -> None:
    channels = document()["channels"]
    assert list(channels) == PUBLIC == list(EXAMPLES)
    for layout in layouts("", "streamnotify", PARTITIONS, 1)[: len(PUBLIC)]:
        kafka = channels[layout.name]["bindings"]["kafka"]
        assert (channels[layout.name]["address"], kafka["topic"]) == (layout.name, layout.name)
        assert kafka["partitions"] == layout.partitions
        declared = kafka["topicConfiguration"]
        assert declared.pop("cleanup.policy") == [layout.config["cleanup.policy"]]
        assert {name: str(value) for name, value in declared.items()}.items() <= layout.config.items()


def test_the_headers_are_those_that_records_have() -> None:
    schemas = document()["components"]["schemas"]
    of_letters = {value for name, value in vars(dead_letter).items() if name.isupper() and isinstance(value, str)}
    assert set(schemas["deadLetterHeaders"]["properties"]) == of_letters | {NOT_KEPT, RECORD_ID}
    assert {REPLAY_OF, RECORD_ID} <= set(schemas["receivedHeaders"]["properties"])
    assert set(schemas["sentHeaders"]["properties"]) == {RECORD_ID}


def test_the_partitions_are_those_of_the_settings() -> None:
    assert settings.Settings.model_fields["partitions"].default == PARTITIONS


def test_the_directions_are_those_of_the_specification() -> None:
    operations = document()["operations"].values()
    actions = {(each["action"], each["channel"]["$ref"].rpartition("/")[2]) for each in operations}
    both = {"task-events", "user-preferences", "notification-feedback"}
    assert {topic for action, topic in actions if action == "receive"} == both | {"monitor-configs", "users"}
    assert {topic for action, topic in actions if action == "send"} == both | {
        "monitor-results",
        "notification-status",
        "dead-letters",
    }


def references(part: Any) -> Iterator[str]:
    """Every $ref below a part of the document."""
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from references(each)


def test_every_reference_leads_somewhere_and_every_schema_is_used() -> None:
    whole = document()
    used = set(references(whole))
    for reference in used:
        file, _, pointer = reference.partition("#")
        place: Any = json.loads((SCHEMAS / file).read_text(encoding="utf-8")) if file else whole
        for name in filter(None, pointer.split("/")):
            place = place[name]
    assert {f"./{topic}.json" for topic in MODELS} <= used


def test_every_example_of_the_document_is_valid_by_its_message() -> None:
    def inlined(part: Any) -> Any:
        """The payload's schema with ours in place of the reference."""
        if isinstance(part, dict) and str(part.get("$ref", "")).startswith("./"):
            return json.loads((SCHEMAS / part["$ref"]).read_text(encoding="utf-8"))
        return {name: inlined(each) for name, each in part.items()} if isinstance(part, dict) else part

    messages = document()["components"]["messages"]
    for name, message in messages.items():
        payload = inlined(message["payload"])
        if "data" in payload.get("properties", {}):
            schema = payload["properties"].pop("data")
            for example in message["examples"]:
                jsonschema.validate(example["payload"]["data"], schema)
        for example in message.get("examples", ()):
            jsonschema.validate(example["payload"], payload)
        assert message.get("examples") or name.endswith("-removal")


@pytest.mark.parametrize("page", ["topics", "events"])
def test_the_pages_show_these_examples(page: str) -> None:
    path = ROOT / "docs" / f"{page}.md"
    shown = re.findall(r"^```json ([\w-]+)\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert shown
    for topic, text in shown:
        assert json.loads(text) in [each.value for each in EXAMPLES[topic]], text
