"""docs/api.md names what there is; tests/web/api/test_whole_way.py runs its examples."""

from __future__ import annotations

import json
import re
from pathlib import Path

from streamnotify.web.api import access, json_bodies, parameters, publishing
from streamnotify.web.api.events import MOST_EVENTS
from streamnotify.web.api.routes import REFUSALS
from streamnotify.web.api.tokens import Scope, Token, parse
from tests.web.api.api_site import ApiSite

PAGE = (Path(__file__).parents[1] / "docs" / "api.md").read_text("utf-8")


def test_every_path_is_named_with_its_filters_and_no_other(tmp_path: Path) -> None:
    document = ApiSite(tmp_path).request("GET", "/api/openapi.json").json()
    described = {path: operation for path, methods in document["paths"].items() for operation in methods.values()}
    named = set(re.findall(r"`(/api/[^`]+)`", PAGE)) | {
        f"/api{path}" for path in re.findall(r"\$API(/[\w-]+(?:/email[\w-]+)?)", PAGE)
    }
    assert {path for path in described if "{id}" not in path} | {"/api/openapi.json"} == {
        path for path in named if not path.startswith("/api/why")
    }
    common = {"since", "until", "limit", "cursor", "organization"}
    for path, filters in re.findall(r"^\| `(/api/[\w-]+)`.*\|([^|]*)\|$", PAGE, re.MULTILINE):
        taken = {each["name"] for each in described[path].get("parameters", ()) if each["in"] == "query"}
        assert set(re.findall(r"`(\w+)`", filters)) == taken - common, path


def test_every_refusal_is_listed() -> None:
    listed = re.findall(r"^\| (\d{3}(?:, \d{3})*) \|", PAGE, re.MULTILINE)
    assert {int(status) for each in listed for status in each.split(", ")} == set(REFUSALS)


def test_the_line_of_the_file_is_one_and_every_field_is_listed() -> None:
    [line] = re.findall(r"^\{\"name\": \"ci\".*\}$", PAGE, re.MULTILINE)
    token = parse(line.encode())
    assert set(json.loads(line)) | {"all_organizations"} == set(Token.model_fields)
    assert token.organization_id == "org-a"
    assert all(f"`{field}`" in PAGE or f'"{field}"' in PAGE for field in Token.model_fields)
    assert all(f"`{scope}`" in PAGE for scope in Scope)


def test_the_limits_are_as_it_says() -> None:
    assert f"a list of up to {MOST_EVENTS:,}" in PAGE
    assert f"(1 to {parameters.MOST}, default 50)" in PAGE
    assert f"nested more than {json_bodies.MOST_DEPTH} deep" in PAGE
    assert f"more than {json_bodies.PATIENCE.seconds} s, or is larger than {publishing.MOST_BYTES >> 20} MiB" in PAGE
    token, address = access.token_limit(), access.address_limit()
    assert f"{token._per_second} times a second, {token._at_once} times at once" in PAGE
    assert (address._per_second, address._at_once) == (1, 20)
    assert "may try once a second, 20 times at\nonce" in PAGE
