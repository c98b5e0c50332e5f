"""The same records make the same rows, in whatever order and however often they come."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamnotify.web.read_model.queries import ReadModel
from streamnotify.web.read_model.records import RawRecord
from streamnotify.web.read_model.store import Store
from streamnotify.wire import dead_letter
from tests.web.read_model.a_file import IDS, NOON, event, positions_behind, record, rows, step, write

CHECK = {"expected_statuses": ["Completed"]}


def monitor(offset: int, name: str = "m", **tasks: Any) -> RawRecord:
    """A monitor's record; without tasks it is deleted."""
    said = {"crontab": "5 * * * *", "args": [tasks]} if tasks else None
    return record("monitor-configs", said, offset=offset, key=name, at=NOON + timedelta(seconds=offset))


def result(offset: int, task_name: str = "t") -> RawRecord:
    """A check's record."""
    at = (NOON + timedelta(seconds=offset)).isoformat()
    said = {"monitor": "m", "task_name": task_name, "verdict": "ok", "check_time": at, "evaluated_at": at}
    return record("monitor-results", said, offset=offset, headers={"sn-id": f"i{offset}"})


def letter(offset: int, identity: str) -> RawRecord:
    """A dead letter."""
    headers = {"sn-id": identity, dead_letter.TOPIC: "task-events", dead_letter.REASON: "no JSON"}
    return record("dead-letters", b'{"organization_id": "org-a", "status": 3}', offset=offset, headers=headers)


# One of each way in which records about the same thing come: late, repeated, contradicting, taken back.
SCRIPT: Sequence[RawRecord] = (
    step("accepted", 0, kind="task_completion", task_name="nightly", user_id="u1"),
    step("queued", 1, to="Ann@Example.com", subject="Done", kind="task_completion"),
    step("sent", 2, attempt=1),
    step("queued", 1, to="Ann@Example.com", subject="Done", kind="task_completion")._replace(offset=3),
    step("batched", 4, "n2", digest_id="d", kind="task_completion", organization_id="org-a"),
    step("suppressed", 5, "d", digest_id="d", kind="task_completion", organization_id="org-a", count=3, reason="read"),
    step("batched", 6, "d", digest_id="e", kind="notification_digest", count=2),
    step("hello", 7),
    event("Running", 0, attempt=2, started_at="2026-01-05T12:00:00Z"),
    event("Pending", 1, attempt=1, organization_id="org-a", user_id="u1"),
    event("Stopped", 2, attempt=1, final=False, error="disk full"),
    event("Completed", 3, attempt=2, result={"rows": 3}),
    event("Invalidated", 4, attempt=1),
    event("Completed", 5, task_id="r2"),
    event("Bad", 6),
    monitor(0, t=CHECK | {"organization_id": "org-a"}),
    monitor(1, t=CHECK | {"organization_id": "org-b"}, other=CHECK),
    monitor(2, "gone", t=CHECK),
    monitor(3, "gone"),
    record("monitor-configs", {"crontab": "never"}, offset=4, key="m"),
    result(0),
    result(1, "other"),
    result(0)._replace(offset=2, timestamp=result(2).timestamp + 1),
    letter(0, "first"),
    letter(1, "first"),
    letter(2, "second"),
    record("users", {"user_id": "u1", "email": "Ann@Example.com"}, offset=0, key="u1"),
    record("users", {"user_id": "u1", "name": "Ann"}, offset=1, key="u1"),
    record("users", None, offset=2, key="u2"),
    record("users", {"user_id": "u2"}, offset=1, key="u2"),
    record("user-preferences", {"email": False}, offset=0, key="Ann@Example.com"),
    record("user-preferences", None, offset=1, key="Ann@Example.com"),
    record("user-preferences", {"email": False}, offset=2, key="organization:org-a"),
)


def written_in_batches(path: Path, records: Sequence[RawRecord], size: int) -> None:
    with Store(path) as store:
        store.follow(IDS)
        for start in range(0, len(records), size):
            batch = records[start : start + size]
            store.write(batch, positions_behind(batch), NOON + timedelta(days=1))


@pytest.fixture(scope="module")
def in_order(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    return rows(write(tmp_path_factory.mktemp("order") / "in-order.sqlite3", SCRIPT))


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), repeated=st.integers(0, 20), size=st.integers(1, 40))
def test_any_order_and_repetition_of_records_makes_the_rows_they_make_in_order(
    in_order: dict[str, list[Any]], seed: int, repeated: int, size: int
) -> None:
    chance = random.Random(seed)
    records = [*SCRIPT, *chance.choices(SCRIPT, k=repeated)]
    chance.shuffle(records)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "any-order.sqlite3"
        written_in_batches(path, records, size)
        assert rows(path) == in_order


