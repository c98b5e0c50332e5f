"""Runs ``streamnotify`` as a person does, in this process."""

from __future__ import annotations

import os
from pathlib import Path

from click.testing import CliRunner, Result

from streamnotify import settings
from streamnotify.cli.main import main


def streamnotify(*arguments: str, directory: Path, **environment: str) -> Result:
    """The result of ``streamnotify <arguments>`` in ``directory``, with exactly these settings in the environment."""
    ours = {settings.name_of(field): None for field in settings.Settings.model_fields}
    before = Path.cwd()
    os.chdir(directory)
    try:
        return CliRunner().invoke(main, list(arguments), env={**ours, **environment})
    finally:
        os.chdir(before)
