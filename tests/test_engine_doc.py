"""docs/engine.md names the place of every rule and the test that fails without it: all of them exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "engine.md").read_text()
RULES = PAGE.split("## Rules")[1].split("## Private parts")[0]
PLACES = sorted(set(re.findall(r"`(\w+):([\w.]+)`", PAGE)))
TESTS = sorted(set(re.findall(r"`([\w./]+\.py)::(\w+)`", PAGE)))


@cache
def names_in(path: Path) -> set[str]:
    """The functions, classes and methods a module defines, methods as Class.method."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            members = [each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
            found.update(f"{node.name}.{member.name}" for member in members)
    return found


@pytest.mark.parametrize(("module", "name"), PLACES, ids=lambda part: part)
def test_every_place_exists(module: str, name: str) -> None:
    assert name in names_in(ROOT / "streamnotify" / "stream" / f"{module}.py")


@pytest.mark.parametrize(("path", "name"), TESTS, ids=lambda part: part)
def test_every_test_exists(path: str, name: str) -> None:
    file = ROOT / path if "/" in path else ROOT / "tests" / "stream" / path
    assert name in names_in(file)


def test_every_rule_has_a_place_and_a_test() -> None:
    rows = [line.strip("|").split("|") for line in RULES.splitlines() if line.startswith("| ")][1:]
    assert {row[0].split()[0] for row in rows} >= {str(rule) for rule in range(1, 14)}
    assert [row[0] for row in rows if not re.search(r"`\w+:\w", row[1]) or "::" not in row[2]] == []


def test_every_module_that_touches_private_parts_is_named() -> None:
    """They are those that may, by the lint rules of pyproject.toml."""
    allowed = re.search(r'"streamnotify/stream/\{([\w,]+)\}\.py" = \["SLF001"\]', (ROOT / "pyproject.toml").read_text())
    assert allowed is not None
    private = PAGE.split("## Private parts")[1]
    assert set(allowed.group(1).split(",")) <= {module for module, _ in re.findall(r"`(\w+):([\w.]+)`", private)}
