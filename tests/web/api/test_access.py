"""Who is let in: tokens, scopes, and how often somebody may come."""

from __future__ import annotations

import json
import logging
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from streamnotify.errors import SettingsError
from streamnotify.web.api.token_file import MOST_TOKENS, TokenFile, read_tokens
from streamnotify.web.api.tokens import digest, new_secret
from tests.web.api.api_site import NOW, ApiSite

READ = "/api/status"
GOOD = {"name": "ci", "sha256": digest("x"), "scopes": ["read"], "organization_id": "org-a"}


def challenge(site: ApiSite, **headers: str) -> str:
    """What a request with these headers is told that is not let in."""
    site.secret = None
    answer = site.request("GET", READ, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.headers["www-authenticate"])


def test_without_a_token_one_is_asked_for(site: ApiSite) -> None:
    assert challenge(site) == 'Bearer realm="streamnotify"'


def forged(secret: str) -> dict[str, str]:
    """What somebody might try who knows a token's form, or a part of it."""
    return {
        "another": new_secret(),
        "truncated": secret[:-1],
        "prolonged": secret + "A",
        "begun": "snt_",
        "in other letters": secret.swapcase(),
        "its hash": digest(secret),
        "all there are": "*",
        "with a null": secret + "%00",
    }


@pytest.mark.parametrize("how", forged(""))
def test_a_forged_token_is_refused(site: ApiSite, how: str) -> None:
    assert site.secret is not None
    assert site.get(READ).status_code == 200
    assert 'error="invalid_token"' in challenge(site, Authorization=f"Bearer {forged(site.secret)[how]}")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Basic {}", "{}", "Bearer {},{}", "Bearer {} {}", "Bearer\t{}", "Bearer " + "x" * 300]
)
def test_only_a_bearer_is_a_token(site: ApiSite, header: str) -> None:
    secret = site.secret or ""
    challenge(site, Authorization=header.replace("{}", secret))


def test_the_scheme_is_read_in_any_letter_case(site: ApiSite) -> None:
    secret, site.secret = site.secret, None
    assert site.request("GET", READ, headers={"Authorization": f"bEARER  {secret}"}).status_code == 200


def test_a_token_in_the_address_is_none(site: ApiSite) -> None:
    secret, site.secret = site.secret, None
    assert site.request("GET", f"{READ}?access_token={secret}").status_code == 401


def test_an_expired_token_is_refused(site: ApiSite) -> None:
    site.secret = site.token(expires_at=(NOW + timedelta(minutes=1)).isoformat())
    assert site.get(READ).status_code == 200
    site.now += timedelta(minutes=1)
    answer = site.get(READ)
    assert answer.status_code == 401
    assert "expired" in answer.headers["www-authenticate"]


@pytest.mark.parametrize(
    ("scope", "path", "method"),
    [("read", "/api/tasks", "GET"), ("publish", "/api/task-events", "POST"), ("admin", "/api/dead-letters", "GET")],
)
def test_a_scope_that_is_lacking_is_named(site: ApiSite, scope: str, path: str, method: str) -> None:
    others = [each for each in ("read", "publish", "admin") if each != scope]
    answer = site.request(method, path, token=site.token(*others, organization=None))
    assert answer.status_code == 403
    assert answer.headers["www-authenticate"].endswith(f'error="insufficient_scope", scope="{scope}"')
    assert f"needs {scope}" in answer.json()["detail"]


def test_a_token_that_is_added_or_taken_out_counts_at_once(site: ApiSite) -> None:
    added = site.token("read")
    assert site.get(READ, token=added).status_code == 200
    site.file.write_text("")
    assert site.get(READ, token=added).status_code == 401


