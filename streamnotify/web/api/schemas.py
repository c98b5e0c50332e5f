"""The schemas of the OpenAPI document: of answers by their structs, of events by the model that checks them."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec
from pydantic import BaseModel

from streamnotify.web.api.events import Accepted
from streamnotify.web.api.examples import EXAMPLES
from streamnotify.web.api.field_words import FIELDS
from streamnotify.web.api.problems import FieldError
from streamnotify.web.api.test_mail import TestMailRequest
from streamnotify.web.read_model.answers import (
    DeadLetter,
    Freshness,
    Monitor,
    MonitorResult,
    Notification,
    Run,
    Step,
)
from streamnotify.why.story import Outcome
from streamnotify.wire.task_event import TaskEvent

TEMPLATE = "#/components/schemas/{name}"
_ITEMS = (Run, Monitor, MonitorResult, Notification, DeadLetter)
_INSTANTS = {"at", "check_time", "first", "last"}
_TEXT, _WHOLE = {"type": "string"}, {"type": "integer"}


def schemas() -> dict[str, dict[str, Any]]:
    """Every schema by its name, each field described, with an example where there is one."""
    found = _of_structs() | _put_together() | _of_model(TaskEvent) | _of_model(TestMailRequest)
    for name, schema in found.items():
        for field, described in schema.get("properties", {}).items():
            _describe(name, field, described)
        if name in EXAMPLES:
            schema["examples"] = [EXAMPLES[name]]
    return found


def _of_structs() -> dict[str, dict[str, Any]]:
    types = (*_ITEMS, Step, Freshness, Accepted, FieldError)
    _, found = msgspec.json.schema_components(types, ref_template=TEMPLATE)
    for each in types:
        # Its first sentence; what more there is speaks of code.
        found[each.__name__]["description"] = inspect.cleandoc(each.__doc__ or "").partition("\n\n")[0]
    return found


def _put_together() -> dict[str, dict[str, Any]]:
    pages = {
        f"{each.__name__}Page": _object(
            {"items": _list(_ref(each.__name__)), "next": {"type": ["string", "null"]}}, f"Some of a list of {what}."
        )
        for each, what in zip(_ITEMS, ("runs", "monitors", "checks", "notifications", "dead letters"), strict=True)
    }
    return pages | {
        "NotificationDetail": _object(
            {"notification": _ref("Notification"), "steps": _list(_ref("Step"))}, "A notification and all its steps."
        ),
        "ReadModelStatus": _object(
            {"read_model": {"anyOf": [_ref("Freshness"), {"type": "null"}]}}, "How far answers are behind."
        ),
        "Why": _object(
            {"notifications": _list(_ref("Story")), "none_because": _list(_TEXT)}, "What became of notifications."
        ),
        "Story": _object(
            {
                "notification_id": dict(_TEXT),
                "outcome": {"enum": [outcome.value for outcome in Outcome]},
                "steps": _list({"allOf": [_ref("Step"), _object({"meaning": dict(_TEXT)}, "In words.")]}),
                "digests": _list(_ref("Story")),
                "lines": _list(_TEXT),
            },
            "The whole way of a notification or digest.",
            optional=("lines",),
        ),
        "TestMailAccepted": _object({"task_id": dict(_TEXT)}, "The run that brings the mail."),
        "Problem": _object(
            {
                "type": dict(_TEXT),
                "title": dict(_TEXT),
                "status": dict(_WHOLE),
                "detail": dict(_TEXT),
                "errors": _list(_ref("FieldError")),
            },
            "Why a request is not carried out (RFC 9457).",
            optional=("errors",),
        ),
    }


def _of_model(model: type[BaseModel]) -> dict[str, dict[str, Any]]:
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs", {}), model.__name__: schema}


def _object(properties: dict[str, Any], description: str, *, optional: tuple[str, ...] = ()) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "description": description, "properties": properties, "required": required}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": dict(items)}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": TEMPLATE.format(name=name)}


def _describe(schema: str, field: str, described: dict[str, Any]) -> None:
    words = FIELDS.get(f"{schema}.{field}") or FIELDS.get(field)
    if words is not None:
        described.setdefault("description", words)
    if field.endswith("_at") or field in _INSTANTS:
        for each in (described, *described.get("anyOf", ())):
            if each.get("type") == "string":
                each["format"] = "date-time"
