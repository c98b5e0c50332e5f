"""/api/openapi.json: valid, complete, and what is really answered is as it says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

from streamnotify.web.api.examples import EXAMPLES
from streamnotify.web.api.field_words import FIELDS
from tests.web.api.api_site import ApiSite
from tests.web.api.two_organizations import two_organizations

OFFICIAL = Path(__file__).parent / "openapi" / "schema-3.1.json"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> ApiSite:
    made = two_organizations(tmp_path_factory.mktemp("openapi"))
    made.secret = made.token("read", "publish", "admin", organization=None, email="ann@example.com")
    return made


@pytest.fixture(scope="module")
def document(site: ApiSite) -> dict[str, Any]:
    """As anybody gets it, without a token."""
    answer = site.request("GET", "/api/openapi.json", headers={"Authorization": ""})
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def official_errors(document: dict[str, Any]) -> list[Any]:
    return list(jsonschema.Draft202012Validator(json.loads(OFFICIAL.read_text("utf-8"))).iter_errors(document))


def by(document: dict[str, Any], schema: str | dict[str, Any]) -> Any:
    """A validator by a schema of the document."""
    wanted = {"$ref": f"#/components/schemas/{schema}"} if isinstance(schema, str) else schema
    formats = jsonschema.FormatChecker()
    return jsonschema.Draft202012Validator({**wanted, "components": document["components"]}, format_checker=formats)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_the_document_is_valid_by_openapis_own_schema(document: dict[str, Any]) -> None:
    assert official_errors(document) == []
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_openapis_own_schema_would_find_a_mistake(document: dict[str, Any]) -> None:
    broken = json.loads(json.dumps(document))
    del broken["paths"]["/api/tasks"]["get"]["responses"]["200"]["description"]
    assert official_errors(broken) != []


def test_every_operation_says_what_it_is_for_what_it_needs_and_each_refusal(document: dict[str, Any]) -> None:
    ids = set()
    for method, path, operation in operations(document):
        assert operation["summary"], path
        assert "Needs the scope `" in operation["description"], path
        assert operation["security"] == [{"token": []}], path
        assert {"401", "403", "422", "429"} <= set(operation["responses"]), path
        assert ("404" in operation["responses"]) == ("{" in path), path
        assert (
            all("description" in each for each in operation["parameters"] if each["in"] == "query")
            if "parameters" in operation
            else True
        )
        if method == "post":
            assert {"400", "408", "413", "415", "503"} <= set(operation["responses"])
            assert operation["requestBody"]["content"]["application/json"]["examples"]
        ids.add(operation["operationId"])
    assert len(ids) == len(list(operations(document)))


def test_every_field_of_every_answer_is_described_and_nothing_else_is(document: dict[str, Any]) -> None:
    of_events = {"TaskEvent", "EventContext", "EventError", "NotifyOptions", "Producer", "Progress"}
    used = set()
    for name, schema in document["components"]["schemas"].items():
        for field, described in schema.get("properties", {}).items():
            assert name in of_events or described.get("description"), f"{name}.{field}"
            used |= {f"{name}.{field}", field}
    assert set(FIELDS) - used - {"items"} == set()


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_is_valid_by_its_schema(document: dict[str, Any], name: str) -> None:
    [example] = document["components"]["schemas"][name]["examples"]
    by(document, name).validate(example)


def test_examples_of_requests_are_taken(site: ApiSite, document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        if method == "post":
            content = operation["requestBody"]["content"]["application/json"]
            for example in content["examples"].values():
                by(document, content["schema"]).validate(example["value"])
                answer = site.post(path, example["value"])
                assert answer.status_code == 202
                by(document, operation["responses"]["202"]["content"]["application/json"]["schema"]).validate(
                    answer.json()
                )


def test_what_is_answered_is_as_it_says(site: ApiSite, document: dict[str, Any]) -> None:
    [notification] = site.get("/api/notifications", task_id="a/1").json()["items"]
    ids = {"{task_id}": "a/1", "{name}": "both", "{notification_id}": notification["notification_id"], "{id}": "a/1"}
    for method, path, operation in operations(document):
        if method != "get":
            continue
        site.clock.seconds += 10
        where = path
        for name, value in ids.items():
            where = where.replace(name, value)
        answer = site.get(where)
        assert answer.status_code == 200
        by(document, operation["responses"]["200"]["content"]["application/json"]["schema"]).validate(answer.json())
        wrong = site.get(where, nonsense="1")
        by(document, "Problem").validate(wrong.json())
