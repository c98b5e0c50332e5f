"""docs/users.md shows files that can be applied as they stand, and the command as it is."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from streamnotify.cli.main import main
from streamnotify.cli.user_files import check_files

PAGE = (Path(__file__).parents[1] / "docs" / "users.md").read_text("utf-8")


def block(language: str) -> str:
    """The page's one block in a language."""
    [found] = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


@pytest.mark.parametrize("language", ["csv", "yaml"])
def test_the_files_can_be_applied(language: str, tmp_path: Path) -> None:
    path = tmp_path / f"people.{language}"
    path.write_text(block(language))
    checked = check_files([str(path)])
    assert (checked.errors, checked.warnings) == ([], [])
    assert [*checked.records] == ["u1", "u2"]


def test_the_command_has_these_options() -> None:
    users = main.get_command(click.Context(main), "users")
    assert isinstance(users, click.Group)
    options = {option for each in users.commands["apply"].params for option in each.opts if option.startswith("--")}
    assert set(re.findall(r"--[\w-]+", block("text"))) == options
    assert set(re.findall(r"--[\w-]+", block("sh"))) <= options
