"""Where templates are and how Jinja reads them."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

_PACKAGE = Path(__file__).resolve().parent.parent
_TEXT_WIDTH = 78


def templates_directory() -> Path:
    """The shipped templates: inside the installed package, or beside it in a source checkout.

    Raises:
        FileNotFoundError: if the installation has lost them.
    """
    for directory in (_PACKAGE / "_templates", _PACKAGE.parent / "templates"):
        if directory.is_dir():
            return directory
    raise FileNotFoundError("the templates are missing: install streamnotify again")


@dataclass(frozen=True, slots=True)
class Environments:
    """Jinja for HTML (escaping always on) and for text and subjects (nothing is escaped)."""

    html: Environment
    text: Environment


def environments(directory: Path) -> Environments:
    """Jinja over ``directory``: an undeclared name is an error, and no template reaches Python's inner workings."""
    # Autoescape is set outright: jinja2.select_autoescape goes by the file's suffix and is silently off for others.
    return Environments(html=_environment(directory, escape=True), text=_environment(directory, escape=False))


def wrap(text: str) -> str:
    """``text`` with lines of at most 78 characters; words, such as URLs, stay whole."""
    return "\n".join(_wrapped(line) for line in text.split("\n"))


def _wrapped(line: str) -> str:
    if len(line) <= _TEXT_WIDTH:
        return line
    indent = "  " if line.startswith("- ") else ""
    pieces = textwrap.wrap(line, _TEXT_WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(pieces)


def _environment(directory: Path, *, escape: bool) -> Environment:
    return ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(directory),
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
