"""Notifications to look at: what the golden files, the gallery and the screenshots show of every template."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from streamnotify.devtools import alert_samples, digest_samples
from streamnotify.devtools.alert_samples import alert_sample, health_sample
from streamnotify.devtools.digest_samples import DIGEST, digest_sample
from streamnotify.domain.alerts import HEALTH
from streamnotify.domain.notifications import TaskNotification, notification_id
from streamnotify.render.renderer import RenderedMail, Renderer

RECIPIENT = "john.doe@example.com"
NOW = datetime(2024, 1, 15, 14, 30, 26, tzinfo=UTC)

_COUNTS: dict[str, Any] = {"total_tests": 340, "tests_passed": 340, "tests_failed": 0}
_RESULT: dict[str, Any] = {
    "test_run_id": "abcd1234-5678-9012-efab-567890123456",
    "test_set_name": "API Tests",
    "project_name": "Customer Assistant",
    "endpoint_name": "Production chat endpoint",
    "endpoint_url": "https://chat.example.com/v1/answers",
}
_LONG = "nightly_evaluation_of_the_customer_assistant_against_all_known_regressions_" * 3

_FULL = TaskNotification(
    notification_id="",
    kind="",
    task_name="execute_test_configuration",
    task_id="12345678-1234-5678-9012-123456789012",
    status="success",
    completed_at=datetime(2024, 1, 15, 14, 30, 25, tzinfo=UTC),
    display_name="Execute Test Configuration",
    duration_s=165.0,
    organization_id="org-a",
    email=RECIPIENT,
    name="John Doe",
    variables=_RESULT | _COUNTS,
)

_CHANGES: dict[str, dict[str, Any]] = {
    "success": {},
    "failure": {
        "status": "failed",
        "error_message": "KeyError: 'customer'\n  in row <17> of customers.csv\n  after 3 attempts",
        "variables": _RESULT | {"total_tests": 340, "tests_passed": 0, "tests_failed": 12},
    },
    "partial": {
        "variables": _RESULT
        | {"total_tests": 340, "tests_passed": 321, "tests_failed": 12}
        | {"status_details": {"passed": 321, "failed": 12, "not run": 7}},
    },
    "cancelled": {"status": "cancelled", "variables": _RESULT | {"total_tests": 340, "tests_passed": 100}},
    "zero-tests": {"variables": _RESULT | {"total_tests": 0, "tests_passed": 0, "tests_failed": 0}},
    "no-result-link": {"variables": _COUNTS | {"test_set_name": "API Tests"}},
    "bare": {
        "task_name": "nightly-report",
        "task_id": "run-1",
        "display_name": None,
        "duration_s": None,
        "organization_id": None,
        "name": None,
        "variables": {},
    },
    "huge-error": {
        "status": "failed",
        "error_message": "Traceback line with <angle brackets> & quotes \" ' in it\n" * 18_000,
        "variables": _RESULT | {"status_details": ["a detail of many words " * 20] * 150},
    },
    "right-to-left": {
        "status": "failed",
        "display_name": "הרצת בדיקות לילה",
        "name": "שרה כהן",
        "error_message": "القرص ممتلئ\nلا يمكن حفظ النتائج",  # noqa: RUF001 Arabic on purpose
        "variables": _RESULT | {"test_set_name": "اختبارات الواجهة", "total_tests": 10, "tests_passed": 8},
    },
    "cyrillic": {
        "display_name": "Ночной отчёт о качестве ответов",  # noqa: RUF001 Cyrillic on purpose
        "name": "Анна Петрова",
        "variables": _RESULT | _COUNTS | {"test_set_name": "Проверки интерфейса", "project_name": "Помощник"},
    },
    "emoji": {
        "display_name": "🚀 Launch 👩🏽‍🚀 checks 🇪🇺",
        "name": "Zoë 👩‍👩‍👧",
        "variables": _RESULT | _COUNTS | {"test_set_name": "🧪 Smoke ❤️‍🔥"},
    },
    "hostile": {
        "status": "failed",
        "display_name": 'R&D <b>"x"</b> {{ 7*7 }} <script>alert(1)</script>\r\nBcc: eve@example.com',
        "name": "<i>Ann</i>\u202egro.elpmaxe\u2028X-Evil: 1\x00",
        "error_message": "</p></td><style>*{display:none}</style><a href='https://evil.example'>click</a>",
        "subject_template": "{task_name.__class__} {status!r}",
        "variables": {
            "test_run_id": '"><img src=x onerror=alert(1)>',
            "test_set_name": "<h1>Pwned</h1>",
            "total_tests": "NaN",
            "tests_passed": -5,
            "tests_failed": {"$gt": 0},
            "status_details": {"<b>": ["<script>", {"deep": {"deeper": {"deepest": 1}}}]},
            "endpoint_name": "javascript:alert(1)",
            "endpoint_url": "javascript:alert(1)",
            "project_name": "=?utf-8?q?x?=",
            "self": "x",
            "brand": "x",
            "range": "x",
        },
    },
    "long-names": {
        "status": "failed",
        "task_name": _LONG,
        "task_id": "x" * 255,
        "display_name": None,
        "name": "Wolfeschlegelsteinhausenbergerdorff" * 6,
        "error_message": "E" * 600,
        "variables": {
            "test_run_id": "r" * 255,
            "test_set_name": _LONG.upper(),
            "project_name": "p" * 4000,
            "endpoint_name": "e" * 4000,
            "endpoint_url": "https://chat.example.com/" + "path-without-a-break/" * 12,
            "total_tests": 999_999_999_999,
            "tests_passed": 123_456_789_012,
            "tests_failed": 876_543_210_987,
            "status_details": "d" * 400,
        },
    },
}
SAMPLES = tuple(_CHANGES)  # of tasks
_NAMES = alert_samples.NAMES | {DIGEST: digest_samples.NAMES}  # of others, by template


def sample(name: str, template: str, organization_id: str | None = None) -> TaskNotification:
    """The sample ``name`` of SAMPLES as a notification of kind ``template``, of an organization if one is given."""
    changed = replace(_FULL, kind=template, template=template, **_CHANGES[name])
    if organization_id is not None:
        changed = replace(changed, organization_id=organization_id)
    return replace(changed, notification_id=notification_id(template, "sample", name))


def samples_of(template: str) -> tuple[str, ...]:
    """The names of the samples that ``template`` is for."""
    return _NAMES.get(template, SAMPLES)


def sample_mail(renderer: Renderer, name: str, template: str, organization_id: str | None = None) -> RenderedMail:
    """The mail that ``renderer`` makes of a sample of :func:`samples_of` ``template``."""
    if template not in _NAMES:
        return renderer.task_mail(sample(name, template, organization_id), RECIPIENT, NOW)
    if template == DIGEST:
        return renderer.digest_mail(digest_sample(name, organization_id), RECIPIENT, NOW)
    if template == HEALTH:
        return renderer.health_mail(health_sample(name, organization_id), RECIPIENT, NOW)
    return renderer.alert_mail(alert_sample(name, template, organization_id), RECIPIENT, NOW)
