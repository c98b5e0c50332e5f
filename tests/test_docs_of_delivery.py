"""docs/delivery.md shows the decision table, the waits and the metrics as the code has them."""

from __future__ import annotations

import itertools
from pathlib import Path

from prometheus_client import Counter, Gauge

from streamnotify.domain.delivery import AFTER_ATTEMPT, WAITS, DeliveryPolicy, DeliveryState, Outcome, Wait
from streamnotify.smtp import metrics
from streamnotify.smtp.breaker import PROBE_AFTER
from streamnotify.smtp.classification import RULES, Rule
from streamnotify.smtp.fault import FaultKind, Stage
from streamnotify.wire.durations import format_duration

DOCS = Path(__file__).parents[1] / "docs" / "delivery.md"


def rule_row(rule: Rule) -> str:
    """A row of the decision table."""
    stages = "any" if set(rule.stages) == set(Stage) else " ".join(stage for stage in Stage if stage in rule.stages)
    return f"| {stages} | {happened(rule)} | {rule.outcome} | `{rule.reason}` |"


def happened(rule: Rule) -> str:
    """What a rule asks of the fault."""
    if set(rule.kinds) == set(FaultKind):
        return "anything else"
    if FaultKind.REPLY not in rule.kinds:
        kinds = [kind.value.replace("_", " ") for kind in FaultKind if kind in rule.kinds]
        return "no reply" if len(kinds) > 4 else ", ".join(kinds)
    said = [] if rule.codes is None else [codes(rule.codes)]
    if rule.enhanced:
        said.append(" ".join(f"{code}x" if code.endswith(".") else code for code in rule.enhanced))
    if rule.text is not None:
        said.append("`" + rule.text.replace("|", "\\|") + "`")
    return ", ".join(said) or "any other reply"


def codes(wanted: range) -> str:
    """A range of reply codes."""
    if len(wanted) == 1:
        return str(wanted.start)
    if wanted.start % 100 or wanted.stop % 100:
        return f"{wanted.start}-{wanted.stop - 1}"
    return " ".join(f"{hundred}xx" for hundred in range(wanted.start // 100, wanted.stop // 100))


def outcome_row(outcome: Outcome) -> str:
    """A row of the table of outcomes."""
    state = AFTER_ATTEMPT[outcome]
    wait = WAITS.get(outcome, DeliveryPolicy().wait) if state is DeliveryState.DEFERRED else None
    probes = " ".join(f"{seconds:g}" for seconds in PROBE_AFTER.get(outcome, ()))
    return f"| {outcome} | {state} | {waits(wait)} | {probes} |"


def waits(wait: Wait | None) -> str:
    """First and longest wait."""
    return "" if wait is None else f"{format_duration(wait.first)}, {format_duration(wait.most)}"


def expected() -> list[str]:
    """Every row of every table on the page."""
    ours = [value for value in vars(metrics).values() if isinstance(value, Counter | Gauge)]
    described = [family for metric in ours for family in metric.describe()]
    names = {"counter": "{}_total", "gauge": "{}"}
    rows = [f"| `{names[family.type].format(family.name)}` | {family.documentation} |" for family in described]
    return [*map(outcome_row, Outcome), *map(rule_row, RULES), *rows]


def test_the_tables_are_as_the_code_has_them() -> None:
    lines = DOCS.read_text().splitlines()
    rows = [line for before, line in itertools.pairwise(lines) if line.startswith("| ") and before[:1] == "|"]
    assert rows == expected()
