"""Every example of the source's guide to monitoring, on the in-memory engine with a fast clock."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import pytest

from streamnotify.wire.topics import TASK_EVENTS
from tests.e2e.in_memory import InMemoryProduct
from tests.e2e.product import text_of

MIDNIGHT = datetime(2024, 1, 15, tzinfo=UTC)  # a Monday


def at(hour: int, minute: int = 0, day: int = 0) -> datetime:
    """A time of day, ``day`` days after MIDNIGHT's."""
    return MIDNIGHT + timedelta(days=day, hours=hour, minutes=minute)


@pytest.fixture
def product() -> InMemoryProduct:
    return InMemoryProduct(at(0))


def test_example_1_a_simple_hourly_task(product: InMemoryProduct) -> None:
    """Checked five minutes after it should have completed."""
    product.monitor(
        "Monitor Critical Data Collection Tasks",
        [
            {
                "hourly_data_sync": {
                    "expected_statuses": ["Completed"],
                    "notify_to": ["data-team@example.com"],
                    "lookback_hours": 1,
                }
            }
        ],
        crontab="5 * * * *",
    )
    product.advance_to(at(1))
    product.ran("hourly_data_sync")
    product.advance_to(at(1, 59))
    assert product.verdicts("hourly_data_sync") == ["not_executed", "ok"]
    product.advance_to(at(2, 4))
    product.ran("hourly_data_sync", "Stopped", error="disk full")
    product.advance_to(at(2, 6))
    assert product.verdicts("hourly_data_sync")[2:] == ["status_mismatch"]
    assert product.mails() == [
        ("data-team@example.com", "[ALERT] hourly_data_sync Has Not Executed"),
        ("data-team@example.com", "[ALERT] hourly_data_sync Status Check Failed"),
    ]
    text = text_of(product.last_mail())
    for said in ("⚠️ Task Status Alert", "hourly_data_sync", "Stopped", "Completed", "Last 1 hour(s)"):
        assert said in text
    assert "2024-01-15 02:04:00 UTC" in text
    assert "2024-01-15 02:05:00 UTC" in text
    assert "Action Required: Please investigate immediately." in text
    assert "disk full" not in text  # what went wrong inside the task is not for this mail


def test_example_2_a_pipeline_with_dependents(product: InMemoryProduct) -> None:
    """Three tasks, each with its own window and statuses; the mail warns of what waits for the one that failed."""
    product.user("u1", email="root@example.com", is_superuser=True)
    product.monitor(
        "Monitor the Pipeline",
        [
            {
                "data_collection": {
                    "expected_statuses": ["Completed"],
                    "notify_to": ["ops@example.com"],
                    "dependent_tasks": ["data_processing", "data_export"],
                    "lookback_hours": 1,
                },
                "data_processing": {
                    "expected_statuses": ["Completed", "Running"],
                    "dependent_tasks": ["data_export"],
                    "lookback_hours": 2,
                },
                "data_export": {"expected_statuses": ["Completed"], "lookback_hours": 3},
            }
        ],
        crontab="*/30 * * * *",
    )
    product.advance_to(at(0, 10))
    product.ran("data_collection", "Stopped", task_id="c1")
    product.ran("data_processing", "Running", task_id="p1")
    product.ran("data_export", task_id="e1")
    product.advance_to(at(0, 31))
    assert product.mails() == [("ops@example.com", "[ALERT] data_collection Status Check Failed")]
    text = text_of(product.last_mail())
    assert "data_processing" in text
    assert "data_export" in text
    product.advance_to(at(2, 31))
    assert product.verdicts("data_collection")[-1] == "not_executed"
    assert product.verdicts("data_processing") == ["ok"] * 4 + ["not_executed"]
    assert product.verdicts("data_export") == ["ok"] * 5
    assert ("root@example.com", "[ALERT] data_processing Has Not Executed") in product.mails()


def test_example_3_daily_tasks_tell_the_superusers(product: InMemoryProduct) -> None:
    """And those only who are active, verified, and superusers still."""
    product.user("u1", email="root@example.com", name="Root", is_superuser=True)
    product.user("u2", email="second@example.com", is_superuser=True)
    product.user("u3", email="ann@example.com")
    product.user("u4", email="gone@example.com", is_superuser=True, is_active=False)
    product.user("u5", email="new@example.com", is_superuser=True, email_verified=False)
    product.user("u2", email="second@example.com", is_superuser=False)
    product.monitor(
        "Monitor Daily Tasks",
        [
            {
                "daily_report_generation": {"expected_statuses": ["Completed"], "lookback_hours": 25},
                "daily_cleanup": {"expected_statuses": ["Completed"], "lookback_hours": 24},
            }
        ],
        crontab="5 9 * * *",
    )
    product.advance_to(at(8))
    product.ran("daily_report_generation")
    product.advance_to(at(9, 6))
    assert product.mails() == [("root@example.com", "[ALERT] daily_cleanup Has Not Executed")]
    [cleanup] = [result for result in product.results if result["task_name"] == "daily_cleanup"]
    assert cleanup["notified"] == ["root@example.com"]


