"""The demo's scenes, in their order. Everything in them is real; only the windows are short."""

from __future__ import annotations

import itertools
import json
import re
from datetime import timedelta
from typing import Any

from streamnotify.devtools.demo.hints import where_to_look
from streamnotify.devtools.demo.pages import page, post_json, press_button, unsubscribe_link, view_all_link
from streamnotify.devtools.demo.set_up import DIGEST_WINDOW, YOU, stage_set
from streamnotify.devtools.demo.stage import DemoFailed, Say, Stage
from streamnotify.devtools.demo.staying import stay
from streamnotify.devtools.inbox import ReceivedMail
from streamnotify.wire.topics import MONITOR_CONFIGS, TASK_EVENTS

ANN, BOB, CAROL, OPS = (f"{name}@example.com" for name in ("ann", "bob", "carol", "ops"))

SILENT = {"task_name": "cache-cleanup", "status": "Completed"}
SUCCESS = {
    "task_name": "nightly-report",
    "task_id": "report-2024-01-15",
    "status": "Completed",
    "duration_s": 165,
    "notify": {"email": ANN, "name": "Ann"},
    "result": {"test_run_id": "7f3a"},
}
FAILURE = {
    "task_name": "invoice-export",
    "task_id": "invoices-4711",
    "status": "Stopped",
    "duration_s": 3.5,
    "error": {"type": "ConnectionError", "message": "the billing database did not answer"},
    "notify": {"email": BOB, "name": "Bob"},
}
POISON = '{"task_name": "nightly-report", "status":'  # no whole JSON value

TEST_MAIL = "/api/tasks/email-notification-test"

CHECKED_EVERY = timedelta(seconds=3)
IMPORT_FAILS = {"task_name": "orders-import", "task_id": "import-88", "status": "Stopped"}
PRICES_FAIL = {"task_name": "price-feed", "task_id": "prices-1", "status": "Stopped"}
PRICES_RECOVER = {"task_name": "price-feed", "task_id": "prices-2", "status": "Completed"}

FLOOD_SIZE = 25
MAILS = 9  # that all scenes make


def run(*, once: bool, say: Say) -> None:
    """Play all scenes; then stay until KeyboardInterrupt, unless ``once``.

    Raises:
        DemoFailed: if not everything came that should, or something did that should not.
        StreamnotifyError: if a part cannot be started, or has ended.
    """
    with stage_set(say) as stage:
        digest = play(stage)
        if once:
            carol_unsubscribes(stage, digest)
            nothing_else_came(stage)
        else:
            nothing_else_came(stage)
            say(where_to_look(stage.at, unsubscribe_link(digest)))
            failures = itertools.count(FLOOD_SIZE)
            stay(stage, lambda who: one_more_fails(stage, next(failures)) if who == CAROL else None)


def play(stage: Stage) -> ReceivedMail:
    """The scenes that need nobody to press anything; the digest that comes of them."""
    tasks_end(stage)
    monitors_look(stage)
    return a_flood_comes(stage)


def tasks_end(stage: Stage) -> None:
    """Two tasks whose owners are told, one that is silent, and a record that nobody can use."""
    stage.say("\n1 · Tasks end. These lines are typed into Kafka's console producer:")
    stage.publish(TASK_EVENTS, *(json.dumps(event) for event in (SILENT, SUCCESS, FAILURE)), POISON)
    stage.mail(ANN, "nightly-report - Success", 'her task says "notify", so she hears how it ended')
    stage.mail(BOB, "invoice-export - Failed", "with the error, so that he knows where to look")
    stage.say("  · cache-cleanup asks for no mail, and makes none")
    stage.dead_letter(POISON)
    stage.say(f"  Over HTTP, with a token: POST {stage.at.web}{TEST_MAIL}")
    post_json(f"{stage.at.web}{TEST_MAIL}", stage.at.token, {"message": "It works"})
    stage.mail(YOU, "email_notification_test - Success", "the mail of a test task, to whom the token belongs")


