"""The layers of DESIGN section 2."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOMAIN = sorted((ROOT / "streamnotify" / "domain").glob("**/*.py"))
# Of the standard library itself, what would make a rule depend on when and where it runs.
IMPURE = {"asyncio", "logging", "os", "pathlib", "random", "secrets", "socket", "subprocess", "threading", "time"}


def imported(tree: ast.Module) -> Iterator[str]:
    """The dotted names of what a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def is_allowed(name: str) -> bool:
    if name.startswith("streamnotify."):
        return name.startswith(("streamnotify.domain.", "streamnotify.errors"))
    package = name.partition(".")[0]
    if package == "cronsim":  # as pure as the calendar it reads
        return True
    return package in sys.stdlib_module_names and package not in IMPURE


@pytest.mark.parametrize("path", DOMAIN, ids=lambda path: path.stem)
def test_domain_imports_nothing_but_itself_cronsim_and_the_pure_part_of_the_standard_library(path: Path) -> None:
    names = imported(ast.parse(path.read_text()))
    assert [name for name in names if not is_allowed(name)] == []


@pytest.mark.parametrize("path", DOMAIN, ids=lambda path: path.stem)
def test_domain_neither_awaits_nor_reads_a_clock(path: Path) -> None:
    nodes = list(ast.walk(ast.parse(path.read_text())))
    assert not [node.lineno for node in nodes if isinstance(node, ast.Await | ast.AsyncFunctionDef)]
    clocks = {"now", "utcnow", "today"}
    calls = [node for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    assert not [call.lineno for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr in clocks]


def test_imports_go_down_only() -> None:
    """In a process of its own: import-linter switches off every logger that exists."""
    linter = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    run = subprocess.run(
        [sys.executable, "-c", linter, "--config", str(ROOT / "pyproject.toml"), "--no-cache"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
