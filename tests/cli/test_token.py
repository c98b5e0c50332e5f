"""``streamnotify token``: a token is shown once, and the file has only its hash."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from click.testing import Result

from streamnotify.cli.exit_codes import EXIT_SETTINGS
from streamnotify.web.api.token_file import TokenFile, read_tokens
from streamnotify.web.api.tokens import PREFIX, digest, parse
from tests.cli.running import streamnotify

BOUND = ("--scope", "read", "--organization", "org-a")


def create(directory: Path, *arguments: str) -> Result:
    return streamnotify("token", "create", *arguments, directory=directory)


def test_a_token_that_is_made_is_let_in_by_the_line_that_is_printed(tmp_path: Path) -> None:
    made = create(tmp_path, "ci", *BOUND, "--user", "u1", "--email", "Ann@Example.com", "--person", "Ann Ö")
    secret, line = made.stdout.splitlines()
    assert secret.startswith(PREFIX)
    assert len(secret) > 40
    assert secret not in line
    assert "not shown again" in made.stderr
    (tmp_path / "tokens.jsonl").write_text(line)
    token = TokenFile(tmp_path / "tokens.jsonl").holder(secret)
    assert token is not None
    assert (token.name, token.scopes, token.organization_id) == ("ci", ["read"], "org-a")
    assert (token.user_id, token.email, token.person, token.expires_at) == ("u1", "Ann@example.com", "Ann Ö", None)


def test_with_file_it_is_added_there_for_its_owner_only_and_not_printed(tmp_path: Path) -> None:
    file = tmp_path / "tokens.jsonl"
    first = create(tmp_path, "one", *BOUND, "--file", str(file))
    assert first.stdout.count("\n") == 1
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text(file.read_text().rstrip("\n"))  # as editors may leave it
    second = create(tmp_path, "two", "--scope", "admin", "--scope", "read", "--all-organizations", "--file", str(file))
    tokens = TokenFile(file)
    assert [holder.name for made in (first, second) if (holder := tokens.holder(made.stdout.strip()))] == ["one", "two"]


def test_it_may_expire(tmp_path: Path) -> None:
    made = json.loads(create(tmp_path, "ci", *BOUND, "--expires", "2h", "--json").stdout)
    token = parse(json.dumps(made["entry"]).encode())
    assert token.sha256 == digest(made["token"])
    now = datetime.now(UTC)
    assert not token.has_expired(now + timedelta(minutes=119))
    assert token.has_expired(now + timedelta(minutes=121))


def test_what_would_be_refused_is_not_made(tmp_path: Path) -> None:
    file = tmp_path / "tokens.jsonl"
    for arguments, said in (
        (["a b", *BOUND], "name: "),
        (["ci", "--scope", "read"], "organization_id: required field missing, unless all_organizations is true"),
        (["ci", "--scope", "admin", "--organization", "org-a"], "scopes: admin is only allowed"),
        (["ci", *BOUND, "--email", "ann"], "email: no e-mail address"),
        (["ci", *BOUND, "--expires", "tomorrow"], "30m"),
        (["ci", "--scope", "root", "--all-organizations"], "'root' is not one of"),
    ):
        refused = create(tmp_path, *arguments, "--file", str(file))
        assert refused.exit_code == 2
        assert said in refused.stderr
        assert not file.exists()


def test_no_name_is_given_twice_and_a_wrong_file_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "tokens.jsonl"
    create(tmp_path, "ci", *BOUND, "--file", str(file))
    before = file.read_text()
    assert "ci is there already" in create(tmp_path, "ci", *BOUND, "--file", str(file)).stderr
    assert file.read_text() == before
    file.write_text(before + "{}\n")
    assert "line 2: name: required field missing" in create(tmp_path, "cj", *BOUND, "--file", str(file)).stderr
    assert file.read_text() == before + "{}\n"


def test_the_list_shows_all_but_the_hash(tmp_path: Path) -> None:
    file = tmp_path / "tokens.jsonl"
    create(tmp_path, "ci", *BOUND, "--user", "u1", "--file", str(file))
    create(tmp_path, "ops", "--scope", "admin", "--all-organizations", "--expires", "1s", "--file", str(file))
    entries = [json.loads(line) for line in file.read_text().splitlines()]
    entries[1]["expires_at"] = "2020-01-01T00:00:00Z"
    file.write_text("\n".join(map(json.dumps, entries)))
    shown = streamnotify("token", "list", directory=tmp_path, STREAMNOTIFY_API_TOKENS_FILE=str(file))
    assert shown.stdout.splitlines() == [
        "ci  read, organization org-a, user u1",
        "ops  admin, all organizations, until 2020-01-01T00:00:00+00:00 (expired)",
        "2 tokens",
    ]
    listed = json.loads(streamnotify("token", "list", "--file", str(file), "--json", directory=tmp_path).stdout)
    assert [(each["name"], each["expired"], "sha256" in each) for each in listed] == [
        ("ci", False, False),
        ("ops", True, False),
    ]
    assert len(read_tokens(file)) == 2


def test_a_file_that_cannot_be_listed_is_told_of(tmp_path: Path) -> None:
    none = streamnotify("token", "list", directory=tmp_path)
    assert (none.exit_code, none.stderr) == (
        EXIT_SETTINGS,
        "Error: name a file with --file, or set STREAMNOTIFY_API_TOKENS_FILE\n",
    )
    assert streamnotify("token", "list", "--file", "nowhere", directory=tmp_path).exit_code == EXIT_SETTINGS


def test_config_check_reads_the_file(tmp_path: Path) -> None:
    file = tmp_path / "tokens.jsonl"
    create(tmp_path, "ci", *BOUND, "--file", str(file))
    for ok, said in ((True, f"{file} has 1 token"), (False, f"{file}, line 2: name: required field missing")):
        given = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "STREAMNOTIFY_API_TOKENS_FILE": str(file)}
        checked = json.loads(streamnotify("config", "--check", "--json", directory=tmp_path, **given).stdout)
        assert checked["checks"]["tokens"] == {"ok": ok, "answer": said}
        file.write_text(file.read_text() + "{}\n")
