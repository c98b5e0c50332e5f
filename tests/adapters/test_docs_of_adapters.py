"""docs/adapters.md names what there is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.adapters.published import ROOT

DOCS = (ROOT / "docs" / "adapters.md").read_text()
ADAPTERS = ROOT / "streamnotify" / "adapters"


def defined_in(module: str) -> set[str]:
    """The functions and classes of an adapter, read without importing it: Airflow is not installed here."""
    path = ADAPTERS / module
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    named = (ast.FunctionDef, ast.ClassDef)
    return {node.name for node in ast.parse(source.read_text()).body if isinstance(node, named)}


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL))
def test_the_snippets_are_python_and_import_what_there_is(block: str) -> None:
    """They are what people paste."""
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("streamnotify.adapters."):
            module = str(node.module).rpartition(".")[2]
            assert {name.name for name in node.names} <= defined_in(module)


def test_the_classes_named_by_their_path_exist() -> None:
    """For command lines."""
    named = re.findall(r"streamnotify\.adapters\.(\w+)\.([A-Z]\w+)", DOCS)
    assert len(named) >= 2
    for module, name in named:
        assert name in defined_in(module)


@pytest.mark.parametrize("path", sorted(ADAPTERS.rglob("*.py")), ids=lambda path: path.stem)
def test_an_adapter_is_short(path: Path) -> None:
    """Of 150 lines at most, as all of them only translate (research/celery-sdk.md section 4)."""
    assert len(path.read_text().splitlines()) <= 150
