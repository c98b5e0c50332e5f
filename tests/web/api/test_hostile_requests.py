"""Requests that mean harm: each gets a problem that says what is wrong, and none is a failure of ours."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.exceptions import HTTPException
from starlette.requests import Request

from streamnotify.web.api.json_bodies import MOST_DEPTH, json_of
from tests.web.api.api_site import ApiSite, errors
from tests.web.api.two_organizations import two_organizations

EVENTS = "/api/task-events"
TEST_MAIL = "/api/tasks/email-notification-test"
EVENT = b'{"task_name": "x", "status": "Completed"}'
_SOON = timedelta(seconds=0.2)
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> ApiSite:
    """One for requests that change nothing."""
    made = two_organizations(tmp_path_factory.mktemp("hostile"))
    made.secret = made.token("read", "publish", "admin", organization=None)
    return made


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> ApiSite:
    """One for posts that are refused, so that nothing is ever published."""
    made = ApiSite(tmp_path_factory.mktemp("refusing"))
    made.secret = made.token(email="ann@example.com")
    return made


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "no JSON at line 1"),
        (b"{", "no JSON at line 1"),
        (b'{"task_name": "x"} {}', "Extra data"),
        (b'{"task_name": "x",}', "no JSON at line 1"),
        (b'{"task_name": "\xff"}', "not UTF-8 at byte 15"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8 at byte 0"),
        (b'{"task_name": "\x00"}', "Invalid control character"),
        (b"\x00" * 100, "no JSON at line 1"),
        (b'\xef\xbb\xbf{"task_name": "x"}', "BOM"),
        (b'{"result": NaN}', "NaN is no number"),
        (b'{"\\ud800": 1, "\\ud800": 2}', "\\ud800 is there twice"),
        (b'{"result": 1e999}', "1e999 is too large a number"),
        (b'{"result": ' + b"1" * 5000 + b"}", "4300 digits"),
        (b"[" * 50_000, "nested too deeply"),
        (b"[" * 500 + b"]" * 500, "nested too deeply"),
        (b'{"a":' * (MOST_DEPTH + 1) + b"1" + b"}" * (MOST_DEPTH + 1), "nested too deeply"),
    ],
)
@pytest.mark.parametrize("path", [EVENTS, TEST_MAIL])
def test_a_body_that_is_no_json_is_refused(refusing: ApiSite, path: str, body: bytes, reason: str) -> None:
    refusing.clock.seconds += 10
    answer = refusing.request("POST", path, content=body, headers=JSON)
    if path == TEST_MAIL and len(body) > 16 * 1024:
        assert answer.status_code == 413
        return
    assert answer.status_code == 400
    assert reason in errors(answer)[""]
    assert refusing.events() == []


def test_a_body_may_be_as_deep_as_is_allowed(site: ApiSite) -> None:
    depth = MOST_DEPTH - 1
    body = b'{"task_name": "x", "status": "Completed", "result": ' + b"[" * depth + b"]" * depth + b"}"
    assert site.request("POST", EVENTS, content=body, headers=JSON).status_code == 202


def test_a_text_that_no_utf8_can_say_is_refused_by_its_field(site: ApiSite) -> None:
    answer = site.request("POST", EVENTS, content=b'{"task_name": "\\ud800", "status": "Completed"}', headers=JSON)
    assert answer.status_code == 422
    answer = site.request("POST", TEST_MAIL, content=b'{"message": "\\ud800"}', headers=JSON)
    assert answer.status_code == 422


@pytest.mark.parametrize(("path", "most"), [(EVENTS, 2 * 1024 * 1024), (TEST_MAIL, 16 * 1024)])
def test_a_body_that_is_too_large_is_not_read_to_its_end(refusing: ApiSite, path: str, most: int) -> None:
    refusing.clock.seconds += 10
    taken = []

    async def endless() -> Any:
        for _ in range(10_000):
            taken.append(1)
            yield b" " * 65536

    answer = refusing.request("POST", path, content=endless(), headers=JSON)
    assert answer.status_code == 413
    assert (answer.headers["connection"], answer.headers["content-type"]) == ("close", "application/problem+json")
    assert len(taken) <= most // 65536 + 2


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "application/jsonx",
        "multipart/form-data; boundary=x",
    ],
)
def test_only_json_is_taken_so_that_no_form_can_post(refusing: ApiSite, content_type: str) -> None:
    refusing.clock.seconds += 10
    answer = refusing.request("POST", EVENTS, content=EVENT, headers={"Content-Type": content_type})
    assert answer.status_code == 415
    assert refusing.events() == []


@pytest.mark.parametrize("content_type", ["application/json", "APPLICATION/JSON; charset=UTF-8"])
def test_json_is_taken(site: ApiSite, content_type: str) -> None:
    assert site.request("POST", EVENTS, content=EVENT, headers={"Content-Type": content_type}).status_code == 202


def test_a_compressed_body_is_refused(site: ApiSite) -> None:
    answer = site.request("POST", EVENTS, content=EVENT, headers=JSON | {"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "identity")


def test_a_body_that_does_not_come_is_given_up() -> None:
    async def never() -> Any:
        return await asyncio.Future[Any]()

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", b"application/json")]}
    with pytest.raises(HTTPException) as given_up:
        asyncio.run(json_of(Request(scope, never), 100, patience=_SOON))
    assert given_up.value.status_code == 408


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/",
        "/api/nothing",
        "/api//tasks",
        "/api/tasks/",
        "/api/tasks/../../etc/passwd",
        "/api/tasks/%2e%2e/%2e%2e/etc/passwd",
        "/api/tasks/..%2f..%2fetc%2fpasswd",
        "/api/tasks/%00",
        "/api/tasks/a%00b",
        "/api/tasks/%ff%fe",
        "/api/tasks/" + "x" * 8000,
        "/api/tasks/%27%20OR%201=1--",
        "/api/monitors/%2e%2e%2f",
        "/api/notifications/%00",
        "/api/why/%00",
        "/api/why/" + "%2f" * 1000,
        "/api/openapi.json/..",
        "/api/openapi.json%00",
        "/API/tasks",
    ],
)
def test_no_path_leads_to_anything_else(shared: ApiSite, path: str) -> None:
    shared.clock.seconds += 10
    answer = shared.request("GET", path)
    assert answer.status_code == 404
    assert "passwd" not in answer.text


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND"])
def test_a_method_that_is_not_allowed_is_refused(shared: ApiSite, method: str) -> None:
    for path in ("/api/task-events", "/api/tasks", "/api/dead-letters"):
        answer = shared.request(method, path)
        assert answer.status_code == 405
        assert answer.headers["allow"]


def test_no_header_overrides_the_method(shared: ApiSite) -> None:
    shared.clock.seconds += 10
    before = len(shared.events())
    for name in ("X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"):
        assert shared.request("GET", "/api/task-events", headers={name: "POST"}).status_code == 405
        assert shared.request("GET", "/api/tasks?_method=POST", headers={name: "DELETE"}).status_code == 422
    assert len(shared.events()) == before


def test_no_other_site_is_told_that_it_may_ask(shared: ApiSite) -> None:
    shared.clock.seconds += 10
    asked = {"Origin": "https://evil.example.com", "Access-Control-Request-Method": "POST"}
    for method, path in (
        ("OPTIONS", EVENTS),
        ("OPTIONS", "/api/tasks"),
        ("GET", "/api/tasks"),
        ("GET", "/api/openapi.json"),
    ):
        answer = shared.request(method, path, headers=asked)
        assert answer.status_code == (405 if method == "OPTIONS" else 200)
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_every_answer_is_kept_to_itself(shared: ApiSite) -> None:
    shared.clock.seconds += 10
    for path in ("/api/tasks", "/api/nothing", "/api/openapi.json"):
        headers = shared.request("GET", path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-type"] in ("application/json", "application/problem+json")
        assert "default-src 'none'" in headers["content-security-policy"]


def test_nothing_that_is_sent_becomes_a_header(shared: ApiSite) -> None:
    shared.clock.seconds += 10
    injected = "x%0d%0aSet-Cookie:%20a=b"
    for path in (
        f"/api/tasks/{injected}",
        f"/api/tasks?cursor={injected}",
        f"/api/tasks?{injected}=1",
        f"/api/why/{injected}",
    ):
        answer = shared.request("GET", path)
        assert answer.status_code in (404, 422)
        assert "set-cookie" not in answer.headers


PARAMETERS = (
    "organization", "task_name", "user_id", "status", "since", "until", "cursor", "limit", "monitor", "verdict", "to",
    "task_id", "kind", "topic", "stage", "x",
)  # fmt: skip
PATHS = (
    "/api/tasks",
    "/api/tasks/x",
    "/api/monitors",
    "/api/monitors/x",
    "/api/monitor-results",
    "/api/notifications",
    "/api/notifications/x",
    "/api/why/x",
    "/api/dead-letters",
    "/api/status",
)
VALUES = st.one_of(
    st.text(max_size=300),
    st.integers().map(str),
    st.datetimes().map(str),
    st.sampled_from(
        ["", "NaN", "-1", "1e400", "9" * 400, "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "\x00"]
    ),
    st.binary(max_size=40).map(lambda data: data.decode("latin-1")),
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(PATHS), query=st.dictionaries(st.sampled_from(PARAMETERS), VALUES, max_size=4))
def test_no_query_is_a_failure_of_ours(shared: ApiSite, path: str, query: dict[str, str]) -> None:
    shared.clock.seconds += 10
    query = {name: value.encode("utf-8", "replace").decode() for name, value in query.items()}
    answer = shared.request("GET", path, params=query)
    assert answer.status_code in (200, 404, 422)
    json.loads(answer.text)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(min_size=1, max_size=100), where=st.sampled_from(["tasks", "monitors", "notifications", "why"]))
def test_no_name_is_a_failure_of_ours(shared: ApiSite, name: str, where: str) -> None:
    shared.clock.seconds += 10
    path = "".join(f"%{byte:02x}" for byte in name.encode("utf-8", "replace"))
    assert shared.request("GET", f"/api/{where}/{path}").status_code == 404


FIELDS = ("task_name", "status", "task_id", "notify", "email", "result", "organization_id", "specversion", "data")
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5),
    max_leaves=12,
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=JSON_VALUES)
def test_no_json_is_a_failure_of_ours(site: ApiSite, body: Any) -> None:
    site.clock.seconds += 10
    for path in (EVENTS, TEST_MAIL):
        assert site.post(path, body).status_code in (202, 403, 422)
    assert {event["organization_id"] for _, event in site.events()} <= {"org-a"}


HEADERS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=60)


@settings(max_examples=150)
@given(
    name=st.sampled_from(["Authorization", "Content-Type", "Content-Encoding", "Content-Length", "Accept", "Host"]),
    begin=st.sampled_from(
        ["", "Bearer ", "application/json;", "application/json; charset*=", "application/json; charset="]
    ),
    value=HEADERS,
)
def test_no_header_is_a_failure_of_ours(refusing: ApiSite, name: str, begin: str, value: str) -> None:
    refusing.clock.seconds += 10
    headers = {name.lower().encode(): (begin + value).encode("latin-1")}
    answer = refusing.request("POST", TEST_MAIL, content=b"[]", headers=headers)
    assert answer.status_code in (401, 415, 422)