def monitors_look(stage: Stage) -> None:
    """One watched task has failed and others wait for it, one recovers, one never ran."""
    every = f"{CHECKED_EVERY.total_seconds():g}"
    stage.say(f"\n2 · Three monitors look every {every} s whether their tasks have run. Two have, and failed:")
    stage.events(IMPORT_FAILS, PRICES_FAIL)
    stage.publish(
        MONITOR_CONFIGS,
        monitor("watch-imports", "orders-import", dependent_tasks=["stock-levels", "morning-report"]),
        monitor("watch-prices", "price-feed"),
        monitor("watch-backups", "database-backup"),
    )
    stage.mail(OPS, "[ALERT] orders-import Status Check Failed", "it names the two tasks that wait for this one")
    stage.mail(OPS, "[ALERT] price-feed Status Check Failed", 'one mail, not one at each look: "on_change"')
    stage.mail(OPS, "[ALERT] database-backup Has Not Executed", "no run within the last hour")
    stage.say("  The prices are fetched again, and this time it works:")
    stage.events(PRICES_RECOVER)
    stage.mail(OPS, "[RESOLVED] price-feed Status Check Passed", "the all-clear comes by itself")


def a_flood_comes(stage: Stage) -> ReceivedMail:
    """Many failures at once, for one person: one mail, and one digest with the exact number."""
    stage.say(f"\n3 · {FLOOD_SIZE} of Carol's tasks fail at once:")
    stage.events(*(crawl(number) for number in range(FLOOD_SIZE)), show=1)
    stage.mail(CAROL, "web-crawler - Failed", "the first goes at once; the others wait for her digest")
    rest = FLOOD_SIZE - 1
    digest = stage.mail(
        CAROL,
        f"{rest} failed — {rest} task notifications",
        f"it came when nothing more had happened for {DIGEST_WINDOW.total_seconds():g} s (by default half an hour)",
    )
    url = view_all_link(digest)
    stage.until(
        f'"View all {rest} notifications" did not show {rest}: {url}',
        lambda: len(set(re.findall(r"crawl-\d\d", page(url)))) == rest or None,
    )
    stage.say(f"  ✓ its link leads to a page with all {rest} of them")
    return digest


def carol_unsubscribes(stage: Stage, digest: ReceivedMail) -> None:
    """Press the button behind the digest's unsubscribe link, as she would in her browser."""
    link = unsubscribe_link(digest)
    stage.say(f"\n4 · Carol follows her digest's unsubscribe link, and presses the button:\n  {link}")
    press_button(link)
    stage.until("nothing on user-preferences said that Carol has unsubscribed", lambda: stage.preferences.get(CAROL))
    stage.say(f"  ✓ her wish is on the topic user-preferences: {json.dumps(stage.preferences[CAROL]['kinds'])}")
    one_more_fails(stage, FLOOD_SIZE)
    stage.suppressed(crawl(FLOOD_SIZE)["task_id"], "opted_out_kind")


def one_more_fails(stage: Stage, number: int) -> None:
    """Carol has said what she wants: what becomes of the next failure?"""
    stage.say("  One more of her tasks fails:")
    stage.events(crawl(number))


def nothing_else_came(stage: Stage) -> None:
    """Check that there are the mails told of, and no others.

    Raises:
        DemoFailed: if there are others, or something was decided about the task that is silent.
    """
    if (came := len(stage.inbox.mails)) != MAILS:
        raise DemoFailed(f"{came} mails came instead of {MAILS}")
    if any(status.get("task_name") == SILENT["task_name"] for status in stage.statuses):
        raise DemoFailed(f"{SILENT['task_name']} is silent, but something was decided about mailing it")
    stage.say(f"\n✓ {MAILS} mails in all, none twice, and none that nobody asked for")


def monitor(name: str, task_name: str, **more: Any) -> str:
    """A monitor's record as the console producer reads it: its name, a bar, what it expects."""
    expected = {"expected_statuses": ["Completed"], "notify_to": [OPS], "notify": "on_change", **more}
    interval = {"every": int(CHECKED_EVERY.total_seconds()), "period": "seconds"}
    return f"{name}|{json.dumps({'interval': interval, 'tasks': {task_name: expected}})}"


def crawl(number: int) -> dict[str, Any]:
    """One of Carol's tasks fails."""
    return {
        "task_name": "web-crawler",
        "task_id": f"crawl-{number:02}",
        "status": "Stopped",
        "error": "the site answers 503",
        "notify": {"email": CAROL, "name": "Carol"},
    }
