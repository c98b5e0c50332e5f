"""The overlays as kustomize makes them, where it or kubectl is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.deploy import kubernetes
from tests.deploy.deployment_files import documents, environment_of, pinned
from tests.deploy.kubernetes import BASE, ENVIRONMENTS, OVERLAYS


def rendered(environment: str) -> str:
    """What ``kubectl apply --kustomize`` would send to a cluster."""
    for name, words in (("kustomize", ["build"]), ("kubectl", ["kustomize"])):
        if (program := shutil.which(name)) is not None:
            command = [program, *words, str(OVERLAYS / environment)]
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    pytest.skip("neither kustomize nor kubectl is installed here")


def test_the_overlays_are_strictly_valid(tmp_path: Path) -> None:
    files = [tmp_path / f"{environment}.yaml" for environment in ENVIRONMENTS]
    for file in files:
        file.write_text(rendered(file.stem))
    kubernetes.assert_valid(*files)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_overlay_has_everything_in_one_namespace_with_its_settings_and_images(environment: str) -> None:
    objects = documents(rendered(environment))
    spaces = {each["metadata"].get("namespace") for each in objects if each["kind"] != "Namespace"}
    assert spaces == {f"streamnotify-{environment}"}
    [settings] = [each for each in objects if each["kind"] == "ConfigMap"]
    given = environment_of(BASE / "settings.env") | environment_of(OVERLAYS / environment / "settings.env")
    assert settings["data"] == given
    for container in _containers(objects):
        assert pinned(container["image"])
        assert container["envFrom"][0] == {"configMapRef": {"name": settings["metadata"]["name"]}}


def _containers(objects: list[Any]) -> list[Any]:
    pods = [each["spec"]["template"]["spec"] for each in objects if each["kind"] in {"StatefulSet", "Deployment"}]
    assert len(pods) == 2
    return [container for pod in pods for container in (*pod.get("initContainers", []), *pod["containers"])]
