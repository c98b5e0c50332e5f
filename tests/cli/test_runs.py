"""``streamnotify runs`` and ``monitor run`` and ``list``, asking the real product."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from streamnotify.devtools.kafka import EmbeddedKafka
from tests.cli.running import streamnotify
from tests.e2e.product import APP, PARTITIONS, MailServer, Product, a_running_product

NOW = datetime.now(UTC).replace(microsecond=0)


class Asking:
    """The commands, told where the running product is."""

    def __init__(self, product: Product, mails: MailServer, directory: Path) -> None:
        self.product = product
        self.mails = mails
        self.directory = directory
        self._given = {
            "KAFKA_BOOTSTRAP_SERVERS": product.bootstrap_servers,
            "STREAMNOTIFY_TOPIC_PREFIX": product.prefix,
            "STREAMNOTIFY_APP_ID": APP,
            "STREAMNOTIFY_PARTITIONS": str(PARTITIONS),
            "STREAMNOTIFY_RECIPIENT_HOLD": "1s",
        }

    def __call__(self, *arguments: str) -> Result:
        """The result of a command."""
        return streamnotify(*arguments, directory=self.directory, **self._given)

    def file(self, name: str, content: Any) -> str:
        """A file for the command."""
        (self.directory / name).write_text(json.dumps(content), encoding="utf-8")
        return name

    def run(self, task_name: str, ago: timedelta, status: str = "Completed", **more: Any) -> None:
        """Have a run taken in that started so long ago."""
        started_at = (NOW - ago).isoformat()
        task_id = f"{task_name}-{ago.total_seconds():g}-{more.get('context')}"
        event = {"task_name": task_name, "task_id": task_id, "status": status, "started_at": started_at, **more}
        self.product.publish(event)
        self.product.flush()
        self.product.wait_for(lambda: task_id in self("runs", task_name, "--lookback", "840").output)

    def apply(self, record: dict[str, Any]) -> None:
        """Have a monitor taken up."""
        assert self("monitor", "apply", self.file("applied.json", record)).exit_code == 0
        self.product.wait_for(lambda: all(task["next_due"] for task in self.listed()[record["name"]]["tasks"]))

    def listed(self) -> dict[str, Any]:
        """``monitor list`` by name."""
        return {each["name"]: each for each in json.loads(self("monitor", "list", "--json").stdout)}

    def results(self, monitor: str) -> list[dict[str, Any]]:
        """What is on monitor-results of a monitor."""
        found = [json.loads(record.value() or b"null") for record in self.product.records("monitor-results")]
        return [result for result in found if result["monitor"] == monitor]


@pytest.fixture(scope="module")
def ask(kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    directory = tmp_path_factory.mktemp("asking")
    with (
        closing(MailServer()) as mails,
        a_running_product(kafka, directory, mails.port, STREAMNOTIFY_RECIPIENT_HOLD="1s") as product,
    ):
        yield Asking(product, mails, directory)


def a_monitor(name: str, task_name: str, **task: Any) -> dict[str, Any]:
    tasks = {task_name: {"expected_statuses": ["Completed"], **task}}
    return {"name": name, "interval": {"every": 10, "period": "hours"}, "tasks": tasks}


def test_runs_are_listed_newest_first_as_far_back_as_asked(ask: Asking) -> None:
    context = {"model": "gap.models.IngestorSession", "type": "Hourly"}
    ask.run("listed", timedelta(hours=30), "Stopped")
    ask.run("listed", timedelta(hours=3), "Stopped", error="out of luck")
    ask.run("listed", timedelta(minutes=5), context=context, organization_id="org-a")
    ask.run("listed", timedelta(hours=1), "Running")
    day = ask("runs", "listed")
    assert day.exit_code == 0
    times = [f"{NOW - ago:%Y-%m-%d %H:%M:%S} UTC" for ago in (timedelta(minutes=5), timedelta(hours=1))]
    assert day.output.startswith(f"{times[0]}: Completed")
    assert ", gap.models.IngestorSession Hourly, organization org-a" in day.output.splitlines()[0]
    assert day.output.splitlines()[1].startswith(f"{times[1]}: Running")
    assert day.output.endswith("3 runs of listed in the last 24 hour(s)\n")
    two = json.loads(ask("runs", "listed", "--lookback", "2", "--json").stdout)
    assert [run["status"] for run in two] == ["Completed", "Running"]
    assert (two[0]["context_type"], two[1]["finished_at"]) == ("Hourly", None)
    assert ask("runs", "listed", "--limit", "1").output.endswith("and there are older ones: see --limit\n")


def test_a_task_never_seen_has_no_runs(ask: Asking) -> None:
    result = ask("runs", "Listed")
    assert (result.exit_code, result.output) == (
        1,
        "0 runs of Listed in the last 24 hour(s); a task's name is case-sensitive\n",
    )


def test_a_bare_dictionary_is_looked_at_and_nobody_told(ask: Asking) -> None:
    ask.run("good", timedelta(minutes=5))
    ask.run("bad", timedelta(minutes=5), "Stopped")
    tasks = {name: {"expected_statuses": ["completed"]} for name in ("good", "bad", "absent")}
    file = ask.file("bare.json", tasks)
    result = ask("monitor", "run", file)
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    started_at = (NOW - timedelta(minutes=5)).isoformat()
    assert [*found] == ["good", "bad", "absent"]
    assert found["good"]["verdict"] == "ok"
    assert found["good"]["started_at"] == started_at
    assert found["bad"]["verdict"] == "status_mismatch"
    assert found["bad"]["current_status"] == "Stopped"
    nothing: dict[str, Any] = {"current_status": None, "started_at": None, "finished_at": None, "notified": []}
    assert found["absent"] == {"verdict": "not_executed", **nothing}
    assert ask.results("bare") == []
    assert ask("monitor", "run", ask.file("array.json", [{"good": tasks["good"]}])).exit_code == 0


def test_a_published_monitor_looks_by_its_name_and_notifies_when_told_to(ask: Asking) -> None:
    ask.apply(a_monitor("Named", "missing", notify_to=["named@example.com"]))
    looked = ask("monitor", "run", "Named")
    assert looked.exit_code == 1
    assert json.loads(looked.stdout)["missing"]["notified"] == []
    assert (ask.results("Named"), ask.mails.mails_to("named@example.com")) == ([], [])
    told = ask("monitor", "run", "Named", "--notify")
    assert told.exit_code == 1
    assert json.loads(told.stdout)["missing"]["notified"] == ["named@example.com"]
    [result] = ask.results("Named")
    assert (result["verdict"], result["notified"]) == ("not_executed", ["named@example.com"])
    ask.product.wait_for(lambda: bool(ask.mails.mails_to("named@example.com")))
    [mail] = ask.mails.mails_to("named@example.com")
    assert mail["Subject"] == "[ALERT] missing Has Not Executed"


def test_where_nobody_can_be_told_the_result_has_the_error(ask: Asking) -> None:
    ask.run("fine", timedelta(minutes=1))
    tasks = {name: {"expected_statuses": ["Completed"]} for name in ("fine", "lonely")}
    told = ask("monitor", "run", "--notify", ask.file("lonely.json", tasks))
    assert told.exit_code == 1
    found = json.loads(told.stdout)
    assert found["fine"]["verdict"] == "ok"
    assert "error" not in found["fine"]
    why = "ValueError: notify_to is empty but no superuser found for task 'lonely'"
    assert (found["lonely"]["verdict"], found["lonely"]["error"]) == ("not_executed", why)


def test_a_name_that_nothing_has_is_refused(ask: Asking) -> None:
    result = ask("monitor", "run", "Nobody")
    assert (result.exit_code, result.output) == (2, "Error: there is no monitor Nobody, and no such file\n")
    ask.product.monitor(
        "Watch the nightly import", {"nightly-import": {"expected_statuses": ["Completed"]}}, crontab="5 0 * * *"
    )
    misspelt = ask("monitor", "run", "Watch the nightly imprt")
    assert misspelt.output.endswith("no such file; did you mean Watch the nightly import?\n")


def test_the_list_shows_how_each_task_stands(ask: Asking) -> None:
    ask.run("stands", timedelta(minutes=1))
    ask.apply(a_monitor("Stands", "stands"))
    line = ask("monitor", "list").output
    assert "\n  stands  now ok, never checked, next due " in line
    [task] = ask.listed()["Stands"]["tasks"]
    assert (task["state"], task["last_verdict"]) == ("ok", None)
    assert timedelta(hours=9) < datetime.fromisoformat(task["next_due"]) - NOW < timedelta(hours=11)
    ask.apply({**a_monitor("Often", "stands"), "interval": {"every": 1, "period": "seconds"}})
    ask.product.wait_for(lambda: ask.listed()["Often"]["tasks"][0]["last_verdict"] == "ok")
    assert ask("monitor", "delete", "Often").exit_code == 0


def test_a_refused_record_is_listed_with_the_version_that_goes_on(ask: Asking) -> None:
    ask.apply(a_monitor("Refused", "stands"))
    ask.product.publish({**a_monitor("Refused", "stands"), "timezone": "Nowhere"}, "Refused", topic="monitor-configs")
    ask.product.flush()
    listed = ask.listed()["Refused"]
    assert listed["refused"].startswith("timezone: ")
    assert [task["task_name"] for task in listed["tasks"]] == ["stands"]
    assert "; the version before it goes on:\n" in ask("monitor", "list").output


def test_superusers_are_told_where_a_monitor_names_nobody(ask: Asking) -> None:
    superuser = {"email": "super@example.com", "is_superuser": True}
    ask.product.publish(superuser, "u1", topic="users")
    ask.product.flush()
    file = ask.file("superusers.json", {"forgotten": {"expected_statuses": ["Completed"]}})

    def told() -> bool:
        found = json.loads(ask("monitor", "run", "--notify", file).stdout)["forgotten"]
        return bool(found["notified"] == ["super@example.com"] and "error" not in found)

    ask.product.wait_for(told)
    ask.product.wait_for(lambda: bool(ask.mails.mails_to("super@example.com")))
