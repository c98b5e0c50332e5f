"""What mail programs and readers need of a mail (research/email.md items 1, 4-8, 10 and 11), checked.

Each rule is a function that yields a sentence for each fault. :func:`faults` runs them all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from streamnotify.devtools import client_support
from streamnotify.devtools.html_elements import Element, elements
from streamnotify.render.colours import LEAST_CONTRAST, contrast
from streamnotify.render.library import PART_LIMIT
from streamnotify.render.links import is_safe_url
from streamnotify.render.preheader import LEAST, MOST
from streamnotify.render.wrapping import TEXT_WIDTH, is_url

_STYLE_LIMIT = 16_000  # bytes; Gmail drops a longer style block
_TARGET = 44  # pixels that a finger needs
_FORBIDDEN_CSS = re.compile(
    r"display:\s*(?:inline-)?(?:flex|grid)|var\(|margin[\w-]*:[^;]*-\d|@import|url\(", re.IGNORECASE
)
_FORBIDDEN_TAGS = ("script", "form", "input", "svg", "iframe", "object", "embed", "link", "video")
_MEDIA_COLOUR = re.compile(r"(?:color|padding|width|display|border)[\w-]*:[^;}]*;")
_PADDING_CHARACTERS = "\u034f\u200c\u2007\xa0 \n"
_MEANINGLESS = ("", "here", "click here", "link", "more", "this")


@dataclass(frozen=True, slots=True)
class _Mail:
    html: str
    text: str
    elements: list[Element]

    @property
    def body(self) -> list[Element]:
        return [element for element in self.elements if "body" in element.inside]


def faults(html: str, text: str) -> list[str]:
    """What is wrong with a mail's parts, as sentences; none if all is well."""
    mail = _Mail(html, text, elements(html))
    return [fault for rule in _RULES for fault in rule(mail)]


def _text_part(mail: _Mail) -> Iterator[str]:
    if not mail.text.strip():
        yield "the text part is empty"
    for line in mail.text.split("\n"):
        if len(line) > TEXT_WIDTH and not any(is_url(word) for word in line.split()):
            yield f"a line of the text part has {len(line)} characters, over {TEXT_WIDTH}: {line[:40]!r}"
    if "\xa0" in mail.text:
        yield "the text part has a no-break space"


def _text_has_all(mail: _Mail) -> Iterator[str]:
    """Whatever the HTML says in headings, paragraphs, data tables and links, the text says too."""
    squeezed = "".join(mail.text.split())
    cells = {id(cell) for _, content in _data_tables(mail.body) for cell in content if cell.tag == "td"}
    for element in mail.body:
        said = "".join("".join(element.inner_text).split())
        if (element.tag in ("h1", "h2", "p", "th", "a") or id(element) in cells) and said not in squeezed:
            yield f"the text part lacks {said[:40]!r}"
        url = element.attributes.get("href", "")
        if url not in mail.text:
            yield f"the text part lacks the link {url[:60]}"


def _size(mail: _Mail) -> Iterator[str]:
    size = len(mail.html.encode("utf-8", "replace"))
    if size > PART_LIMIT:
        yield f"the HTML has {size} bytes, over {PART_LIMIT}: Gmail hides its end"
    style = sum(len(element.text) for element in mail.elements if element.tag == "style")
    if style > _STYLE_LIMIT:
        yield f"the style block has {style} characters, over {_STYLE_LIMIT}: Gmail drops it"


def _links(mail: _Mail) -> Iterator[str]:
    for element in mail.elements:
        for name in ("href", "src", "background"):
            url = element.attributes.get(name)
            if url is not None and not is_safe_url(url) and not url.startswith(("mailto:", "#")):
                yield f"<{element.tag} {name}> leads to {url[:40]!r}: only https is allowed"
        if element.tag == "a" and "".join(element.inner_text).strip().lower() in _MEANINGLESS:
            yield "a link's text does not say where it leads"


def _layout(mail: _Mail) -> Iterator[str]:
    for element in mail.body:
        ground = element.style.get("background-color")
        if element.tag in ("td", "th", "table") and ground and element.attributes.get("bgcolor") != ground:
            yield f"<{element.tag}> with background-color {ground} lacks the bgcolor attribute"
        if "padding" in element.style and element.tag in ("p", "div", "table", "h1", "h2", "h3"):
            yield f"<{element.tag}> has padding, which Outlook ignores: use a <td>"
    if "[if mso]" not in mail.html:
        yield "there is no table of fixed width for Outlook ([if mso])"


def _forbidden(mail: _Mail) -> Iterator[str]:
    styles = [element.attributes.get("style", "") for element in mail.elements]
    styles += [element.text for element in mail.elements if element.tag == "style"]
    for style in styles:
        if found := _FORBIDDEN_CSS.search(style):
            yield f"{found[0]!r} is not known to all mail programs"
    for element in mail.elements:
        if element.tag in _FORBIDDEN_TAGS:
            yield f"<{element.tag}> is not allowed in a mail"
        if element.tag == "style" and "body" in element.inside:
            yield "<style> in the body: Gmail ignores it"


