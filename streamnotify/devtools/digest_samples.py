"""Digests to look at; the golden files and the gallery show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from streamnotify.devtools.alert_samples import alert_sample
from streamnotify.domain.alerts import ALERT, RECOVERY
from streamnotify.domain.digest import Lane
from streamnotify.domain.notifications import TaskNotification, notification_id
from streamnotify.domain.pending import DigestItem, DigestNotification, Tally, outcome_of, sections

DIGEST = "notification_digest"
SHOW = 10
_LATEST = datetime(2024, 1, 15, 14, 30, 25, tzinfo=UTC)
_LONG = "nightly_evaluation_of_the_customer_assistant_against_all_known_regressions_" * 3
_HOSTILE = 'R&D <b>"x"</b> {{ 7*7 }} <script>alert(1)</script>\r\nBcc: eve@example.com\u202e\x00'

_TASK = TaskNotification(
    notification_id="",
    kind="task_completion",
    task_name="nightly_report",
    task_id="12345678-1234-5678-9012-123456789012",
    status="success",
    completed_at=_LATEST,
    display_name="Nightly Report",
    duration_s=165.0,
    variables={"test_set_id": "smoke-tests"},
)
_FAILED: dict[str, Any] = {
    "status": "failed",
    "display_name": "Import Customers",
    "error_message": "KeyError: 'customer' in row 17 of customers.csv after 3 attempts",
    "duration_s": 4.2,
    "variables": {},
}
_CANCELLED: dict[str, Any] = {
    "status": "cancelled",
    "display_name": "Rebuild Search Index",
    "duration_s": None,
    "variables": {},
}
_TESTS: dict[str, Any] = {
    "kind": "test_execution_summary",
    "display_name": "Execute Test Configuration",
    "variables": {
        "test_run_id": "abcd1234-5678-9012-efab-567890123456",
        "test_set_name": "API Tests",
        "total_tests": 340,
        "tests_passed": 321,
        "tests_failed": 12,
    },
}
_FEW: tuple[dict[str, Any], ...] = ({}, _TESTS, _FAILED, _CANCELLED)


def _tasks(changes: Sequence[dict[str, Any]]) -> list[DigestItem]:
    """One task for each of ``changes``, each three minutes older than the one before."""
    return [_task(number, each) for number, each in enumerate(changes)]


def _task(number: int, changes: dict[str, Any]) -> TaskNotification:
    values: dict[str, Any] = {
        "notification_id": notification_id("task_completion", "sample", str(number)),
        "task_id": f"{_TASK.task_id[:-3]}{number:03}",
        "completed_at": _LATEST - timedelta(minutes=3 * number),
    }
    return replace(_TASK, **values | changes)


def _alerts() -> list[DigestItem]:
    changes: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("status-mismatch", RECOVERY, {"task_name": "satellite_ingest"}),
        ("status-mismatch", ALERT, {}),
        ("not-executed", ALERT, {"task_name": "data_export"}),
        ("dependents", ALERT, {}),
        ("status-mismatch", RECOVERY, {"task_name": "report_generation"}),
    )
    return [
        replace(alert_sample(name, kind), check_time=_LATEST - timedelta(minutes=5 * number), **changed)
        for number, (name, kind, changed) in enumerate(changes)
    ]


def _of(organization_id: str, *changes: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    return tuple({**each, "organization_id": organization_id} for each in changes)


_ITEMS: dict[str, list[DigestItem]] = {
    "few": _tasks(_FEW),
    "many": _tasks([_FAILED, *[{}] * 7, _FAILED, _TESTS, _FAILED, *[{}] * 26]),
    "organizations": _tasks(
        [
            *_of("org-b", {}, _FAILED),
            *_of("org-a", {}, _TESTS, _FAILED),
            *[{}] * 2,
            *_of("org-c", *[{}] * 12),
        ]
    ),
    "one-organization": _tasks(_of("org-a", *_FEW)),
    "all-completed": _tasks([{}] * 3),
    "alerts": _alerts(),
    "cannot-be-listed": _tasks([{}, {"variables": {"test_run_id": 10**5000}}, _FAILED]),
    "right-to-left": _tasks(
        [
            {"display_name": "הרצת בדיקות לילה"},
            {
                "status": "failed",
                "display_name": "فحص الواجهة",
                "error_message": "القرص ممتلئ: لا يمكن حفظ النتائج",
            },
        ]
    ),
    "emoji": _tasks([{"display_name": "🚀 Launch 👩🏽‍🚀 checks 🇪🇺"}, {**_FAILED, "error_message": "💥 " * 60}]),
    "hostile": _tasks(
        [
            *_of(_HOSTILE, {"display_name": _HOSTILE, "status": "failed", "error_message": _HOSTILE * 3}),
            *_of("</h2></td><style>*{display:none}</style>", {"display_name": None, "task_name": _HOSTILE}),
            {
                "task_id": '"><img src=x onerror=alert(1)>',
                "variables": {"test_run_id": '"><img src=x>', "test_set_name": "<h1>Pwned</h1>", "total_tests": "NaN"},
            },
        ]
    ),
    "long-names": _tasks(
        [
            *_of(_LONG, {"display_name": None, "task_name": _LONG, "task_id": "x" * 255}),
            {
                "status": "failed",
                "display_name": "Wolfeschlegelsteinhausenbergerdorff" * 6,
                "error_message": "E" * 600,
                "variables": {"test_run_id": "r" * 255, "test_set_name": _LONG.upper(), "tests_failed": 876_543_210_987}
                | {"tests_passed": 123_456_789_012},
            },
        ]
    ),
}
NAMES = tuple(_ITEMS)


def digest_sample(name: str, organization_id: str | None = None) -> DigestNotification:
    """The sample ``name`` of NAMES; of an organization if one is given, then all of it is."""
    items = _ITEMS[name]
    if organization_id is not None:
        items = [replace(item, organization_id=organization_id) for item in items]
    return a_digest(
        items, Lane.ALERTS if name == "alerts" else Lane.TASKS, notification_id=notification_id(DIGEST, "sample", name)
    )


def a_digest(
    items: Sequence[DigestItem], lane: Lane = Lane.TASKS, show: int = SHOW, **fields: Any
) -> DigestNotification:
    """A digest of ``items``, the newest first, as a mailbox makes it, but as ``fields`` say."""
    organizations = {item.organization_id for item in items}
    values: dict[str, Any] = {
        "notification_id": notification_id(DIGEST, "sample"),
        "lane": lane.value,
        "sections": sections(_tallies(items), items, show),
        "kinds": tuple(sorted({item.kind for item in items})),
        "email": "john.doe@example.com",
        "mailbox": "user:u1",
        "name": "John Doe",
        "organization_id": organizations.pop() if len(organizations) == 1 else None,
    }
    return DigestNotification(**values | fields)


def _tallies(items: Sequence[DigestItem]) -> list[Tally]:
    counted: dict[tuple[str | None, str], Tally] = {}
    for item in items:
        key, how = (item.organization_id, item.kind), outcome_of(item)
        tally = counted.get(key, Tally(*key))
        counted[key] = replace(tally, **{how: getattr(tally, how) + 1})
    return list(counted.values())
