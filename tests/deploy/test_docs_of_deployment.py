"""docs/deployment.md speaks of settings, secrets, alerts, services and files that there are."""

from __future__ import annotations

import re

import pytest

from tests.deploy.deployment_files import ROOT, SETTINGS, document
from tests.deploy.kubernetes import RELEASES
from tests.deploy.test_compose import SERVICES

PAGE = (ROOT / "docs" / "deployment.md").read_text()
WORKFLOW = (ROOT / ".github" / "workflows" / "deploy.yml").read_text()


def test_a_setting_that_it_names_is_one() -> None:
    named = set(re.findall(r"\b(?:STREAMNOTIFY|KAFKA|SMTP|FRONTEND)_[A-Z_]*[A-Z]\b", PAGE))
    assert named - SETTINGS - {"KAFKA_SSL", "SMTP_MAX_PER"} == set()


def test_it_names_every_secret_and_variable_of_the_deployment() -> None:
    read = re.findall(r"(?:secrets|vars)\.(\w+)", WORKFLOW)
    assert len(read) > 8
    assert [name for name in read if f"`{name}`" not in PAGE] == []


def test_an_alert_that_it_names_is_critical_and_all_of_those_are_named() -> None:
    groups = document(ROOT / "deploy" / "prometheus" / "alerts.yml")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    critical = {rule["alert"] for rule in rules if rule["labels"]["severity"] == "critical"}
    assert set(re.findall(r"`(Streamnotify\w+)`", PAGE)) == critical


@pytest.mark.parametrize("target", sorted(set(re.findall(r"]\(([^)#]+)", PAGE))))
def test_its_links_lead_somewhere(target: str) -> None:
    assert (ROOT / "docs" / target).exists()


def test_the_ports_that_it_names_are_published() -> None:
    published = {port.split(":")[1].split("-")[0] for service in SERVICES.values() for port in service.get("ports", [])}
    assert set(re.findall(r"localhost:(\d+)", PAGE)) == published


def test_it_names_the_releases_of_kubernetes_that_the_manifests_are_checked_against() -> None:
    oldest, newest = (release.removesuffix(".0") for release in RELEASES)
    assert f"Kubernetes {oldest} and {newest}" in PAGE
    assert f"Kubernetes {oldest} or newer" in PAGE
