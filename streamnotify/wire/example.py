"""An example of a record on a public topic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Example:
    """One record.

    Args:
        name: short, unique on its topic.
        summary: what it says.
        value: what its JSON says.
        key: None: it has none.
        headers: by name.
    """

    name: str
    summary: str
    value: Any
    key: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