@pytest.mark.parametrize("change", ["wrong", "gone", "not a file", "a pipe", "huge"])
def test_a_file_that_becomes_wrong_changes_nothing_and_is_told_of_once(
    site: ApiSite, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert site.get(READ).status_code == 200
    good = site.file.read_text()
    if change == "wrong":
        site.file.write_text(good + '{"name": "x"}\n')
    else:
        site.file.unlink()
        if change == "not a file":
            site.file.mkdir()
        elif change == "a pipe":  # nobody writes into it, and who opens it waits for that
            os.mkfifo(site.file)
        elif change == "huge":  # more than there is memory
            site.file.touch()
            os.truncate(site.file, 2**40)
    for _ in range(3):
        assert site.get(READ).status_code == 200
    assert caplog.text.count("The tokens stay as they were") == 1
    if change == "wrong":
        assert "tokens.jsonl, line 4: sha256: required field missing" in caplog.text
        site.file.write_text(good)
        later = site.token("read")
        assert site.get(READ, token=later).status_code == 200


def test_a_file_that_is_replaced_by_another_of_the_same_size_and_time_counts(site: ApiSite, tmp_path: Path) -> None:
    """As Kubernetes does it with a Secret: a link that leads elsewhere."""
    assert site.get(READ).status_code == 200
    before = site.file.stat()
    replaced = tmp_path / "new"
    replaced.write_text("#" * before.st_size)
    os.utime(replaced, ns=(before.st_atime_ns, before.st_mtime_ns))
    replaced.replace(site.file)
    assert site.get(READ).status_code == 401


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scopes": []}, "scopes: "),
        ({"scopes": ["root"]}, "scopes[0]: Input should be 'read', 'publish' or 'admin'"),
        ({"sha256": "abc"}, "sha256: "),
        ({"name": "a b"}, "name: "),
        ({"email": "ann"}, "email: no e-mail address"),
        ({"expires_at": "tomorrow"}, "expires_at: "),
        ({"expire_at": "2030-01-01T00:00:00Z"}, "expire_at: Extra inputs are not permitted"),
        ({"organization_id": None}, "organization_id: required field missing, unless all_organizations is true"),
        ({"organization_id": ""}, "organization_id: "),
        ({"all_organizations": True}, "all_organizations: true is not allowed beside an organization_id"),
        ({"scopes": ["admin"]}, "scopes: admin is only allowed with all_organizations"),
    ],
)
def test_a_line_that_is_wrong_is_refused_with_its_field(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    file = tmp_path / "tokens.jsonl"
    file.write_text(f"\n{json.dumps(GOOD | change)}\n")
    with pytest.raises(SettingsError) as refused:
        TokenFile(file)
    assert f"tokens.jsonl, line 2: {said}" in str(refused.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (json.dumps(GOOD) + "\n" + json.dumps(GOOD | {"sha256": digest("y")}), "line 2: name: ci is there already"),
        (json.dumps(GOOD) + "\n" + json.dumps(GOOD | {"name": "cj"}), "line 2: sha256: the same token"),
        ("[1]", "line 1: a token is one JSON object"),
        ("{\n}", "line 1: not one whole JSON value"),
        ("\n" * 2_000_000, "larger than the 1048576 bytes that are allowed"),
        (
            "\n".join(json.dumps({**GOOD, "name": f"t{n}", "sha256": digest(str(n))}) for n in range(MOST_TOKENS + 1)),
            "at most 1000 are allowed",
        ),
    ],
)
def test_a_file_that_is_wrong_is_refused(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "tokens.jsonl"
    file.write_text(content)
    with pytest.raises(SettingsError, match=re.escape(said)):
        read_tokens(file)


def test_a_token_that_is_used_too_often_has_to_wait(site: ApiSite) -> None:
    other = site.token("read")
    answers = [site.request("GET", READ).status_code for _ in range(101)]
    assert answers == [200] * 100 + [429]
    assert site.request("GET", READ).headers["retry-after"] == "1"
    assert site.request("GET", READ, token=other).status_code == 200
    site.clock.seconds += 0.05
    assert [site.request("GET", READ).status_code for _ in range(2)] == [200, 429]


def test_failed_logins_are_slowed_down_and_shut_nobody_else_out(
    site: ApiSite, caplog: pytest.LogCaptureFixture
) -> None:
    answers = [site.request("GET", READ, token="snt_wrong").status_code for _ in range(25)]
    assert answers == [401] * 20 + [429] * 5
    assert site.request("GET", "/api/openapi.json", token="snt_wrong").status_code == 429
    assert site.request("GET", READ).status_code == 200
    assert caplog.text.count("Refused a request from") == 20
    site.clock.seconds += 1
    assert site.request("GET", READ, token="snt_wrong").status_code == 401


def test_no_secret_is_logged_or_answered(site: ApiSite, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = site.secret or ""
    wrong = new_secret()
    answers = [
        site.get(READ),
        site.get(READ, token=wrong),
        site.request("GET", f"/api/tasks/{secret}"),
        site.request("POST", "/api/task-events", content=secret, headers={"Content-Type": "application/json"}),
    ]
    ours = "".join(record.getMessage() for record in caplog.records if record.name.startswith("streamnotify"))
    assert "Refused a request" in ours
    for each in (secret, wrong, digest(secret)):
        assert each not in ours
        assert all(each not in answer.text for answer in answers)
