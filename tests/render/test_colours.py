"""The colours of brands: what can be read on them, and how dark a button of theirs is."""

from __future__ import annotations

import pytest

from streamnotify.render.colours import LEAST_CONTRAST, contrast, ink_on, under_white


@pytest.mark.parametrize("colour", ["#ffcc00", "#00ff88", "#ff0000", "#ffffff", "#777777", "#00FFFF"])
def test_a_bright_colour_is_darkened_no_more_than_white_text_needs(colour: str) -> None:
    assert LEAST_CONTRAST <= contrast("#ffffff", under_white(colour)) < LEAST_CONTRAST + 0.2


@pytest.mark.parametrize("colour", ["#3730a3", "#0b5fff", "#222222", "#000000", "#0F766E"])
def test_a_colour_that_white_can_be_read_on_stays_as_it_is(colour: str) -> None:
    assert under_white(colour).lower() == colour.lower()
    assert ink_on(colour) == "#ffffff"


def test_a_darkened_colour_keeps_its_hue() -> None:
    assert under_white("#ffcc00") == "#8e7200"
