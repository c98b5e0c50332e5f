"""What can be asked: pages that fit together, and nothing of anybody else's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from streamnotify.web.read_model import cursors
from streamnotify.web.read_model.answers import Page
from streamnotify.web.read_model.cursors import BadCursor
from streamnotify.web.read_model.queries import ReadModel
from tests.web.read_model.a_file import NOON, event, record, step, write

MANY = 25


def check(number: int) -> dict[str, Any]:
    at = (NOON + timedelta(seconds=number // 3)).isoformat()
    return {"monitor": f"m{number % 2}", "task_name": "t", "verdict": "ok", "check_time": at, "evaluated_at": at}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of each some of org-a's, some of org-b's, some of nobody's; several at the same instant."""
    records = []
    for number in range(MANY):
        whose = {"organization_id": ("org-a", "org-b", None)[number % 3], "user_id": f"u{number % 2}"}
        monitor = {
            "crontab": "5 * * * *",
            "args": [{"t": {"expected_statuses": ["Completed"]} | {"organization_id": whose["organization_id"]}}],
        }
        at = (NOON + timedelta(seconds=number // 3)).isoformat()
        told = {"to": f"U{number % 2}@example.com", "task_name": f"t{number % 2}", "at": at, "kind": "task_completion"}
        records += [
            step(("sent", "failed")[number % 2], number, f"n{number:02}", **whose, **told),
            event("Running", number, f"r{number:02}", **whose, started_at=at),
            record("monitor-configs", monitor, offset=number, key=f"m{number:02}"),
            record("monitor-results", check(number), offset=number),
            record("dead-letters", whose, offset=number),
        ]
    return write(tmp_path_factory.mktemp("queries") / "x.sqlite3", records)


@pytest.fixture
def model(path: Path) -> ReadModel:
    return ReadModel(path)


LISTS: dict[str, Callable[[ReadModel], Callable[..., Page[Any]]]] = {
    "notifications": lambda model: model.notifications,
    "runs": lambda model: model.runs,
    "monitors": lambda model: model.monitors,
    "monitor_results": lambda model: model.monitor_results,
    "dead_letters": lambda model: model.dead_letters,
}


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("limit", [1, 4, MANY, 200])
def test_the_pages_of_a_list_are_the_whole_list_each_once_in_its_order(model: ReadModel, name: str, limit: int) -> None:
    ask = LISTS[name](model)
    whole = ask(organization=None, limit=200).items
    assert len(whole) == MANY
    found: list[Any] = []
    after: str | None = None
    while True:
        page = ask(organization=None, limit=limit, after=after)
        assert 0 < len(page.items) <= limit
        found += page.items
        after = page.next
        if after is None:
            break
    assert found == list(whole)


@pytest.mark.parametrize("name", ["notifications", "runs", "monitors", "dead_letters"])
def test_an_organization_sees_its_own_and_nothing_else(model: ReadModel, name: str) -> None:
    ask = LISTS[name](model)
    assert len(ask(organization="org-a", limit=200).items) == 9
    assert len(ask(organization="org-b", limit=200).items) == 8
    assert ask(organization="org-c").items == ()
    assert ask(organization="").items == ()


def test_what_is_anothers_is_as_if_it_were_not_there(model: ReadModel) -> None:
    assert model.notification("n00", organization="org-a") is not None
    assert model.run("r00", organization="org-a") is not None
    assert model.monitor("m00", organization="org-a") is not None
    for organization in ("org-b", ""):
        assert model.notification("n00", organization=organization) is None
        assert model.steps_of("n00", organization=organization) == ()
        assert model.run("r00", organization=organization) is None
        assert model.monitor("m00", organization=organization) is None


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"status": "failed"}, 12),
        ({"status": "failed", "organization": "org-a"}, 4),
        ({"address": "u1@EXAMPLE.com"}, 12),
        ({"user_id": "u0", "kind": "task_completion"}, 13),
        ({"task_name": "t1", "status": "sent"}, 0),
        ({"since": NOON + timedelta(seconds=2)}, 19),
        ({"until": NOON + timedelta(seconds=2)}, 6),
        ({"since": NOON + timedelta(seconds=2), "until": NOON + timedelta(seconds=3), "status": "sent"}, 2),
        ({"kind": "task_status_alert"}, 0),
        ({"task_id": "' OR 1=1 --"}, 0),
    ],
    ids=str,
)
def test_notifications_are_narrowed_down_by_all_that_is_given(
    model: ReadModel, filters: dict[str, Any], expected: int
) -> None:
    found = model.notifications(**{"organization": None, "limit": 200} | filters).items
    assert len(found) == expected


def test_the_newest_comes_first(model: ReadModel) -> None:
    times = [each.created_at for each in model.notifications(organization=None).items]
    assert times == sorted(times, reverse=True)
    assert times[0] > times[-1]


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("cursor", ["", "x", "é", "AAAA", "k6NhYmM", "x" * 5000, "gqFhoWI"])
def test_what_is_no_cursor_of_the_list_is_refused(model: ReadModel, name: str, cursor: str) -> None:
    with pytest.raises(BadCursor, match="next"):
        LISTS[name](model)(organization=None, after=cursor)


@pytest.mark.parametrize("name", LISTS)
def test_a_cursor_of_another_list_is_refused(model: ReadModel, name: str) -> None:
    other = cursors.write((1, 1) if name == "monitors" else ("m1",))
    with pytest.raises(BadCursor, match="next"):
        LISTS[name](model)(organization=None, after=other)


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("limit", [0, -1, 201])
def test_a_page_has_one_to_two_hundred(model: ReadModel, name: str, limit: int) -> None:
    with pytest.raises(ValueError, match="1 to 200 is allowed"):
        LISTS[name](model)(organization=None, limit=limit)


def test_without_a_file_there_is_nothing_which_is_no_error(tmp_path: Path) -> None:
    model = ReadModel(tmp_path / "none.sqlite3")
    assert model.freshness() is None
    assert [LISTS[name](model)(organization=None).items for name in LISTS] == [()] * len(LISTS)
    assert model.digest_items("d", organization=None).items == ()
    write(tmp_path / "none.sqlite3", [step("sent")])
    assert len(model.notifications(organization=None).items) == 1


def test_any_thread_may_ask(model: ReadModel) -> None:
    found: list[int] = []

    def ask() -> None:
        found.extend(len(model.runs(organization=None).items) for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [MANY] * 80


def test_of_a_digests_items_the_runs_are_told_if_they_are_known(tmp_path: Path) -> None:
    waiting = {"digest_id": "d", "kind": "task_completion", "task_name": "nightly"}
    path = write(
        tmp_path / "x.sqlite3",
        [
            step("batched", 0, "n1", task_id="r1", **waiting),
            step("batched", 1, "n2", task_id="r2", **waiting),
            event("Stopped", 0, "r1", error="disk full", display_name="The nightly one"),
        ],
    )
    second, first = ReadModel(path).digest_items("d", organization=None).items
    assert (first.run_status, first.display_name, first.error_message) == ("Stopped", "The nightly one", "disk full")
    assert (second.notification.task_id, second.run_status) == ("r2", None)
