"""The diagram in docs/digests.md, drawn from the table it shows: ``python -m streamnotify.devtools.digest_diagram``."""

from __future__ import annotations

import re
from pathlib import Path

from streamnotify.domain.digest import TRANSITIONS, Effect, Phase

PAGE = Path("docs", "digests.md")
_DIAGRAM = re.compile(r"(?<=<!-- diagram -->\n).*(?=<!-- end of diagram -->)", re.DOTALL)


def diagram() -> str:
    """Every transition of a lane, those that differ only in their trigger as one arrow, as a Mermaid block."""
    arrows: dict[tuple[Phase, Phase, Effect], list[str]] = {}
    for (phase, trigger), (effect, after) in TRANSITIONS.items():
        arrows.setdefault((phase, after, effect), []).append(trigger.value)
    lines = [
        f"    {phase} --> {after}: {', '.join(triggers)} / {effect}"
        for (phase, after, effect), triggers in arrows.items()
    ]
    return "\n".join(["```mermaid", "stateDiagram-v2", f"    [*] --> {Phase.IDLE}", *lines, "```", ""])


def with_diagram(page: str) -> str:
    """The page with the diagram of now between its two markers.

    Raises:
        ValueError: if it lacks them.
    """
    if _DIAGRAM.search(page) is None:
        raise ValueError("the page has no markers for the diagram")
    return _DIAGRAM.sub(lambda _: diagram(), page)


if __name__ == "__main__":
    PAGE.write_text(with_diagram(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
