"""How much of a mail's HTML mail programs know: the score of Mailpit's HTML check (research/email.md item 7).

The shares are caniemail's (MIT licence, of 2026-06-29), counted as Mailpit does: of all versions of all mail programs,
how many percent know something in part only, and how many do not know it. What is not listed, all of them know.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from streamnotify.devtools.html_elements import Element

# What the inlined receipt template of Postmark has in the Mailpit of 2026-07-20 (its commit 408b30d).
POSTMARKS = 85.1

_BODY, _STYLE, _MEDIA = "<body>", "<style>", "@media"
_KNOWN_IN_PART_AND_UNKNOWN = {
    _BODY: (28.6, 32.7),
    _STYLE: (18.9, 20.0),
    _MEDIA: (46.4, 21.7),
    "background": (42.4, 1.7),
    "background-color": (9.8, 0.0),
    "background-image": (35.4, 4.6),
    "border": (12.8, 0.0),
    "border-radius": (24.5, 11.3),
    "box-shadow": (6.1, 48.5),
    "box-sizing": (0.0, 32.0),
    "direction": (2.2, 0.0),
    "display": (43.5, 0.0),
    "float": (30.0, 1.7),
    "font": (4.1, 0.0),
    "font-weight": (23.4, 0.0),
    "height": (22.0, 0.0),
    "hyphens": (23.4, 40.4),
    "letter-spacing": (12.2, 0.0),
    "line-height": (17.0, 0.0),
    "list-style": (36.0, 2.0),
    "margin": (38.6, 0.0),
    "max-height": (0.0, 12.5),
    "max-width": (14.3, 7.1),
    "min-height": (0.0, 16.7),
    "min-width": (0.0, 12.5),
    "opacity": (0.0, 37.0),
    "outline": (0.0, 18.4),
    "overflow": (41.2, 11.2),
    "overflow-wrap": (42.1, 50.0),
    "padding": (11.8, 0.0),
    "position": (56.2, 25.0),
    "table-layout": (25.5, 14.9),
    "text-align": (54.2, 0.0),
    "text-decoration": (25.0, 6.2),
    "text-indent": (22.6, 0.0),
    "text-overflow": (6.2, 33.3),
    "text-shadow": (0.0, 32.7),
    "text-transform": (12.8, 0.0),
    "visibility": (21.2, 28.8),
    "white-space": (25.0, 14.6),
    "width": (12.0, 0.0),
    "word-break": (42.6, 29.8),
}
_QUERY = re.compile(r"@media\s?\(")


def score(elements: Sequence[Element]) -> float:
    """The percentage of what mail programs know, of all elements of a mail: 100 is all.

    What weighs most in part, and what weighs most of the unknown, by how many elements have it, is taken off.
    """
    counted = [element for element in elements if element.tag not in ("html", "head", "meta")]
    found: Counter[str] = Counter()
    for element in counted:
        found.update(element.style.keys() & _KNOWN_IN_PART_AND_UNKNOWN.keys())
        if element.tag in ("body", "style"):
            found[f"<{element.tag}>"] += 1
        if element.tag == "style":
            found[_MEDIA] += len(_QUERY.findall(element.text))
    tags = Counter(element.tag for element in counted)
    number_of_all = len(counted) + tags["table"] - tags["tbody"]  # each table has one (HTML, 13.2.6.4.9)
    shares = [(_KNOWN_IN_PART_AND_UNKNOWN[name], number / number_of_all) for name, number in found.items()]
    in_part, unknown = (max((percent[at] * share for percent, share in shares), default=0.0) for at in (0, 1))
    return 100 - in_part - unknown
