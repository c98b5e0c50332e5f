"""``streamnotify users``: files, and the topic."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from streamnotify.cli.main import main
from streamnotify.cli.user_files import check_files
from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.stream.topic_reader import TopicReader
from streamnotify.stream.topic_writer import publish
from tests.cli.deployments import Deployment
from tests.cli.running import streamnotify

ANN = {"user_id": "u1", "email": "ann@example.com", "name": "Ann", "is_superuser": True}
BOB = {"user_id": "u2", "email": "bob@example.com", "organizations": ["org-a", "org-b"]}
CSV = """\
User_id,email,name,email_verified,is_active,is_superuser,organizations,timezone,locale

u1,ann@example.com,Ann,,,true,,,
"u2", bob@example.com ,,,,,org-a; org-b,,
u3,,"Carl, CC",no,0,FALSE,;,Europe/Rome,it
u4
"""
ROWS = {
    "u1": ANN,
    "u2": BOB,
    "u3": {
        "user_id": "u3",
        "name": "Carl, CC",
        "email_verified": False,
        "is_active": False,
        "is_superuser": False,
        "organizations": [],
        "timezone": "Europe/Rome",
        "locale": "it",
    },
    "u4": {"user_id": "u4"},
}


def written(directory: Path, file: str, content: Any) -> str:
    """The path of a file that was made with this content: text, or what becomes JSON."""
    path = directory / file
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("file", "content", "users"),
    [
        ("one.json", ANN, {"u1": ANN}),
        ("list.json", [ANN, BOB, {"user_id": 7}], {"u1": ANN, "u2": BOB, "7": {"user_id": 7}}),
        ("by-id.json", {"u1": {"name": "Ann"}, "u2": BOB}, {"u1": {"name": "Ann"}, "u2": BOB}),
        ("one.yaml", "user_id: u1\nname: Ann\n", {"u1": {"user_id": "u1", "name": "Ann"}}),
        (
            "documents.yml",
            "- {user_id: u1}\n---\nu2:\n  preferences: {digest: false}\n7: {}\n",
            {"u1": {"user_id": "u1"}, "u2": {"preferences": {"digest": False}}, "7": {}},
        ),
        ("nothing.yaml", "# nobody yet\n", {}),
        ("rows.csv", CSV, ROWS),
        ("rows.CSV", "\ufeff" + CSV.replace("\n", "\r\n"), ROWS),
        ("nobody.csv", "user_id\n", {}),
        ("nothing.csv", "", {}),
    ],
)
def test_a_file_holds_users_in_every_usual_shape(tmp_path: Path, file: str, content: Any, users: Any) -> None:
    checked = check_files([written(tmp_path, file, content)])
    assert (checked.errors, checked.warnings) == ([], [])
    assert {user_id: each.record for user_id, each in checked.records.items()} == users


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("u.json", ANN | {"is_superuser": "yes"}, ', u1: is_superuser: true or false is allowed, not "yes"'),
        ("u.json", [ANN, {"email": "x"}], ", [1]: user_id: a user in a file needs one"),
        ("u.json", {"u3": ANN}, ", u3: user_id: differs from the record's key 'u3'"),
        ("u.json", [ANN, ANN], ", [1]: u1 is also in "),
        ("u.json", [[]], ", [0]: user_id: a user in a file needs one"),
        ("u.json", {"u1": {"timezone": "Europe/Rom"}}, ", u1: timezone: unknown time zone 'Europe/Rom'"),
        ("u.json", {"u1": {"preferences": {"digest": "x"}}}, ", u1: preferences.digest: "),
        ("u.json", "3", ": a user, a list of users or a mapping by user_id is allowed"),
        ("u.yaml", "user_id: [\n", ", line 2: no YAML: "),
        ("u.txt", "user_id,email\nu1,x\n", ": CSV is read from files whose name ends in .csv"),
        ("u", '"user_id"\n"u1"\n', ": CSV is read from files whose name ends in .csv"),
        ("u.yaml", "user_id;email\nu1;x\n", "a mapping by user_id is allowed, and CSV in files that end in .csv"),
        ("u.csv", "id,email\nu1,x\n", ", line 1: the first line names the columns; user_id is required"),
        ("u.csv", "user_id;email\n", "user_id is required, and commas between the columns"),
        ("u.csv", "user_id,e-mail\n", ", line 1: unknown column 'e-mail' (did you mean email?); user_id, email, name"),
        ("u.csv", "user_id,name,name\n", ", line 1: the column name is there twice"),
        ("u.csv", "user_id,name\nu1,Ann,x\n", ", line 2: 3 cells, but 2 columns"),
        ("u.csv", 'user_id\n"u1\n', ", line 2: no CSV: unexpected end of data"),
        ("u.csv", "user_id,is_active\nu1,maybe\n", ', line 2, u1: is_active: true or false is allowed, not "maybe"'),
        ("u.csv", "user_id,name\n,Ann\n", ", line 2: user_id: a user in a file needs one"),
        ("u.csv", "user_id,timezone\nu1,CEST\n", ", line 2, u1: timezone: unknown time zone 'CEST'"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_field(tmp_path: Path, file: str, content: Any, said: str) -> None:
    path = written(tmp_path, file, content)
    [error] = check_files([path]).errors
    assert error.startswith(path)
    assert said in error


@pytest.mark.parametrize(
    ("user", "warning"),
    [
        ({"is_superusr": True}, "is_superusr: unknown, ignored: did you mean is_superuser?"),
        ({"email": "nobody"}, "email: no e-mail address, so that the user gets no mails"),
        ({"preferences": {"kind": {}}}, "preferences.kind: unknown, ignored: did you mean kinds?"),
        (
            {"preferences": {"organizations": {"org-a": {"emails": False}}}},
            "preferences.organizations.org-a.emails: unknown, ignored: did you mean email?",
        ),
        (
            {"preferences": {"kinds": {"service_health": False}}},
            "preferences.kinds.service_health: cannot be turned off",
        ),
    ],
)
def test_what_has_no_effect_is_warned_of(tmp_path: Path, user: dict[str, Any], warning: str) -> None:
    path = written(tmp_path, "u.json", {"u1": user})
    checked = check_files([path])
    assert (checked.errors, checked.warnings) == ([], [f"{path}, u1: {warning}"])


@pytest.mark.parametrize("content", [CSV, json.dumps([*ROWS.values()]), "user_id: u1\n"])
def test_standard_input_is_read_as_what_it_is(content: str) -> None:
    result = CliRunner().invoke(main, ["users", "apply", "-"], input=content, env={"KAFKA_BOOTSTRAP_SERVERS": "x"})
    assert "Error: standard input" not in result.output
    assert "KAFKA_BOOTSTRAP_SERVERS" in result.output  # all of it was looked at before


def test_files_with_an_error_are_refused_before_kafka_is_asked(tmp_path: Path) -> None:
    written(tmp_path, "good.csv", CSV)
    written(tmp_path, "bad.csv", "user_id,is_active\nu8,maybe\nu9,perhaps\n")
    nowhere = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    result = streamnotify("users", "apply", "good.csv", "bad.csv", directory=tmp_path, **nowhere)
    assert result.exit_code == 2
    assert [line.split(":")[1] for line in result.output.splitlines()] == [
        " bad.csv, line 2, u8",
        " bad.csv, line 3, u9",
    ]


class Directory:
    """A deployment of which only the directory is looked at."""

    def __init__(self, kafka: EmbeddedKafka, name: str, directory: Path) -> None:
        self.deployment = Deployment(kafka, name, directory)
        self._directory = directory

    def apply(self, content: Any, *options: str) -> Result:
        """Apply one file with this content."""
        file = "users.csv" if isinstance(content, str) else "users.json"
        written(self._directory, file, content)
        return self.deployment("users", "apply", *options, file)

    def people(self) -> dict[str, Any]:
        """Who is there."""
        with TopicReader(self.deployment.servers, [f"{self.deployment.prefix}users"]) as reader:
            latest = {(each.key() or b"").decode(): each.value() for each in reader.to_the_end()}
        return {key: json.loads(value) for key, value in latest.items() if value is not None}


@pytest.fixture
def directory(kafka: EmbeddedKafka, unique: str, tmp_path: Path) -> Directory:
    return Directory(kafka, unique, tmp_path)


def test_users_are_published_once_and_then_what_has_changed(directory: Directory) -> None:
    first = directory.apply(CSV)
    assert (first.exit_code, first.output.splitlines()[-1]) == (
        0,
        "4 changes, 0 unchanged; they count once a worker has read them",
    )
    assert directory.people() == ROWS
    assert directory.apply([ANN, BOB]).output == "0 changes, 2 unchanged; nothing was sent\n"
    assert directory.apply([ANN | {"name": "Anna"}, BOB]).output.startswith("changed: u1\n1 change, 1 unchanged; ")
    assert directory.people() == ROWS | {"u1": ANN | {"name": "Anna"}}


def test_a_dry_run_shows_the_difference_and_sends_nothing(directory: Directory) -> None:
    directory.apply([ANN, BOB])
    shown = directory.apply([ANN | {"name": "Anna"}], "--dry-run", "--prune")
    assert shown.exit_code == 0
    assert "would be changed: u1\n" in shown.output
    assert '  -  "name": "Ann",\n  +  "name": "Anna",\n' in shown.output
    assert "would be removed: u2\n" in shown.output
    assert shown.output.endswith("2 changes, 0 unchanged; nothing was sent\n1 user would be removed\n")
    assert directory.people() == {"u1": ANN, "u2": BOB}


def test_pruning_removes_who_is_in_none_of_the_files_but_not_all_by_mistake(directory: Directory) -> None:
    directory.apply([ANN, BOB])
    publish(directory.deployment.servers, f"{directory.deployment.prefix}users", [("odd", b"no JSON")])
    pruned = directory.apply([BOB], "--prune")
    assert (pruned.exit_code, pruned.output.splitlines()) == (
        0,
        [
            "removed: odd",
            "removed: u1",
            "2 changes, 1 unchanged; they count once a worker has read them",
            "2 users removed",
        ],
    )
    for others, option in itertools.product(([ANN], []), ((), ("--dry-run",))):
        refused = directory.apply(others, "--prune", *option)
        assert refused.exit_code == 2
        assert "--prune would remove everybody there is, 1 user: none is in the files" in refused.output
    shown = directory.apply([ANN], "--prune", "--yes", "--dry-run")
    assert (shown.exit_code, shown.output.endswith("1 user would be removed\n")) == (0, True)
    assert directory.people() == {"u2": BOB}
    assert directory.apply([ANN], "--prune", "--yes").output.endswith("1 user removed\n")
    assert directory.people() == {"u1": ANN}
