"""Where the Kubernetes files are, and what checks them."""

from __future__ import annotations

from pathlib import Path

from tests.deploy.deployment_files import ROOT, program

DIRECTORY = ROOT / "deploy" / "kubernetes"
BASE = DIRECTORY / "base"
OVERLAYS = DIRECTORY / "overlays"
ENVIRONMENTS = ["dev", "stg", "prd"]
# The oldest release that has all that is used, as docs/deployment.md says, and the newest whose schemas are here.
RELEASES = ["1.30.0", "1.37.0"]


def assert_valid(*files: Path) -> None:
    """Validate files strictly, so that a field that there is not is an error, against each of RELEASES."""
    for release in RELEASES:
        checked = program("kubernetes-validate", "--strict", "--quiet", "--kubernetes-version", release, *files)
        assert checked.returncode == 0, checked.stdout + checked.stderr
