"""The source document's blocks: nothing but their import lines is changed, and the chord stands in a function."""
# ruff: noqa: ANN001, ANN201, ARG001, RET504
# fmt: off
# mypy: ignore-errors

from __future__ import annotations

from celery import chord

from streamnotify.celery import BaseTask, EmailEnabledTask, EmailTemplate, email_notification, with_tenant_context
from tests.celery.app import app


@email_notification(
    template=EmailTemplate.TASK_COMPLETION,
    subject_template="Task Complete: {task_name} - {status.title()}"
)
@app.task(base=BaseTask, name="your.user.facing.task", bind=True)
@with_tenant_context
def user_facing_task(self, params, db=None):
    """This task will send email notifications using the specified template."""
    # Your task logic here
    return {"result": "success", "test_run_id": "optional-for-links"}


@app.task(base=BaseTask, name="your.background.task", bind=True)
@with_tenant_context
def background_task(self, params, db=None):
    """This task will NOT send email notifications."""
    # Your parallel task logic here
    return {"result": "success"}


@app.task(base=EmailEnabledTask, name="your.legacy.task", bind=True)
@with_tenant_context
def legacy_task(self, params, db=None):
    """This task will send basic task completion emails."""
    # Your task logic here
    return {"result": "success"}


def run_in_parallel(param1, param2, param3):
    # These run in parallel - no emails needed (no decorator)
    parallel_tasks = [
        background_task.s(param1),
        background_task.s(param2),
        background_task.s(param3),
    ]

    callback = collect_results_task.s()

    # Execute: parallel tasks run silently, only callback sends email
    result = chord(parallel_tasks)(callback)
    return result


# This is the callback when all parallel tasks complete - send email
@email_notification(template=EmailTemplate.TEST_EXECUTION_SUMMARY)
@app.task(base=BaseTask, bind=True)
def collect_results_task(self, results):
    # Process results and return summary
    return {"total_tests": 10, "tests_passed": 8, "tests_failed": 2}


@email_notification(template=EmailTemplate.TEST_EXECUTION_SUMMARY)
@app.task(base=BaseTask, bind=True)
def test_task(self):
    # Task logic here
    return {
        'total_tests': 10,
        'tests_passed': 8,
        'tests_failed': 2,
        'test_set_name': 'API Tests',
        'project_name': 'My Project'
    }


@app.task(name="orchestrates")
def orchestrates():
    """Ours: somebody's task that runs the chord above."""
    run_in_parallel(1, 2, 3)
