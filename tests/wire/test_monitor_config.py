"""monitor-configs: every form of a monitor, and what is said about one that is none."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamnotify.domain.monitors import Monitor, TaskCheck, Tell
from streamnotify.domain.schedule import Schedule, next_due
from streamnotify.domain.status import STATUS_NAMES, Status
from streamnotify.errors import BadRecord
from streamnotify.wire.commands import DefineMonitor
from streamnotify.wire.monitor_config import DEFINITION_BYTES, parse, parse_tasks, to_record
from streamnotify.wire.monitor_tasks import MOST_TASKS, TaskParameters
from streamnotify.wire.schemas import schema_text

NAME = "Monitor Critical Data Collection Tasks"
TASKS = {
    "hourly_data_sync": {"expected_statuses": ["Completed"], "notify_to": ["ops@example.com"], "lookback_hours": 1}
}
HOURLY = {"name": NAME, "crontab": "5 * * * *", "args": [TASKS]}
MONITOR = Monitor(
    NAME, Schedule("5 * * * *"), True, {"hourly_data_sync": TaskCheck((Status.COMPLETED,), ("ops@example.com",))}
)
VALID = jsonschema.Draft202012Validator(json.loads(schema_text("monitor-configs"))).is_valid


def monitor(record: Any, key: str | None = NAME) -> Monitor:
    """The monitor, which is silently taken."""
    parsed = parse(json.dumps(record).encode(), key)
    assert parsed.warnings == []
    assert VALID(record)
    return parsed.monitor


def warnings(record: Any) -> list[str]:
    return parse(json.dumps(record).encode(), NAME).warnings


def refusal(record: Any, key: str | None = NAME) -> BadRecord:
    with pytest.raises(BadRecord) as refused:
        parse(record if isinstance(record, bytes) else json.dumps(record).encode(), key)
    return refused.value


def with_task(**parameters: Any) -> dict[str, Any]:
    """The monitor of one task with these parameters beside the statuses."""
    return {**HOURLY, "args": [{"nightly": {"expected_statuses": ["Completed"], **parameters}}]}


def check(**parameters: Any) -> TaskCheck:
    return monitor(with_task(**parameters)).tasks["nightly"]


@pytest.mark.parametrize(
    "record",
    [
        HOURLY,
        {**HOURLY, "args": json.dumps([TASKS])},
        {**HOURLY, "args": json.dumps(TASKS)},
        {**HOURLY, "args": TASKS},
        {**HOURLY, "args": None, "tasks": TASKS},
        {"crontab": "5 * * * *", "tasks": TASKS},
        {**HOURLY, "interval": None, "enabled": None, "timezone": None},
        {**HOURLY, "crontab": " 5 *  * * * ", "enabled": True, "timezone": "UTC"},
        {**HOURLY, "task": "monitor_task_status", "queue": "default"},
    ],
    ids=["array", "array-as-text", "dictionary-as-text", "dictionary", "tasks", "no-name", "nulls", "spaces", "celery"],
)
def test_every_form_of_a_monitor_says_the_same(record: dict[str, Any]) -> None:
    assert monitor(record) == MONITOR


def test_a_record_without_key_names_its_monitor_itself() -> None:
    assert monitor(HOURLY, None) == monitor(HOURLY, "") == MONITOR
    nameless = {**HOURLY, "name": None}
    assert refusal(nameless, None).field == refusal(nameless, "").field == "name"


def test_a_name_that_differs_from_the_key_is_refused_even_in_letter_case() -> None:
    assert str(refusal(HOURLY, NAME.lower())) == f"name: differs from the record's key '{NAME.lower()}'"


@pytest.mark.parametrize(
    ("interval", "every"),
    [
        ({"every": 30, "period": "minutes"}, timedelta(minutes=30)),
        ({"every": 2, "period": "Hours"}, timedelta(hours=2)),
        ({"every": 1, "period": "day"}, timedelta(days=1)),
        ({"every": 5, "period": "SECONDS"}, timedelta(seconds=5)),
        ({"every": 366, "period": "days"}, timedelta(days=366)),
    ],
)
def test_an_interval_stands_in_for_a_crontab(interval: dict[str, Any], every: timedelta) -> None:
    record = {"interval": interval, "timezone": "Europe/Rome", "args": [TASKS], "enabled": False}
    assert monitor(record) == Monitor(NAME, Schedule(None, "Europe/Rome", every), False, MONITOR.tasks)


def test_every_parameter_is_taken_over() -> None:
    assert check(
        notify_to=["Ann@Example.COM", "bob@example.com", "ann@example.com"],
        dependent_tasks=["b", "a", "b", ""],
        lookback_hours=1.5,
        context_model="gap.models.IngestorSession",
        context_type="Hourly Tomorrow.io",
        organization_id=42,
        urgent=True,
        display_name="Nightly",
        notify="on_change",
        remind_hours=6,
        grace_minutes=10,
        silence_until="2026-01-05T14:00:00+02:00",
    ) == TaskCheck(
        expected_statuses=(Status.COMPLETED,),
        notify_to=("Ann@example.com", "bob@example.com"),
        dependent_tasks=("b", "a"),
        lookback_hours=1.5,
        context_model="gap.models.IngestorSession",
        context_type="Hourly Tomorrow.io",
        organization_id="42",
        urgent=True,
        display_name="Nightly",
        notify=Tell.ON_CHANGE,
        remind_hours=6,
        grace_minutes=10,
        silence_until=datetime(2026, 1, 5, 12, tzinfo=UTC),
    )


def test_null_and_empty_parameters_are_absent() -> None:
    names = [name for name in TaskParameters.model_fields if name != "expected_statuses"]
    assert check(**dict.fromkeys(names)) == TaskCheck((Status.COMPLETED,))
    assert check(notify_to=[], dependent_tasks=[], context_model="", context_type="", organization_id="") == check()


@pytest.mark.parametrize("name", STATUS_NAMES)
def test_expected_statuses_are_known_by_every_name_in_any_case(name: str) -> None:
    written = [name.upper(), name.title(), name]
    assert check(expected_statuses=written).expected_statuses == (Status(name),)


BEYOND_A_SCHEMA = (".notify_to[0]", ".notify_to[1]", ".silence_until")  # whether it is an address, or an instant


@pytest.mark.parametrize(
    ("parameters", "path"),
    [
        ({"expected_statuses": []}, ".expected_statuses"),
        ({"expected_statuses": None}, ".expected_statuses"),
        ({"expected_statuses": "Completed"}, ".expected_statuses"),
        ({"expected_statuses": ["Completed", "Done"]}, ".expected_statuses[1]"),
        ({"expected_statuses": [True]}, ".expected_statuses[0]"),
        ({"notify_to": "ops@example.com"}, ".notify_to"),
        ({"notify_to": ["ops@example.com", "nobody"]}, ".notify_to[1]"),
        ({"notify_to": [""]}, ".notify_to[0]"),
        ({"notify_to": ["a@example.com"] * 101}, ".notify_to"),
        ({"dependent_tasks": ["t"] * 101}, ".dependent_tasks"),
        ({"dependent_tasks": [3]}, ".dependent_tasks[0]"),
        ({"dependent_tasks": {"a": 1}}, ".dependent_tasks"),
        ({"lookback_hours": 0}, ".lookback_hours"),
        ({"lookback_hours": -1}, ".lookback_hours"),
        ({"lookback_hours": 840.5}, ".lookback_hours"),
        ({"lookback_hours": "1"}, ".lookback_hours"),
        ({"lookback_hours": True}, ".lookback_hours"),
        ({"lookback_hours": float("inf")}, ".lookback_hours"),
        ({"lookback_hours": 10**400}, ".lookback_hours"),
        ({"context_model": 3}, ".context_model"),
        ({"context_type": "x" * 256}, ".context_type"),
        ({"organization_id": 1.5}, ".organization_id"),
        ({"organization_id": True}, ".organization_id"),
        ({"urgent": 1}, ".urgent"),
        ({"display_name": ["x"]}, ".display_name"),
        ({"notify": "always"}, ".notify"),
        ({"notify": True}, ".notify"),
        ({"remind_hours": 0}, ".remind_hours"),
        ({"grace_minutes": -1}, ".grace_minutes"),
        ({"grace_minutes": 1441}, ".grace_minutes"),
        ({"silence_until": "tomorrow"}, ".silence_until"),
        ({"silence_until": "0001-01-01T00:00:00+14:00"}, ".silence_until"),
    ],
)
def test_a_wrong_parameter_is_named_by_the_path_at_which_it_was_written(parameters: dict[str, Any], path: str) -> None:
    record = with_task(**parameters)
    assert not VALID(record) or path in BEYOND_A_SCHEMA
    assert refusal(record).field == "args[0].nightly" + path
    task = record["args"][0]
    assert refusal({**HOURLY, "args": task}).field == "args.nightly" + path
    assert refusal({**HOURLY, "args": json.dumps([task])}).field == "args[0].nightly" + path
    assert refusal({**HOURLY, "args": None, "tasks": task}).field == "tasks.nightly" + path
    with pytest.raises(BadRecord) as refused:
        parse_tasks(json.dumps(task).encode())
    assert refused.value.field == "nightly" + path


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 400])
def test_a_number_that_is_none_is_refused(number: str) -> None:
    value = json.dumps(with_task(lookback_hours=0)).replace('": 0', f'": {number}').encode()
    assert refusal(value).field == "args[0].nightly.lookback_hours"


def test_the_path_of_an_oddly_named_task_is_still_as_written() -> None:
    record = {**HOURLY, "args": [{"Daily: report.v2 [EU]": {"expected_statuses": []}}]}
    assert refusal(record).field == "args[0].Daily: report.v2 [EU].expected_statuses"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"crontab": None}, "crontab"),
        ({"interval": {"every": 30, "period": "minutes"}}, "crontab"),
        ({"crontab": "* * * *"}, "crontab"),
        ({"crontab": "0 5 * * * *"}, "crontab"),
        ({"crontab": "61 * * * *"}, "crontab"),
        ({"crontab": "0 0 31 2 *"}, "crontab"),
        ({"crontab": "0 0 */29 * MON#2"}, "crontab"),
        ({"crontab": ""}, "crontab"),
        ({"crontab": 5}, "crontab"),
        ({"crontab": None, "interval": {"every": 0, "period": "minutes"}}, "interval.every"),
        ({"crontab": None, "interval": {"every": 1.5, "period": "minutes"}}, "interval.every"),
        ({"crontab": None, "interval": {"every": True, "period": "minutes"}}, "interval.every"),
        ({"crontab": None, "interval": {"every": "30", "period": "minutes"}}, "interval.every"),
        ({"crontab": None, "interval": {"every": 367, "period": "days"}}, "interval.every"),
        ({"crontab": None, "interval": {"every": 10**30, "period": "days"}}, "interval.every"),
        ({"crontab": None, "interval": {"every": 1, "period": "weeks"}}, "interval.period"),
        ({"crontab": None, "interval": {"every": 1}}, "interval.period"),
        ({"crontab": None, "interval": 30}, "interval"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"timezone": ""}, "timezone"),
        ({"timezone": "America"}, "timezone"),
        ({"timezone": 1}, "timezone"),
        ({"enabled": "yes"}, "enabled"),
        ({"enabled": 1}, "enabled"),
        ({"name": 3}, "name"),
        ({"name": ""}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"args": None}, "args"),
        ({"tasks": TASKS}, "args"),
        ({"args": []}, "args"),
        ({"args": [TASKS, TASKS]}, "args"),
        ({"args": [[TASKS]]}, "args[0]"),
        ({"args": [{}]}, "args[0]"),
        ({"args": {}}, "args"),
        ({"args": 3}, "args"),
        ({"args": "nightly"}, "args"),
        ({"args": '"nightly"'}, "args"),
        ({"args": "[" * 10_000}, "args"),
        ({"args": None, "tasks": [TASKS]}, "tasks"),
        ({"args": None, "tasks": json.dumps(TASKS)}, "tasks"),
        ({"args": [{"nightly": None}]}, "args[0].nightly"),
        ({"args": [{"nightly": ["Completed"]}]}, "args[0].nightly"),
        ({"args": [{"": {"expected_statuses": ["Completed"]}}]}, "args[0]."),
        ({"args": [{"x" * 256: {"expected_statuses": ["Completed"]}}]}, "args[0]." + "x" * 255),
        ({"args": [{str(n): {"expected_statuses": ["Completed"]} for n in range(MOST_TASKS + 1)}]}, "args[0]"),
    ],
)
def test_a_wrong_field_of_the_monitor_is_named(change: dict[str, Any], field: str) -> None:
    assert refusal({**HOURLY, **change}).field == field


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "the record is empty"),
        (b"null", "one JSON object"),
        (b"[]", "one JSON object"),
        (b'{"crontab": "5 * * * *",', "one record per line"),
        (b"\xff", "not UTF-8"),
        (b'{"crontab": "5 * * * *", "args": ' + b"[" * 100_000, "nested too deeply"),
        (b" " * 2_097_153, "at most 2097152"),
    ],
)
def test_what_is_no_monitor_at_all_is_said_in_words(value: bytes, reason: str) -> None:
    assert reason in str(refusal(value))


def test_words_say_what_is_allowed() -> None:
    assert "the record's key has 256 characters" in str(refusal(HOURLY, "x" * 256))
    assert "did you mean Europe/London?" in str(refusal({**HOURLY, "timezone": "europe/london"}))
    assert "'Completed', 'Stopped'" in str(refusal(with_task(expected_statuses=["Done"])))
    assert "did you mean it by expected_status?" in str(refusal({**HOURLY, "args": [{"t": {"expected_status": []}}]}))
    assert str(refusal(with_task(urgent="ja"))).endswith('.urgent: true or false is allowed, not "ja"')
    assert "it never comes round" in str(refusal({**HOURLY, "crontab": "0 0 */29 * MON#2"}))


def test_a_misspelt_parameter_is_warned_of_and_the_rest_holds() -> None:
    record = with_task(lookback_hour=5, notfy_to=["ops@example.com"], colour="red")
    assert [warning.split("; there are")[0] for warning in warnings(record)] == [
        "args[0].nightly.lookback_hour: unknown, ignored: did you mean lookback_hours?",
        "args[0].nightly.notfy_to: unknown, ignored: did you mean notify_to?",
        "args[0].nightly.colour: unknown, ignored",
    ]
    assert parse(json.dumps(record).encode(), NAME).monitor.tasks["nightly"] == check()


def test_of_the_monitors_own_fields_only_a_misspelt_one_is_warned_of() -> None:
    record = {**HOURLY, "enable": False, "description": "ours", "task": "other"}
    assert warnings(record) == [
        "enable: unknown, ignored: did you mean enabled?",
        "task: unknown, ignored: did you mean tasks?",
    ]


def test_a_reminder_without_incidents_is_warned_of() -> None:
    assert warnings(with_task(remind_hours=6)) == [
        "args[0].nightly.remind_hours: without effect, unless notify is on_change"
    ]
    assert warnings(with_task(remind_hours=6, notify="on_change")) == []


def test_hostile_numbers_of_unknown_names_are_warned_of_in_bounds() -> None:
    task = {"expected_statuses": ["Completed"], **{f"{number}" * 300: 1 for number in range(1000)}}
    said = warnings({**HOURLY, "args": [{"a": task, "b": task}]})
    assert len(said) == 50
    assert max(map(len, said)) < 1000


def test_a_definition_that_would_not_fit_into_a_chunk_is_refused_before_it_is_taken() -> None:
    def tasks(number: int) -> dict[str, Any]:
        dependents = ["x" * 250 + str(n) for n in range(20)]
        return {f"task-{n}": {"expected_statuses": ["Completed"], "dependent_tasks": dependents} for n in range(number)}

    assert "make several monitors of it" in str(refusal({**HOURLY, "args": [tasks(48)]}))
    encoded = msgspec.msgpack.encode(DefineMonitor(NAME, monitor({**HOURLY, "args": [tasks(40)]})))
    assert len(encoded) < DEFINITION_BYTES


def test_the_sources_argument_is_read_without_name_and_schedule() -> None:
    assert parse_tasks(json.dumps(TASKS).encode()).tasks == MONITOR.tasks
    assert parse_tasks(json.dumps([TASKS]).encode()).tasks == MONITOR.tasks
    tasks = {"nightly": {"expected_statuses": ["Completed"], "lookback_hour": 5}}
    assert parse_tasks(json.dumps([tasks]).encode()).warnings == [
        "[0].nightly.lookback_hour: unknown, ignored: did you mean lookback_hours?"
    ]


@pytest.mark.parametrize("value", [b"", b"null", b"3", b"{}", b"[]", b"\xff", b"[" * 100_000, b" " * 2_097_153])
def test_what_is_no_dictionary_of_tasks_is_refused(value: bytes) -> None:
    with pytest.raises(BadRecord):
        parse_tasks(value)


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
ADDRESSES = st.from_regex(r"[A-Za-z0-9]{1,8}@[a-z]{1,8}\.example\.com", fullmatch=True)
CHECKS = st.builds(
    TaskCheck,
    expected_statuses=st.lists(st.sampled_from(Status), min_size=1, unique=True).map(tuple),
    notify_to=st.lists(ADDRESSES, max_size=3, unique_by=str.lower).map(tuple),
    dependent_tasks=st.lists(NAMES, max_size=3, unique=True).map(tuple),
    lookback_hours=st.floats(0, 840, exclude_min=True) | st.integers(1, 840),
    context_model=st.none() | NAMES,
    context_type=st.none() | NAMES,
    organization_id=st.none() | NAMES,
    display_name=st.none() | NAMES,
    urgent=st.booleans(),
    notify=st.sampled_from(Tell),
    remind_hours=st.none() | st.floats(0, 840, exclude_min=True),
    grace_minutes=st.floats(0, 1440),
    silence_until=st.none() | st.datetimes(timezones=st.just(UTC)),
)
SCHEDULES = st.builds(
    Schedule,
    crontab=st.sampled_from(["5 * * * *", "*/30 * * * *", "0 9 * * 1"]),
    timezone=st.sampled_from(["UTC", "Europe/London", "Australia/Lord_Howe"]),
    every=st.none(),
) | st.builds(
    Schedule,
    crontab=st.none(),
    timezone=st.sampled_from(["UTC", "Europe/London"]),
    every=st.integers(1, 366 * 86400).map(lambda seconds: timedelta(seconds=seconds)),
)
MONITORS = st.builds(
    Monitor,
    name=NAMES,
    schedule=SCHEDULES,
    enabled=st.booleans(),
    tasks=st.dictionaries(NAMES, CHECKS, min_size=1, max_size=3),
)


@given(MONITORS)
def test_a_monitor_written_as_a_record_is_read_as_the_same(defined: Monitor) -> None:
    record = to_record(defined)
    assert parse(json.dumps(record).encode(), None).monitor == defined
    assert VALID(json.loads(json.dumps(record)))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["Completed", "UTC"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PARAMETERS = st.dictionaries(st.sampled_from(list(TaskParameters.model_fields)) | st.text(max_size=8), JSON, max_size=6)
FIELDS = ["name", "enabled", "crontab", "interval", "timezone", "args", "tasks"]


@given(
    st.dictionaries(
        st.sampled_from(FIELDS),
        JSON | st.dictionaries(st.text(max_size=4), PARAMETERS | JSON, max_size=3) | st.just("5 * * * *"),
    ),
    st.none() | st.text(max_size=4),
)
def test_whatever_comes_is_a_monitor_or_refused(record: dict[str, Any], key: str | None) -> None:
    taken_or_refused(json.dumps(record).encode(), key)


@given(PARAMETERS)
def test_whatever_is_said_of_a_task_is_taken_or_refused(parameters: dict[str, Any]) -> None:
    taken_or_refused(json.dumps(with_task(**{"expected_statuses": ["Completed"], **parameters})).encode(), NAME)


@given(st.binary(max_size=50))
def test_whatever_bytes_come_are_refused(value: bytes) -> None:
    taken_or_refused(value, None)
    with contextlib.suppress(BadRecord):
        parse_tasks(value)


@given(st.text(max_size=30), st.sampled_from(["crontab", "timezone", "args"]))
def test_whatever_text_comes_is_taken_or_refused(text: str, field: str) -> None:
    taken_or_refused(json.dumps({**HOURLY, field: text}).encode(), NAME)


def taken_or_refused(value: bytes, key: str | None) -> None:
    """Nothing but BadRecord escapes; what is taken can be passed on, scheduled and written again."""
    try:
        taken = parse(value, key).monitor
    except BadRecord:
        return
    msgspec.msgpack.encode(DefineMonitor(taken.name, taken))
    now = datetime(2026, 1, 5, 12, tzinfo=UTC)
    assert next_due(taken.schedule, now, now) > now
    assert parse(json.dumps(to_record(taken)).encode(), None).monitor == taken


def test_more_names_in_all_mails_of_a_check_than_one_chunk_can_take_are_refused() -> None:
    dependents = [f"{number:02}" + "d" * 98 for number in range(26)]
    people = [f"person{number}@example.com" for number in range(100)]
    assert refusal(with_task(notify_to=people, dependent_tasks=dependents)).field == "args[0].nightly.dependent_tasks"
    assert len(check(notify_to=people, dependent_tasks=dependents[:25]).notify_to) == 100
