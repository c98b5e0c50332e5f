"""deploy/Dockerfile: small, pinned, without root, and with a file system that may be read-only."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.deploy import image
from tests.deploy.deployment_files import ROOT, SETTINGS, pinned

LOCK = ROOT / "deploy" / "requirements.lock"
# Commands that the image does not offer, and what is for applications, not for the service.
ELSEWHERE = {"celery", "adapters", "devtools", "testing"}


def pins(path: Path) -> dict[str, str]:
    """The requirements of a lock file: name -> version and hashes."""
    requirements = re.split(r"\n(?=[a-z0-9])", re.sub(r"\n\s*#.*", "", path.read_text()))
    return dict(each.strip().split("==", 1) for each in requirements)


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported_by(path: Path) -> set[str]:
    """The top-level packages that a module imports, wherever in it."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.split(".")[0] for name in names}


def test_hadolint_finds_nothing() -> None:
    if (hadolint := shutil.which("hadolint")) is None:
        pytest.skip("hadolint is not installed here")
    found = subprocess.run([hadolint, image.DOCKERFILE], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_its_stages_start_from_one_pinned_image() -> None:
    first, *_ = image.instructions()
    assert first.word == "ARG"
    name, tag = first.rest.split("=")
    starts = [each.rest.split(" AS ")[0] for each in image.instructions() if each.word == "FROM"]
    assert set(starts) == {f"python:${{{name}}}"}
    assert pinned(f"python:{tag}")
    assert re.match(r"3\.\d+\.\d+-slim", tag)


def test_nothing_is_installed_without_a_hash_but_what_was_built_here() -> None:
    installs = [
        step
        for each in image.instructions()
        for step in each.rest.split("&&")
        if re.search(r"pip.* (install|wheel)", step)
    ]
    assert len(installs) == 4
    for step in installs:
        assert "--require-hashes" in step or "--no-deps" in step
        assert "--only-binary=:all:" in step or "/wheels" in step


def test_the_image_runs_streamnotify_without_root() -> None:
    user, group = image.last("USER").split(":")
    assert int(user) >= 10_000
    assert int(group) >= 10_000
    assert image.entry_point() == ["streamnotify"]
    assert json.loads(image.last("CMD")) == ["worker"]
    assert image.last("STOPSIGNAL") == "SIGTERM"
    assert not [each for each in image.final_stage() if each.word == "RUN" and "pip" in each.rest]


def test_its_health_check_asks_where_the_worker_answers() -> None:
    [_, command] = image.last("HEALTHCHECK").split("CMD ")
    [interpreter, flag, code] = json.loads(command)
    assert (interpreter, flag) == ("python", "-c")
    port = image.environment()["STREAMNOTIFY_HEALTH_BIND"].rpartition(":")[2]
    assert f"http://127.0.0.1:{port}/livez" in code


def test_only_settings_are_set_and_they_fit_a_container() -> None:
    ours = {name: value for name, value in image.environment().items() if name.startswith("STREAMNOTIFY_")}
    assert ours.keys() <= SETTINGS
    assert all(ours[f"STREAMNOTIFY_{bind}_BIND"].startswith("0.0.0.0:") for bind in ("HEALTH", "HTTP"))
    made = next(each.rest for each in image.final_stage() if each.word == "RUN")
    assert made.endswith(ours["STREAMNOTIFY_DATA_DIR"])
    assert f"--owner={image.last('USER').split(':')[0]} " in made


def test_what_it_copies_is_there_and_is_all_that_the_engine_gets() -> None:
    copied = [each.rest.split()[:-1] for each in image.instructions() if each.word == "COPY"]
    sources = {source for names in copied if not names[0].startswith("--from") for source in names}
    assert all((ROOT / source).exists() for source in sources)
    ignore = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert ignore[0] == "*"
    assert {line.removeprefix("!") for line in ignore if line.startswith("!")} == sources


def test_its_requirements_are_those_that_the_tests_ran_with() -> None:
    tested = pins(ROOT / "requirements.lock")
    for lock in (LOCK, ROOT / "deploy" / "build.lock"):
        deployed = pins(lock)
        assert deployed == {name: tested.get(name) for name in deployed}


def test_every_extra_that_runs_in_it_is_locked_and_no_tool_of_the_tests() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    needed = {normalized(re.split(r"[\[<>=]", each)[0]) for name in ("worker", "web", "sdk") for each in extras[name]}
    deployed = set(pins(LOCK))
    assert needed <= deployed
    assert not deployed & {"pytest", "mypy", "ruff", "celery", "aiosmtpd", "hatchling", "pip"}


def test_all_that_its_commands_import_is_locked() -> None:
    package = ROOT / "streamnotify"
    modules = [
        path
        for path in package.glob("**/*.py")
        if path.relative_to(package).parts[0] not in ELSEWHERE and path.name != "demo.py"
    ]
    imported = set().union(*map(imported_by, modules)) - sys.stdlib_module_names - {"streamnotify"}
    providers = importlib.metadata.packages_distributions()
    missing = {name for name in imported if not {normalized(each) for each in providers[name]} & set(pins(LOCK))}
    assert not missing
