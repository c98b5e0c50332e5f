"""deploy/prometheus/alerts.yml speaks of metrics that exist, and has a rule for what must not stay unnoticed."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from ruamel.yaml import YAML

from streamnotify.stream.engine import STALLED_AFTER

FILE = Path(__file__).parents[1] / "deploy" / "prometheus" / "alerts.yml"
RULES: list[dict[str, Any]] = [
    rule for group in YAML(typ="safe").load(FILE.read_text())["groups"] for rule in group["rules"]
]


def metrics_in(expression: str) -> set[str]:
    """The names of ours in an expression."""
    return set(re.findall(r"streamnotify_\w+", expression))


def exported() -> set[str]:
    """Every name under which a metric of a worker appears."""
    for package in ("smtp", "stream"):
        importlib.import_module(f"streamnotify.{package}.metrics")
    return set(REGISTRY._names_to_collectors)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_is_about_metrics_that_exist_and_says_what_is_wrong(rule: dict[str, Any]) -> None:
    assert metrics_in(rule["expr"])
    assert metrics_in(rule["expr"]) <= exported()
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["summary"].endswith(".")


def test_the_alert_about_a_stalled_frontier_comes_when_the_worker_says_that_it_is_not_ready() -> None:
    [rule] = [rule for rule in RULES if rule["alert"] == "StreamnotifyFrontierStalled"]
    assert rule["expr"] == f"streamnotify_frontier_age_seconds > {STALLED_AFTER:.0f}"
