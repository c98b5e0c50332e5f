"""docs/settings.md shows every setting as it is declared, and no other."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from streamnotify import settings
from streamnotify.cli.config import shown

DOCS = Path(__file__).parents[1] / "docs" / "settings.md"


def declared(monkeypatch: pytest.MonkeyPatch, directory: Path) -> list[str]:
    """The table rows and headings that the declaration makes."""
    for name in os.environ:
        if name in map(settings.name_of, settings.Settings.model_fields):
            monkeypatch.delenv(name)
    monkeypatch.chdir(directory)
    defaults = settings.load()
    rows = []
    for field in settings.Settings.model_fields:
        heading = f"## {settings.section_of(field)}"
        rows += [heading] if heading not in rows else []
        default = shown(getattr(defaults, field))
        cell = f"`{default}`" if default else ""
        rows.append(f"| `{settings.name_of(field)}` | {cell} | {settings.meaning_of(field)} |")
    return rows


def test_the_page_lists_the_settings_as_declared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = DOCS.read_text().replace("## Secrets in files\n", "")
    lines = [line for line in whole.splitlines() if re.match(r"## |\| `", line)]
    assert lines == declared(monkeypatch, tmp_path)


def test_the_page_names_every_secret_that_may_be_in_a_file() -> None:
    [paragraph] = re.findall(r"## Secrets in files\n(.*?)\n## ", DOCS.read_text(), re.DOTALL)
    assert re.findall(r"`(\w+_FILE)`", paragraph) == [f"{name}_FILE" for name in settings.secret_names()]
