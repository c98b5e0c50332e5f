"""Reading the files of a deployment, and what they have in common."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from streamnotify import settings

ROOT = Path(__file__).parents[2]
SETTINGS = set(settings.names())
# What the source's deployment calls the worker's secrets, in its order.
RELAY_SECRETS = ["SMTP_HOST", "SMTP_PORT", "SMTP_USER", "SMTP_PASSWORD", "FRONTEND_URL"]


def documents(text: str) -> list[Any]:
    """The YAML documents of a text."""
    return [document for document in YAML(typ="safe").load_all(text) if document is not None]


def document(path: Path) -> Any:
    """The only YAML document of a file."""
    [only] = documents(path.read_text())
    return only


def pinned(image: str) -> bool:
    """True if an image's name says which one of its versions is meant."""
    name, _, tag = image.rpartition(":")
    return bool(name) and "/" not in tag and tag != "latest"


def environment_of(path: Path) -> dict[str, str]:
    """The lines ``NAME=value`` of a file."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Z_]+=\S+", line) for line in lines), path
    return dict(line.split("=", 1) for line in lines)


def loaded(monkeypatch: pytest.MonkeyPatch, directory: Path, environment: Mapping[str, str]) -> settings.Settings:
    """The settings that a container with this environment has; ``directory`` has no ``.env``.

    Raises:
        SettingsError: if it would refuse to start.
    """
    monkeypatch.chdir(directory)
    for name in SETTINGS & set(os.environ):
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return settings.load()


def program(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command of our own environment."""
    command: Iterable[str | Path] = (Path(sys.executable).parent / name, *arguments)
    return subprocess.run(list(command), capture_output=True, text=True, check=False)


def assert_valid(builtin_schema: str, path: Path) -> None:
    """Validate a file against a schema that check-jsonschema carries with it."""
    checked = program("check-jsonschema", "--builtin-schema", builtin_schema, path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
