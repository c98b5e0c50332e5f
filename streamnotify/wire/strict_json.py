"""What Python's ``json`` lets pass and no other reader agrees on: names given twice, and numbers that are none."""

from __future__ import annotations

import math
from typing import Any


def no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's fields, for ``json``'s ``object_pairs_hook``.

    Raises:
        ValueError: if one is there twice.
    """
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key} is there twice")
        found[key] = value
    return found


def no_constant(name: str) -> Any:
    """Refuses NaN and Infinity, which are no JSON, for ``json``'s ``parse_constant``.

    Raises:
        ValueError: always.
    """
    raise ValueError(f"{name} is no number")


def finite(text: str) -> float:
    """A number with a fraction or an exponent, for ``json``'s ``parse_float``.

    Raises:
        ValueError: if it is too large.
    """
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:64]} is too large a number")
    return number
