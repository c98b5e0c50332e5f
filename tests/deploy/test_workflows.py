""".github/workflows: valid, for every Python we say to run on, and with the source's five secrets per environment."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.deployment_files import RELAY_SECRETS, ROOT, assert_valid, document
from tests.deploy.kubernetes import ENVIRONMENTS

WORKFLOWS = ROOT / ".github" / "workflows"
DEPLOY = document(WORKFLOWS / "deploy.yml")
STEPS: dict[str, dict[str, Any]] = {step["name"]: step for step in DEPLOY["jobs"]["deploy"]["steps"] if "name" in step}
STUB = """#!/usr/bin/env bash
if [ "$1" = create ]; then printf '%s\\n' "$@" >> "$CALLS"; fi
"""


def run(step: str, secrets: dict[str, str], directory: Path) -> list[str]:
    """Run a step of the deployment in bash as GitHub does; the words that ``kubectl create`` was called with."""
    calls = directory / "calls"
    kubectl = directory / "kubectl"
    kubectl.write_text(STUB)
    kubectl.chmod(0o755)

    def filled(text: str) -> str:
        return re.sub(r"\$\{\{ secrets\.(\w+) }}", lambda found: secrets.get(found[1], ""), text)

    given = {name: filled(value) for name, value in STEPS[step].get("env", {}).items()}
    own = {"PATH": f"{directory}:{os.environ['PATH']}", "CALLS": str(calls), "NAMESPACE": "here", "OVERLAY": "overlay"}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", filled(STEPS[step]["run"])]
    subprocess.run(command, env=own | given, check=True, capture_output=True)
    return calls.read_text().splitlines()


@pytest.mark.parametrize("name", ["test.yml", "deploy.yml"])
def test_a_workflow_is_valid_and_may_only_read_the_repository(name: str) -> None:
    assert_valid("vendor.github-workflows", WORKFLOWS / name)
    assert document(WORKFLOWS / name)["permissions"] == {"contents": "read"}


def test_the_tests_run_as_everywhere_on_every_python_that_we_claim() -> None:
    job = document(WORKFLOWS / "test.yml")["jobs"]["test"]
    claimed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    versions = [name.rpartition(" ")[2] for name in claimed if re.search(r"Python :: 3\.\d+$", name)]
    assert job["strategy"]["matrix"]["python"] == versions
    assert job["steps"][-1]["run"] == ".ci/run"
    java = next(step["with"] for step in job["steps"] if "setup-java" in step.get("uses", ""))
    assert java["java-version"] == "17"
    caches = {step["with"]["path"] for step in job["steps"] if "cache@" in step.get("uses", "")}
    assert caches == {".venv", "~/.cache/streamnotify"}


def test_there_is_a_deployment_for_each_overlay() -> None:
    choice = DEPLOY["on"]["workflow_dispatch"]["inputs"]["environment"]
    assert choice["options"] == ENVIRONMENTS
    assert DEPLOY["jobs"]["deploy"]["environment"] == "${{ inputs.environment }}"


def test_the_workers_secret_is_made_with_the_lines_of_the_source(tmp_path: Path) -> None:
    text = (WORKFLOWS / "deploy.yml").read_text()
    lines = [line.strip() for line in text.splitlines() if re.search("--from-literal=(SMTP|FRONTEND)", line)]
    assert lines == [f'--from-literal={name}="${{{{ secrets.{name} }}}}" \\' for name in RELAY_SECRETS]
    secrets = {name: f"{name} with 'quotes' & more" for name in RELAY_SECRETS}
    words = run("The worker's secrets", secrets, tmp_path)
    assert words[:6] == ["create", "secret", "generic", "streamnotify-worker-secrets", "--namespace", "here"]
    assert words[6:11] == [f"--from-literal={name}={value}" for name, value in secrets.items()]


def test_only_those_of_the_services_secrets_are_made_that_are_set(tmp_path: Path) -> None:
    secret = 'a $ecret with `all` "of" it\\'
    words = run("The service's own secrets, those that are set", {"STREAMNOTIFY_SECRET": secret}, tmp_path)
    assert words[3] == "streamnotify-service-secrets"
    assert [word for word in words if word.startswith("--from-")] == [f"--from-literal=STREAMNOTIFY_SECRET={secret}"]


def test_it_applies_the_overlay_and_waits_for_the_rollout() -> None:
    assert DEPLOY["jobs"]["deploy"]["env"]["OVERLAY"] == "deploy/kubernetes/overlays/${{ inputs.environment }}"
    assert 'kubectl apply --kustomize "$OVERLAY"' in STEPS["Worker and web"]["run"]
    waits = STEPS["Wait until all pods are replaced and ready"]["run"]
    assert re.findall(r"\w+/streamnotify-\w+", waits) == [
        "statefulset/streamnotify-worker",
        "deployment/streamnotify-web",
    ]
