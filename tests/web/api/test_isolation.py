"""Organization A's token against B's data, by every route there is, so that a new one cannot be forgotten."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.web.api.api_site import ApiSite, errors
from tests.web.api.two_organizations import SECRET, two_organizations

# What the routes with an id in them are asked for: whatever a list of all organizations shows.
LISTED_IN = {
    "task_id": ("/api/tasks", "task_id"),
    "name": ("/api/monitors", "name"),
    "notification_id": ("/api/notifications", "notification_id"),
}
OPEN = {"/api/openapi.json"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> ApiSite:
    made = two_organizations(tmp_path_factory.mktemp("isolation"))
    made.secret = made.token("read", "publish")
    return made


@pytest.fixture(scope="module")
def everything(site: ApiSite) -> str:
    """A token for all there is."""
    return site.token("read", "publish", "admin", organization=None)


def operations(site: ApiSite) -> Iterator[tuple[str, str]]:
    """Method and path of each."""
    document = site.request("GET", "/api/openapi.json").json()
    for path, methods in document["paths"].items():
        for method in methods:
            yield method.upper(), path


def listed(site: ApiSite, token: str, path: str, field: str) -> list[str]:
    """The ids of all organizations."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        site.clock.seconds += 10
        page = site.get(path, token=token, limit=200, **cursor).json()
        found += [each[field] for each in page["items"]]
        if page["next"] is None:
            return found
        cursor = {"cursor": page["next"]}


def test_every_route_is_in_the_document_and_none_is_open_but_that(site: ApiSite) -> None:
    documented = set(operations(site))
    routed = {
        (method, "/api" + route.path.replace(":path}", "}"))
        for route in routes_of(site.api)
        for method in route.methods - {"HEAD"}
    }
    assert routed - {("GET", path) for path in OPEN} == documented
    for method, path in documented:
        site.clock.seconds += 10
        answer = site.request(method, path, token="snt_nobody")
        assert answer.status_code == 401, path


def routes_of(app: Any) -> Iterator[Any]:
    """The routes of an application and its routers, whichever way FastAPI keeps them."""
    for route in app.routes:
        router = getattr(route, "original_router", None)
        if router is not None:
            yield from routes_of(router)
        else:
            yield route


def answers(site: ApiSite, everything: str, token: str) -> Iterator[tuple[str, int, str]]:
    """What a token gets from every GET, for every id there is: path, status, text."""
    for method, path in operations(site):
        if method != "GET":
            continue
        for each in filled(site, everything, path):
            site.clock.seconds += 10
            answer = site.get(each, token=token)
            yield each, answer.status_code, answer.text


def filled(site: ApiSite, everything: str, path: str) -> list[str]:
    parameter = re.search(r"{(\w+)}", path)
    if parameter is None:
        return [path, f"{path}?organization=org-b"] if path not in ("/api/status", "/api/dead-letters") else [path]
    if parameter[1] == "id":
        ids = [*filled(site, everything, "{task_id}"), *filled(site, everything, "{notification_id}")]
        return [path.replace("{id}", each) for each in ids]
    ids = listed(site, everything, *LISTED_IN[parameter[1]])  # KeyError: say here what a new route is asked for
    return [path.replace(parameter[0], quote(each, safe="")) for each in ids]


def test_nothing_of_b_is_in_any_answer_to_a(site: ApiSite, everything: str) -> None:
    seen = list(answers(site, everything, site.secret or ""))
    statuses = {status for _, status, _ in seen}
    assert statuses == {200, 403, 404}
    for path, status, text in seen:
        asked_for = SECRET in path
        assert status != 200 or (SECRET not in text and "org-b" not in text and "b.example" not in text), path
        assert not asked_for or status in (403, 404), path
    assert any(status == 200 and "org-a" in text for _, status, text in seen)


def test_all_of_it_is_there_for_a_token_of_all_organizations(site: ApiSite, everything: str) -> None:
    """Else the test above would say nothing."""
    for path, status, text in answers(site, everything, everything):
        assert status == 200, path
        if "SECRET" in path:
            assert SECRET in text


def test_a_foreign_id_is_answered_like_a_missing_one(site: ApiSite) -> None:
    site.clock.seconds += 10
    for known, path in (
        (f"{SECRET}/0", "/api/tasks"),
        (f"theirs-{SECRET}", "/api/monitors"),
        (f"{SECRET}/0", "/api/why"),
    ):
        foreign = site.get(f"{path}/{known}")
        missing = site.get(f"{path}/{known}x")
        assert (foreign.status_code, foreign.text) == (missing.status_code, missing.text) == (404, foreign.text)


def test_of_a_shared_digest_a_sees_only_that_its_own_went(site: ApiSite) -> None:
    site.clock.seconds += 10
    [story] = site.get("/api/why/a/1").json()["notifications"]
    [digest] = story["digests"]
    assert (story["outcome"], digest["outcome"]) == ("sent", "sent")
    assert all("subject" not in step and "count" not in step for step in digest["steps"])
    assert SECRET not in json.dumps(story)


def test_dead_letters_are_for_those_who_may_see_all(site: ApiSite) -> None:
    site.clock.seconds += 10
    assert site.get("/api/dead-letters").status_code == 403


def test_nothing_is_published_for_b(site: ApiSite) -> None:
    before = len(site.events())
    site.clock.seconds += 10
    event = {"task_name": "x", "status": "Completed", "organization_id": "org-b"}
    assert site.post("/api/task-events", event).status_code == 403
    assert len(site.events()) == before


@pytest.mark.parametrize("path", ["/api/tasks", "/api/monitors", "/api/monitor-results", "/api/notifications"])
def test_to_ask_for_another_organization_is_refused_and_for_ones_own_is_not(site: ApiSite, path: str) -> None:
    site.clock.seconds += 10
    refused = site.get(path, organization="org-b")
    assert refused.status_code == 403
    assert errors(refused) == {"organization": "the token is bound to organization org-a"}
    assert site.get(path, organization="org-a").json() == site.get(path).json()
