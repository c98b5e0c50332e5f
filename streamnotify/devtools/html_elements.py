"""An HTML mail as a list of elements, each with the colours and the ground its text has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = frozenset(("br", "img", "meta", "link", "hr", "input", "area", "base", "col", "embed", "source", "wbr"))
_HEX = re.compile(r"#([0-9a-fA-F]{6}|[0-9a-fA-F]{3})\b")
_DARK_BLOCK = re.compile(r"@media \(prefers-color-scheme: dark\) \{(.*?)\n\s*\}\s*\n(?!\s*\.)", re.DOTALL)
_DARK_RULE = re.compile(r"\.([\w-]+)\s*\{\s*(color|background-color):\s*(#[0-9a-fA-F]{6})")


@dataclass(frozen=True, slots=True)
class Colours:
    """The colour of text and of what is behind it, ``#rrggbb``."""

    ink: str = "#000000"
    ground: str = "#ffffff"


@dataclass(slots=True)
class Element:
    """A tag, its attributes, its inline style, the text directly in it and the colours that this text has.

    ``inside`` are the names of the elements around it, the outermost first.
    """

    tag: str
    attributes: Mapping[str, str]
    style: Mapping[str, str]
    inside: tuple[str, ...]
    light: Colours
    dark: Colours
    hidden: bool
    text: str = ""
    inner_text: list[str] = field(default_factory=list)


def elements(html: str) -> list[Element]:
    """The elements of ``html`` in the order in which they begin; comments, such as Outlook's, are left out."""
    reader = _Reader(_dark_colours(html))
    reader.feed(html)
    return reader.found


def inline_style(text: str) -> dict[str, str]:
    """The declarations of a ``style`` attribute."""
    pairs = (declaration.partition(":") for declaration in text.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs if value.strip()}


def _hex(colour: str | None) -> str | None:
    """``#rrggbb`` of a colour written ``#rrggbb`` or ``#rgb``; None of any other, which is taken for inherited."""
    match = _HEX.match(colour or "")
    if match is None:
        return None
    return match[0] if len(match[1]) == 6 else "#" + "".join(2 * digit for digit in match[1])


def _dark_colours(html: str) -> dict[tuple[str, str], str]:
    """(class, property) -> colour in the dark palette."""
    block = _DARK_BLOCK.search(html)
    return {(match[1], match[2]): match[3] for match in _DARK_RULE.finditer(block[1] if block else "")}


class _Reader(HTMLParser):
    def __init__(self, dark: Mapping[tuple[str, str], str]) -> None:
        super().__init__()
        self.found: list[Element] = []
        self._open: list[Element] = []
        self._dark = dark

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        style = inline_style(attributes.get("style", ""))
        around = self._open[-1] if self._open else None
        light = around.light if around else Colours()
        dark = around.dark if around else Colours()
        light = Colours(_hex(style.get("color")) or light.ink, _hex(style.get("background-color")) or light.ground)
        classes = attributes.get("class", "").split()
        dark = Colours(
            self._in_dark(classes, "color") or _hex(style.get("color")) or dark.ink,
            self._in_dark(classes, "background-color") or _hex(style.get("background-color")) or dark.ground,
        )
        hidden = style.get("display") == "none" or bool(around and around.hidden)
        inside = tuple(element.tag for element in self._open)
        element = Element(tag, attributes, style, inside, light, dark, hidden)
        self.found.append(element)
        if tag not in _VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        while self._open and any(element.tag == tag for element in self._open):
            if self._open.pop().tag == tag:
                break

    def handle_data(self, data: str) -> None:
        if self._open:
            self._open[-1].text += data
            for element in self._open:
                element.inner_text.append(data)

    def _in_dark(self, classes: list[str], property_: str) -> str | None:
        return next((self._dark[name, property_] for name in classes if (name, property_) in self._dark), None)
