"""Secrets that lie in files, as container platforms mount them: ``NAME_FILE`` in the place of ``NAME``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from streamnotify.errors import SettingsError

_MOST_BYTES = 64 * 1024


def file_setting(name: str) -> str:
    """The setting that names the file of the secret ``name``."""
    return f"{name}_FILE"


def secret_of(given: Mapping[str, str], name: str) -> str | None:
    """The secret ``name``: its own value, else the content of its file without the line end at its end.

    Args:
        given: settings by name; an empty one is as good as absent.

    Raises:
        SettingsError: if both are given, or the file is of no use; the secret is not in the message.
    """
    path = given.get(file_setting(name))
    if not path:
        return given.get(name) or None
    if given.get(name):
        raise SettingsError(f"{name} and {file_setting(name)} are both set: one of them is allowed")
    said = f"{file_setting(name)} is {path!r}: a file of 1 to {_MOST_BYTES} bytes of UTF-8 is allowed"
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else None
        raise SettingsError(f"{said} ({why or 'no path'})") from None
    if len(content) > _MOST_BYTES:
        raise SettingsError(f"{said} (it is larger)")
    try:
        secret = content.decode()
    except UnicodeDecodeError:
        raise SettingsError(f"{said} (it is no UTF-8)") from None
    secret = secret.removesuffix("\r\n") if secret.endswith("\r\n") else secret.removesuffix("\n")
    if not secret:
        raise SettingsError(f"{said} (it is empty)")
    return secret
