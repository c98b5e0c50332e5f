"""What an organization's mails look like: ``organizations/<organization_id>/brand.json`` of the template directory."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from streamnotify.render.library import organization_directories
from streamnotify.render.policy import Brand

_KEYS = tuple(field.name for field in fields(Brand))


def organization_brands(own: Path | None, service: Brand) -> dict[str, Brand]:
    """The brand of each organization that has one; a key it leaves out is the service's.

    Args:
        own: ``STREAMNOTIFY_TEMPLATE_DIR``.
        service: the brand of all others.

    Raises:
        ValueError: naming the file and what is wrong with it.
    """
    files = ((directory.name, directory / "brand.json") for directory in organization_directories(own))
    return {name: _brand(path, service) for name, path in files if path.is_file()}


def _brand(path: Path, service: Brand) -> Brand:
    try:
        given = json.loads(path.read_text("utf-8"))
        return replace(service, **_keys(given))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from error


def _keys(given: Any) -> dict[str, str]:
    if not isinstance(given, dict):
        raise ValueError("a JSON object is allowed")  # noqa: TRY004 about a file's content
    for name, value in given.items():
        if name not in _KEYS:
            raise ValueError(f"{name!r} is no key; {', '.join(_KEYS)} are allowed")
        if not isinstance(value, str):
            raise ValueError(f"{name}: a text is allowed")  # noqa: TRY004 likewise
    # A team that is not named is called after the brand, as with the settings.
    team = {"team": f"The {given['name']} team"} if "name" in given else {}
    return team | given