def _client_support(mail: _Mail) -> Iterator[str]:
    score = client_support.score(mail.elements)
    if score < client_support.POSTMARKS:
        yield f"mail programs know {score:.1f} % of it, less than {client_support.POSTMARKS} %: see client_support.py"


def _dark_mode(mail: _Mail) -> Iterator[str]:
    metas = {element.attributes.get("name") for element in mail.elements if element.tag == "meta"}
    for name in ("color-scheme", "supported-color-schemes"):
        if name not in metas:
            yield f"there is no <meta name={name}>"
    for needed in ("prefers-color-scheme: dark", "[data-ogsc]", "[data-ogsb]"):
        if needed not in mail.html:
            yield f"there are no colours for dark mode ({needed})"
    for element in mail.elements:
        for media in element.text.partition("@media")[1:] if element.tag == "style" else ():
            if any("!important" not in rule for rule in _MEDIA_COLOUR.findall(media)):
                yield "a rule of a media query lacks !important, so the inline style wins"


def _contrasts(mail: _Mail) -> Iterator[str]:
    for element in mail.body:
        if element.hidden or not element.text.strip(_PADDING_CHARACTERS + "\u200b"):
            continue
        for palette, colours in (("light", element.light), ("dark", element.dark)):
            ratio = contrast(colours.ink, colours.ground)
            if ratio < LEAST_CONTRAST:
                yield f"{colours.ink} on {colours.ground} ({palette}) has contrast {ratio:.1f}: {element.text[:30]!r}"


def _accessible(mail: _Mail) -> Iterator[str]:
    by_tag = {tag: [element for element in mail.elements if element.tag == tag] for tag in ("html", "title", "h1")}
    named = [element for element in mail.elements if {"lang", "dir"} <= element.attributes.keys()]
    if not any(element.tag == "html" for element in named) or not any("body" in element.inside for element in named):
        yield "lang and dir are needed on <html> and on an element around the content"
    if not any(element.text.strip() for element in by_tag["title"]):
        yield "the title is empty"
    if len(by_tag["h1"]) != 1:
        yield f"there are {len(by_tag['h1'])} <h1>; one is needed"
    for table, content in _tables(mail.body):
        is_data = any(cell.tag == "th" and "scope" in cell.attributes for cell in content)
        if (table.attributes.get("role") == "presentation") == is_data:
            yield 'a table needs either role="presentation" or <th scope>'
    for image in (element for element in mail.elements if element.tag == "img"):
        if "alt" not in image.attributes:
            yield "an image has no alt"


def _tables(body: list[Element]) -> Iterator[tuple[Element, list[Element]]]:
    """Each table with the elements that are in it, but not in a table inside it."""
    for index, table in enumerate(body):
        if table.tag == "table":
            depth = len(table.inside)
            content = []
            for element in body[index + 1 :]:
                if len(element.inside) <= depth:
                    break
                if element.inside[depth + 1 :].count("table") == 0 and element.tag != "table":
                    content.append(element)
            yield table, content


def _data_tables(body: list[Element]) -> Iterator[tuple[Element, list[Element]]]:
    return ((table, content) for table, content in _tables(body) if table.attributes.get("role") != "presentation")


def _targets(mail: _Mail) -> Iterator[str]:
    for link in (element for element in mail.body if element.tag == "a"):
        height = _pixels(link.style.get("line-height", "0")) + 2 * max(
            _pixels(link.style.get("padding", "0")), _pixels(link.style.get("border-width", "0"))
        )
        if link.style.get("display") not in ("inline-block", "block") or height < _TARGET:
            yield f"the link {''.join(link.inner_text)[:30]!r} is less than {_TARGET} px high"


def _pixels(value: str) -> int:
    """The first length of ``value`` in pixels."""
    match = re.match(r"(\d+)", value)
    return int(match[1]) if match else 0


def _preheader(mail: _Mail) -> Iterator[str]:
    first = next((element for element in mail.body), None)
    if first is None or not first.hidden:
        yield "the body does not begin with a hidden preheader"
        return
    said = "".join(first.inner_text)
    if not LEAST <= len(said.strip(_PADDING_CHARACTERS)) <= MOST:
        yield f"the preheader has {len(said.strip(_PADDING_CHARACTERS))} characters; {LEAST} to {MOST} are wanted"
    if len(said) < 150:
        yield "the preheader is not padded: the beginning of the mail follows it in the inbox"


_RULES: tuple[Callable[[_Mail], Iterator[str]], ...] = (
    _text_part,
    _text_has_all,
    _size,
    _links,
    _layout,
    _forbidden,
    _client_support,
    _dark_mode,
    _contrasts,
    _accessible,
    _targets,
    _preheader,
)
