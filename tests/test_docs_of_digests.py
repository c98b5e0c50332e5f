"""docs/digests.md shows the state machine, the defaults and the limits as the code has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamnotify.devtools.digest_diagram import PAGE, diagram, with_diagram
from streamnotify.domain import pending
from streamnotify.domain.digest import ALERT_LANE, TRANSITIONS, LanePolicy
from streamnotify.domain.lean_items import LARGE, lean
from streamnotify.domain.notifications import TaskNotification
from streamnotify.wire.durations import format_duration
from tests.domain.digest_builders import a_task_item

ROOT = Path(__file__).parents[1]


@pytest.fixture
def page() -> str:
    """The page as it is."""
    return (ROOT / PAGE).read_text(encoding="utf-8")


def test_the_diagram_is_the_table(page: str) -> None:
    assert with_diagram(page) == page, "run python -m streamnotify.devtools.digest_diagram"


def test_every_transition_is_in_the_diagram() -> None:
    drawn = diagram().splitlines()
    for (phase, trigger), (effect, after) in TRANSITIONS.items():
        [arrow] = [
            line for line in drawn if line.startswith(f"    {phase} --> {after}: ") and line.endswith(f"/ {effect}")
        ]
        assert trigger in arrow.removesuffix(f" / {effect}").partition(": ")[2].split(", ")


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="no markers"):
        with_diagram("# Digests\n")


@pytest.mark.parametrize(("name", "policy"), [("DIGEST", LanePolicy()), ("ALERT_DIGEST", ALERT_LANE)])
def test_the_defaults_are_those_of_the_lanes(page: str, name: str, policy: LanePolicy) -> None:
    assert f"`STREAMNOTIFY_{name}_AFTER` ({policy.after})" in page
    assert f"`STREAMNOTIFY_{name}_WINDOW` ({format_duration(policy.window)})" in page
    assert f"`STREAMNOTIFY_{name}_MAX_WAIT` ({format_duration(policy.max_wait)})" in page
    assert f"The newest {policy.show}\n" in page


def test_the_limits_are_those_of_the_code(page: str) -> None:
    assert f"a lane keeps {pending.KEPT_BYTES:,} bytes" in page
    assert f"more than {LARGE:,} bytes" in page
    assert f"take more than {pending.NUMBERS_BYTES:,} bytes" in page
    cut = lean(a_task_item(error_message="x" * LARGE))
    assert isinstance(cut, TaskNotification)
    assert f"cut to\n  {len(cut.error_message or ''):,} characters" in page


def test_the_readme_leads_here() -> None:
    assert "(docs/digests.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
