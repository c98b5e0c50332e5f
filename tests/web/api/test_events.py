"""POST /api/task-events: looked at as ingest does, kept to the token's organization, published whole or not at all."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from streamnotify.errors import EngineFailure, TopicsError
from streamnotify.wire.examples import EXAMPLES
from streamnotify.wire.reading import MAX_RECORD_BYTES, MOST_WARNINGS
from tests.web.api.api_site import ApiSite, errors

PATH = "/api/task-events"
EVENT = {"task_name": "nightly-report", "status": "Completed"}


def test_an_event_is_published_under_its_run_and_becomes_a_mail(site: ApiSite) -> None:
    answer = site.post(PATH, EVENT | {"task_id": "r1", "notify": {"email": "ann@example.com"}})
    assert answer.status_code == 202
    [published] = answer.json()["events"]
    assert (published["task_name"], published["task_id"]) == ("nightly-report", "r1")
    [(key, event)] = site.events()
    assert (key, event["organization_id"], event["event_id"]) == ("r1", "org-a", published["event_id"])
    assert site.product.mails() == [("ann@example.com", "Task Completed: nightly-report - Success")]


def test_many_events_are_published_in_their_order_and_each_says_its_ids(site: ApiSite) -> None:
    events = [EVENT | {"task_id": "r1", "status": "Running", "event_id": "e1"}, EVENT | {"task_id": 17}, EVENT]
    answer = site.post(PATH, events).json()["events"]
    assert [each["task_id"] for each in answer[:2]] == ["r1", "17"]
    assert answer[0]["event_id"] == "e1"
    assert [key for key, _ in site.events()] == [each["task_id"] for each in answer]
    assert str(uuid.UUID(answer[2]["task_id"])) == answer[2]["task_id"]
    assert site.events()[2][1]["task_id"] == answer[2]["task_id"]


@pytest.mark.parametrize("example", EXAMPLES["task-events"], ids=lambda example: example.name)
def test_every_example_of_the_topic_may_be_posted_unless_it_is_a_cloudevent(site: ApiSite, example: Any) -> None:
    token = site.token("publish", organization=None)
    answer = site.post(PATH, example.value, token=token)
    if "specversion" in example.value:
        assert errors(answer) == {"specversion": "a CloudEvent is not taken here: post what is in its data"}
    else:
        assert answer.status_code == 202


def test_what_is_wrong_is_said_of_each_field_of_each_event_and_nothing_is_published(site: ApiSite) -> None:
    answer = site.post(
        PATH, [EVENT, {"status": "Done", "task_nam": "x"}, EVENT | {"notify": {"email": "nobody"}, "attempt": 0}, 7]
    )
    assert answer.status_code == 422
    found = errors(answer)
    assert list(found) == ["[1].task_name", "[1].status", "[2].attempt", "[2].notify.email", "[3]"]
    assert "did you mean task_name where it says task_nam?" in found["[1].task_name"]
    assert "Pending" in found["[1].status"]
    assert site.events() == []


def test_what_is_wrong_with_a_single_event_is_said_by_its_fields_alone(site: ApiSite) -> None:
    assert list(errors(site.post(PATH, {"status": "Completed"}))) == ["task_name"]
    assert list(errors(site.post(PATH, EVENT | {"occurred_at": "0001-01-01T00:00:00+14:00"}))) == ["occurred_at"]


@pytest.mark.parametrize("body", [[], [EVENT] * 1001, 1, None, "x", [[EVENT]]])
def test_only_an_event_or_some_events_are_taken(site: ApiSite, body: Any) -> None:
    assert site.post(PATH, body).status_code == 422
    assert site.events() == []


def test_a_misspelt_field_is_warned_of(site: ApiSite) -> None:
    answer = site.post(PATH, [EVENT, EVENT | {"notfy": True, "unheard-of": 1}])
    assert answer.json()["warnings"] == [{"field": "[1].notfy", "reason": "unknown, ignored: did you mean notify?"}]


def test_of_very_many_unknown_fields_only_some_are_looked_at(site: ApiSite) -> None:
    """To find what each was meant to be takes longer than all the rest."""
    answer = site.post(PATH, EVENT | {f"status{number}": 0 for number in range(2000)})
    assert answer.status_code == 202
    assert len(answer.json()["warnings"]) == MOST_WARNINGS


def test_an_event_of_another_organization_is_refused_and_all_with_it(site: ApiSite) -> None:
    answer = site.post(PATH, [EVENT, EVENT | {"organization_id": "org-b"}])
    assert answer.status_code == 403
    assert errors(answer) == {"[1].organization_id": "only org-a is allowed, which may be left out"}
    assert site.events() == []


@pytest.mark.parametrize("given", [None, ""])
def test_an_event_without_organization_gets_the_tokens(site: ApiSite, given: str | None) -> None:
    site.post(PATH, EVENT | {"organization_id": given})
    assert [event["organization_id"] for _, event in site.events()] == ["org-a"]


def test_no_other_organization_comes_in_by_a_cloudevent(site: ApiSite) -> None:
    inner = EVENT | {"organization_id": "org-b"}
    for wrapped in (
        {"specversion": "1.0", "id": "1", "source": "/x", "type": "t", "data": inner},
        EVENT | {"organization_id": "org-a", "specversion": "1.0", "data": inner},
    ):
        assert "specversion" in errors(site.post(PATH, wrapped))
        escaped = json.dumps(wrapped).replace("specversion", "\\u0073pecversion")
        answer = site.request("POST", PATH, content=escaped, headers={"Content-Type": "application/json"})
        assert "specversion" in errors(answer)
    assert site.events() == []


def test_no_other_organization_comes_in_by_a_field_given_twice(site: ApiSite) -> None:
    twice = '{"task_name": "x", "status": "Completed", "organization_id": "org-b", "organization_id": "org-a"}'
    answer = site.request("POST", PATH, content=twice, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert errors(answer) == {"": "organization_id is there twice"}


@pytest.mark.parametrize("organization", ["org-b", None])
def test_the_mail_of_a_run_of_others_cannot_be_had_by_an_event_about_it(
    site: ApiSite, organization: str | None
) -> None:
    theirs = site.token("publish", organization=organization)
    site.post(PATH, EVENT | {"task_id": "secret-run", "status": "Running"}, token=theirs)
    site.copy.catch_up()
    stolen = EVENT | {"task_id": "secret-run", "notify": {"email": "eve@example.com"}}
    answer = site.post(PATH, stolen)
    assert answer.status_code == 403
    assert errors(answer) == {"task_id": "this run is not organization org-a's"}
    assert site.product.mails() == []
    assert site.post(PATH, stolen | {"task_name": "another"}).status_code == 202  # a run is a task's


def test_a_token_of_all_organizations_publishes_for_each(site: ApiSite) -> None:
    token = site.token("publish", organization=None)
    site.post(PATH, [EVENT | {"organization_id": "org-b"}, EVENT], token=token)
    assert [event.get("organization_id") for _, event in site.events()] == ["org-b", None]


@pytest.mark.parametrize("failure", [EngineFailure("Kafka at x:1 did not answer"), TopicsError("Topic p.task-events")])
def test_it_is_answered_only_when_kafka_has_it(
    site: ApiSite, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    site.topic.failure = failure  # type: ignore[assignment]
    answer = site.post(PATH, EVENT)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert str(failure) not in answer.text
    assert str(failure) in caplog.text


def test_a_record_that_would_be_too_large_for_the_topic_is_refused(site: ApiSite) -> None:
    """Numbers grow when they are written out."""
    digits = '{"task_name": "x", "status": "Completed", "result": [' + "1e9," * 300_000 + "1]}"
    answer = site.request("POST", PATH, content=digits, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert "at most 2097152 are allowed" in errors(answer)[""]


def test_an_event_that_only_its_ids_make_too_large_is_refused(site: ApiSite) -> None:
    bare = json.dumps(EVENT | {"result": ""})
    answer = site.post(PATH, EVENT | {"result": "x" * (MAX_RECORD_BYTES - len(bare))})
    assert (answer.status_code, errors(answer)) == (422, {"": "at most 2097152 bytes are allowed"})
    assert site.events() == []
