"""How well one colour can be read on another (WCAG 2.2, "contrast ratio")."""

from __future__ import annotations

from functools import lru_cache

LEAST_CONTRAST = 4.5  # of text on its ground (WCAG AA)
_WHITE, _BLACK = "#ffffff", "#000000"


def contrast(one: str, other: str) -> float:
    """The contrast of two colours written ``#rrggbb``: 1 (the same) to 21 (black on white)."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@lru_cache(maxsize=64)  # of the brands' colours
def ink_on(ground: str) -> str:
    """White or, where white cannot be read on ``ground``, black: one of them always can."""
    return _WHITE if contrast(_WHITE, ground) >= LEAST_CONTRAST else _BLACK


@lru_cache(maxsize=64)
def under_white(colour: str) -> str:
    """``colour``, or as much darker as white text on it needs.

    Such a ground can be read wherever a program darkens light mails by itself: those turn black text white, but leave a
    yellow as bright as it is.
    """
    channels = [int(colour[index : index + 2], 16) for index in (1, 3, 5)]
    shades = ("#" + "".join(f"{channel * percent // 100:02x}" for channel in channels) for percent in range(100, 0, -1))
    return next(shade for shade in shades if contrast(_WHITE, shade) >= LEAST_CONTRAST)


def _luminance(colour: str) -> float:
    channels = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
