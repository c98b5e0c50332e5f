"""Real runs of a DAG become task events: ``make test-airflow`` makes the environment and runs this."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.published import ROOT, Event, Published, told

DAGS = ROOT / "tests" / "adapters" / "airflow_dags"
PYTHON = os.environ.get("AIRFLOW_PYTHON", "")  # of an environment that has Airflow and streamnotify

# Starting Airflow and its database takes most of it.
pytestmark = [
    pytest.mark.skipif(not PYTHON, reason="needs Airflow: make test-airflow"),
    pytest.mark.timeout(600),
]

RunDag = Callable[..., str]


@pytest.fixture(scope="module")
def run_dag(published: Published, tmp_path_factory: pytest.TempPathFactory) -> RunDag:
    """Runs the DAG to its end, with Airflow on a database of its own; the id of the run."""
    home = tmp_path_factory.mktemp("airflow")
    env = {
        **os.environ,
        **published.env,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
    }
    subprocess.run([PYTHON, "-m", "airflow", "db", "migrate"], env=env, check=True, capture_output=True)

    def run(failures: int, **more: str) -> str:
        (home / "failures").unlink(missing_ok=True)
        command = [PYTHON, str(DAGS / "nightly.py")]
        ran = subprocess.run(
            command, env={**env, "AIRFLOW_FAILURES": str(failures), **more}, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr[-3000:]
        (home / "log").write_text(ran.stdout + ran.stderr)
        return (home / "run").read_text()

    return run


def of_task(events: list[Event], name: str) -> list[tuple[Any, ...]]:
    """Status, attempt, and whether it is final, of what is told about a task."""
    return [(event["status"], event["attempt"], event.get("final")) for event in events if event["task_name"] == name]


def dag_has_ended(events: list[Event]) -> bool:
    """Whether the last event of a run is there."""
    return any(event["task_name"] == "nightly" for event in events)


@pytest.fixture(scope="module")
def retried(run_dag: RunDag, published: Published) -> list[Event]:
    """What a run publishes that succeeds after a retry."""
    return published.of(run_dag(failures=1), until=dag_has_ended)


def test_a_run_that_succeeds_after_a_retry(retried: list[Event]) -> None:
    """Its user is told of the whole; monitors see each task."""
    (ended,) = [event for event in retried if event["task_name"] == "nightly"]
    assert told(ended) == {
        "task_name": "nightly",
        "status": "Completed",
        "attempt": 1,
        "organization_id": "7",
        "user_id": "u-2",  # the conf wins
        "notify": {"template": "nightly"},
    }
    assert ended["started_at"] < ended["finished_at"]
    assert ended["duration_s"] > 0
    assert of_task(retried, "nightly.extract") == [
        ("Running", 1, None),
        ("Running", 1, None),
        ("Stopped", 1, False),
        ("Running", 2, None),
        ("Running", 2, None),
        ("Completed", 2, None),
    ]
    assert of_task(retried, "nightly.skip") == [("Running", 1, None), ("Cancelled", 1, None)]


def test_a_task_is_silent_and_says_how_it_went(retried: list[Event], published: Published) -> None:
    """With its progress, times and organization; mapped ones are runs of their own."""
    *_, running, progress, completed = [event for event in retried if event["task_name"] == "nightly.extract"]
    assert told(completed) == {
        "task_name": "nightly.extract",
        "status": "Completed",
        "attempt": 2,
        "max_attempts": 2,
        "organization_id": "7",
    }
    assert progress["progress"] == {"percent": 50.0, "text": "half of it"}
    assert running["started_at"] == completed["started_at"] < completed["finished_at"]
    assert completed["duration_s"] > 0
    for mapped in (f"{completed['task_id']}[0]", f"{completed['task_id']}[1]"):
        assert of_task(published.to_the_end(mapped), "nightly.load") == [("Running", 1, None), ("Completed", 1, None)]


def test_a_run_that_fails_says_so(run_dag: RunDag, published: Published) -> None:
    """Once its retries are exhausted."""
    events = published.of(run_dag(failures=2), until=dag_has_ended)
    (ended,) = [event for event in events if event["task_name"] == "nightly"]
    assert ended["status"] == "Stopped"
    assert ended["error"] == {"message": "A task of it has failed."}
    *_, last = [event for event in events if event["task_name"] == "nightly.extract"]
    assert (last["status"], last["attempt"], last.get("final")) == ("Stopped", 2, None)
    assert last["error"] == {"type": "ValueError", "message": "no such ingestor", "cause": "exception"}


def test_a_publisher_that_raises_breaks_no_run(run_dag: RunDag, published: Published, tmp_path: Path) -> None:
    """The log has a warning for each event."""
    run_id = run_dag(failures=0, REFUSING=str(tmp_path / "state"))
    assert (tmp_path / "state").read_text() == "success"
    assert published.of(run_id, until=lambda events: True) == []
