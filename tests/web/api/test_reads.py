"""What can be read of runs, monitors, checks, notifications and dead letters: paged, filtered, as it is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streamnotify.web.read_model import cursors
from tests.web.api.api_site import ApiSite, errors
from tests.web.api.two_organizations import SECRET, two_organizations


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> ApiSite:
    """Two organizations', with a token for all."""
    made = two_organizations(tmp_path_factory.mktemp("reads"))
    made.secret = made.token("read", "admin", organization=None)
    return made


def items(site: ApiSite, path: str, **parameters: Any) -> list[dict[str, Any]]:
    site.clock.seconds += 10
    answer = site.get(path, **parameters)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def test_a_run_is_what_its_events_say(site: ApiSite) -> None:
    run = site.get("/api/tasks/a/0").json()
    assert (run["task_id"], run["task_name"], run["status"]) == ("a/0", "import", "Completed")
    assert (run["organization_id"], run["is_over"]) == ("org-a", True)
    assert site.get("/api/tasks/a%2F0").json() == run
    assert site.get("/api/tasks/a/0", task_name="export").status_code == 404
    assert site.get("/api/tasks/nothing").status_code == 404


def test_lists_are_narrowed_down(site: ApiSite) -> None:
    names = {run["task_name"] for run in items(site, "/api/tasks", organization="org-a")}
    assert names == {"import", "silent"}
    assert {run["task_id"] for run in items(site, "/api/tasks", task_name="import")} == {"a/0", "a/1", "a/2"}
    assert items(site, "/api/tasks", status="RUNNING") == []
    assert len(items(site, "/api/tasks", status="success", task_name="import")) == 3
    assert items(site, "/api/tasks", since="2026-03-01T12:00:01", task_name="import") == []
    assert len(items(site, "/api/tasks", until="2026-03-01T13:00:01+01:00", task_name="import")) == 3
    assert [each["verdict"] for each in items(site, "/api/monitor-results", monitor="ours", limit=1)] == [
        "not_executed"
    ]
    assert items(site, "/api/monitor-results", monitor="ours", verdict="unknown") == []
    assert {each["to"] for each in items(site, "/api/notifications", to="ANN@example.com")} == {"ann@example.com"}
    assert len(items(site, "/api/notifications", task_id="a/0", kind="task_completion")) == 1
    assert items(site, "/api/notifications", status="failed") == []
    assert len(items(site, "/api/notifications", kind="notification_digest", status="sent")) >= 1
    assert len(items(site, "/api/dead-letters")) == 1
    assert items(site, "/api/dead-letters", stage="ingest") == []


@pytest.mark.parametrize("path", ["/api/tasks", "/api/monitors", "/api/monitor-results", "/api/notifications"])
def test_pages_put_together_are_the_list(site: ApiSite, path: str) -> None:
    whole = items(site, path, limit=200)
    assert len(whole) > 2
    pages: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        site.clock.seconds += 10
        answer = site.get(path, limit=2, **cursor).json()
        pages += answer["items"]
        if answer["next"] is None:
            break
        assert len(answer["items"]) == 2
        cursor = {"cursor": answer["next"]}
    assert pages == whole


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=many", "limit"),
        ("cursor=nonsense", "cursor"),
        ("cursor=" + cursors.write((2**63, 1)), "cursor"),
        ("cursor=" + cursors.write((1, 2**64 - 1)), "cursor"),
        ("status=Done", "status"),
        ("since=yesterday", "since"),
        ("task_name=" + "x" * 256, "task_name"),
        ("organisation=org-a", "organisation"),
        ("status=Running&status=Completed", "status"),
    ],
)
def test_a_wrong_parameter_is_named(site: ApiSite, query: str, field: str) -> None:
    site.clock.seconds += 10
    answer = site.get(f"/api/tasks?{query}")
    assert answer.status_code == 422
    assert list(errors(answer)) == [field]


def test_a_monitor_is_shown_as_people_write_it(site: ApiSite) -> None:
    monitor = site.get("/api/monitors/both").json()
    assert monitor["name"] == "both"
    assert set(monitor["record"]["args"][0]) == {"import", f"export-{SECRET}"}


def test_a_notification_is_shown_with_its_steps(site: ApiSite) -> None:
    [listed] = items(site, "/api/notifications", task_id="a/0")
    shown = site.get(f"/api/notifications/{listed['notification_id']}").json()
    assert shown["notification"] == listed
    assert [step["status"] for step in shown["steps"]] == ["accepted", "queued", "sent"]


def test_why_tells_the_story_of_a_notification_and_of_a_run(site: ApiSite) -> None:
    [listed] = items(site, "/api/notifications", task_id="a/1")
    [story] = site.get(f"/api/why/{listed['notification_id']}").json()["notifications"]
    assert story["outcome"] == "sent"
    assert [step["status"] for step in story["steps"]][-1] == "batched"
    assert story["digests"][0]["outcome"] == "sent"
    assert story["lines"][-1].startswith("  => sent in its digest at ")
    assert site.get("/api/why/a/1").json()["notifications"] == [story]
    silent = site.get("/api/why/a/silent").json()
    assert silent["notifications"] == []
    assert "it is a silent task" in silent["none_because"][0]
    assert site.get("/api/why/nobody").status_code == 404


def test_it_is_said_how_far_behind_the_answers_are(site: ApiSite) -> None:
    said = site.get("/api/status").json()["read_model"]
    assert (said["behind_s"], said["behind_records"]) == (0.0, 0)


def test_before_anything_is_read_lists_are_empty_and_that_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "fresh").mkdir()
    site = ApiSite(tmp_path / "fresh")
    site.secret = site.token("read", "admin", organization=None)
    for path in ("tasks", "monitors", "monitor-results", "notifications", "dead-letters"):
        assert site.request("GET", f"/api/{path}").json() == {"items": [], "next": None}
    assert site.request("GET", "/api/status").json() == {"read_model": None}
    assert site.request("GET", "/api/why/x").status_code == 404


def test_head_is_get_without_a_body(site: ApiSite) -> None:
    for path in ("/api/tasks", "/api/tasks/a/0", "/api/openapi.json"):
        assert site.request("HEAD", path).status_code == 200


def test_a_list_of_runs_leaves_out_what_may_be_large(site: ApiSite) -> None:
    assert site.get(f"/api/tasks/{SECRET}/0").json()["result"] == {SECRET: 1}
    assert {run["result"] for run in items(site, "/api/tasks")} == {None}