def test_example_4_one_type_of_ingestor(product: InMemoryProduct) -> None:
    """Only its own sessions count, however many others have run since."""
    product.monitor(
        "Monitor Hourly Tomorrow.io",
        [
            {
                "ingestor_session": {
                    "context_model": "gap.models.IngestorSession",
                    "context_type": "Hourly Tomorrow.io",
                    "expected_statuses": ["Completed"],
                    "notify_to": ["weather-team@example.com"],
                    "dependent_tasks": ["forecast_processing"],
                    "lookback_hours": 2,
                }
            }
        ],
        crontab="5 */2 * * *",
    )
    context = {"model": "gap.models.IngestorSession", "id": "42", "ingestor_type": "Hourly Tomorrow.io"}
    product.advance_to(at(1))
    product.ran("ingestor_session", context=context)
    product.advance_to(at(1, 30))
    product.ran("ingestor_session", "Stopped", context=context | {"ingestor_type": "Daily Salient"})
    product.advance_to(at(4, 6))
    assert [result["verdict"] for result in product.results] == ["not_executed", "ok", "not_executed"]
    assert {result["context_type"] for result in product.results} == {"Hourly Tomorrow.io"}
    assert [to for to, _ in product.mails()] == ["weather-team@example.com"] * 2


def test_the_complete_workflow_of_a_daily_report(product: InMemoryProduct) -> None:
    """Due at 8:00, done by 8:30, checked at 8:35; two teams are told, and what waits for it is named."""
    product.monitor(
        "Monitor Daily Report Generation",
        [
            {
                "generate_daily_report": {
                    "expected_statuses": ["Completed"],
                    "notify_to": ["reports-team@example.com", "management@example.com"],
                    "dependent_tasks": ["send_report_emails", "update_dashboard"],
                    "lookback_hours": 2,
                }
            }
        ],
        crontab="35 8 * * *",
    )
    product.advance_to(at(8))
    product.ran("generate_daily_report", "Running", task_id="monday")
    product.advance_to(at(8, 28))
    product.ran("generate_daily_report", task_id="monday")
    product.advance_to(at(8, 36))
    assert (product.verdicts("generate_daily_report"), product.mails()) == (["ok"], [])
    product.advance_to(at(8, 0, day=1))
    product.ran("generate_daily_report", "Running", task_id="tuesday")
    product.advance_to(at(8, 36, day=1))
    subject = "[ALERT] generate_daily_report Status Check Failed"
    assert sorted(product.mails()) == [("management@example.com", subject), ("reports-team@example.com", subject)]
    text = text_of(product.last_mail())
    for said in ("Running", "send_report_emails", "update_dashboard"):
        assert said in text


def test_no_recipients_is_the_sources_error_with_the_mail_in_the_log(
    product: InMemoryProduct, caplog: pytest.LogCaptureFixture
) -> None:
    """The check counts as failed; the monitor's other tasks are told as ever."""
    product.monitor(
        "watch",
        [
            {
                "orphan": {"expected_statuses": ["Completed"]},
                "known": {"expected_statuses": ["Completed"], "notify_to": ["ops@example.com"]},
            }
        ],
        crontab="5 * * * *",
    )
    with caplog.at_level(logging.ERROR):
        product.advance_to(at(0, 10))
    error = "ValueError: notify_to is empty but no superuser found for task 'orphan'"
    assert error in caplog.text
    assert "[ALERT] orphan Has Not Executed" in caplog.text
    assert "Action Required: Please investigate immediately." in caplog.text
    [orphan] = [result for result in product.results if result["task_name"] == "orphan"]
    assert (orphan["error"], orphan["notified"]) == (error, [])
    assert product.mails() == [("ops@example.com", "[ALERT] known Has Not Executed")]
    runs = [event for event in product.engine.values(TASK_EVENTS) if event["task_name"] == "monitor_task_status"]
    assert {event["task_id"].split("/")[1]: event["status"] for event in runs} == {
        "orphan": "Stopped",
        "known": "Completed",
    }