def test_every_table_has_rows_of_the_script(in_order: dict[str, list[Any]]) -> None:
    assert {name for name, found in in_order.items() if not found} == set()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ReadModel:
    return ReadModel(write(tmp_path_factory.mktemp("script") / "model.sqlite3", SCRIPT))


def test_a_notification_is_what_its_last_step_says_and_all_steps_together(model: ReadModel) -> None:
    found = model.notification("n1", organization=None)
    assert found is not None
    assert (found.status, found.to, found.subject, found.attempt) == ("sent", "Ann@Example.com", "Done", 1)
    assert (found.task_name, found.user_id, found.created_at) == ("nightly", "u1", NOON)
    assert [each.status for each in model.steps_of("n1", organization=None)] == ["accepted", "queued", "sent"]


def test_what_a_digest_says_of_some_of_its_notifications_is_not_said_of_itself(model: ReadModel) -> None:
    found = model.notification("d", organization=None)
    assert found is not None
    assert (found.status, found.digest_id, found.count, found.organization_id) == ("batched", "e", 2, None)


def test_a_run_is_what_the_stations_make_of_its_events(model: ReadModel) -> None:
    run = model.run("r1", organization="org-a")
    assert run is not None
    assert (run.status, run.attempt, run.is_over, run.started_at) == ("Completed", 2, True, NOON)
    assert (run.user_id, run.error_message, run.result) == ("u1", "disk full", {"rows": 3})


def test_a_run_whose_worker_was_lost_has_stopped_once_it_is_known_that_no_successor_came(tmp_path: Path) -> None:
    path = write(tmp_path / "x.sqlite3", [event("Running", 5, interrupted=True, redelivery_s=60)])
    model = ReadModel(path)
    for seconds, behind, expected in ((300, 1, "Running"), (64, 0, "Running"), (65, 0, "Stopped")):
        with Store(path) as store:
            store.note_progress(None if behind else NOON + timedelta(seconds=seconds), behind)
        run = model.run("r1", organization=None)
        assert run is not None
        assert run.status == expected
    assert run is not None
    assert (run.is_over, run.error_message) == (True, "worker lost")
    assert len(model.runs(organization=None, status="Stopped").items) == 1
    write(path, [event("Completed", 90)])  # who reports it after all knows better
    run = model.run("r1", organization=None)
    assert run is not None
    assert run.status == "Completed"


def test_a_refused_monitor_leaves_the_last_good_one_and_a_deleted_one_is_gone(model: ReadModel) -> None:
    assert [each.name for each in model.monitors(organization=None).items] == ["m"]
    [tasks] = model.monitors(organization="org-b").items[0].record["args"]
    assert tasks == {"t": {"expected_statuses": ["Completed"], "organization_id": "org-b"}}
    assert model.monitor("m", organization="org-a") is None


def test_a_check_belongs_to_the_organization_that_its_task_has_now(model: ReadModel) -> None:
    assert [each.task_name for each in model.monitor_results(organization=None).items] == ["other", "t"]
    assert [each.task_name for each in model.monitor_results(organization="org-b").items] == ["t"]
    assert model.monitor_results(organization="org-a").items == ()


def test_a_dead_letter_is_named_by_where_it_lay_first(model: ReadModel) -> None:
    found = model.dead_letters(organization="org-a", topic="task-events").items
    assert {(each.id, each.reason, each.value) for each in found} == {
        ("0-0", "no JSON", '{"organization_id": "org-a", "status": 3}'),
        ("0-2", "no JSON", '{"organization_id": "org-a", "status": 3}'),
    }


def test_the_latest_record_of_a_person_counts(model: ReadModel) -> None:
    known = model.user("u1")
    assert known is not None
    assert (known.profile.name, known.profile.email) == ("Ann", None)
    assert model.user("u2") is None
    assert model.preferences("address:ann@example.com") is None
    assert model.is_organization_off("org-a")
    assert not model.is_organization_off("org-b")


def test_an_instant_in_the_future_is_not_believed(tmp_path: Path) -> None:
    """Else such a row would be the newest for ever, and never go."""
    late = event("Running", started_at="9999-01-01T00:00:00Z")._replace(timestamp=32_500_000_000_000)
    path = write(tmp_path / "x.sqlite3", [late, step("sent", at="9998-01-01T00:00:00Z")], now=NOON)
    found = rows(path)
    for table in ("runs", "notifications"):
        [row] = found[table]
        assert dict(row)["seen"] == dict(row)["created_at"] == NOON.timestamp() * 1e6
