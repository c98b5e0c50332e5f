"""docker-compose.yml: valid, pinned, on loopback only, and with settings that every container accepts."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from streamnotify.cli.main import SUBCOMMANDS
from streamnotify.devtools.kafka.download import KAFKA_VERSION
from streamnotify.stream.worker import STOP_WITHIN
from tests.deploy import image
from tests.deploy.deployment_files import ROOT, SETTINGS, assert_valid, document, loaded, pinned

FILE = ROOT / "docker-compose.yml"
SERVICES: dict[str, dict[str, Any]] = document(FILE)["services"]
OURS = [name for name, service in SERVICES.items() if service["image"].startswith("streamnotify:")]


def resolved(text: str) -> str:
    """A value without any of its variables in the environment."""
    return re.sub(r"\$\{\w+:-(.*?)}", r"\1", text)


def environment(service: str) -> dict[str, str]:
    """The settings that a container of ours gets."""
    given = {name: resolved(str(value)) for name, value in SERVICES[service]["environment"].items()}
    of_image = {name: value for name, value in image.environment().items() if name in SETTINGS}
    return of_image | given


def test_the_file_is_valid() -> None:
    assert_valid("vendor.compose-spec", FILE)


def test_its_services_are_those_of_the_documentation() -> None:
    assert list(SERVICES) == ["kafka", "topics", "worker", "web", "mailpit", "kafka-ui"]
    assert OURS == ["topics", "worker", "web"]
    assert [name for name, service in SERVICES.items() if service.get("profiles")] == ["kafka-ui"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_a_pinned_image_and_is_reached_from_this_machine_only(name: str) -> None:
    assert pinned(SERVICES[name]["image"])
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@pytest.mark.parametrize("name", OURS)
def test_a_container_of_ours_gets_settings_that_it_accepts(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert SERVICES[name]["environment"].keys() <= SETTINGS
    accepted = loaded(monkeypatch, tmp_path, environment(name))
    assert accepted.kafka_bootstrap_servers == "kafka:19092"
    assert accepted.recipient_links is not None
    assert accepted.smtp_complete == (name == "worker")


def test_a_setting_of_the_environment_goes_before_the_one_of_the_file() -> None:
    for name in OURS:
        for setting, value in SERVICES[name]["environment"].items():
            assert setting == "KAFKA_BOOTSTRAP_SERVERS" or str(value).startswith(f"${{{setting}:-")


@pytest.mark.parametrize("name", OURS)
def test_a_container_of_ours_writes_nowhere_but_in_its_volume_and_has_no_rights(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["build"] == {"context": ".", "dockerfile": "deploy/Dockerfile"}


@pytest.mark.parametrize("name", OURS)
def test_a_container_of_ours_runs_a_command_that_there_is(name: str) -> None:
    first, *rest = SERVICES[name]["command"]
    command = importlib.import_module(f"streamnotify.cli.{SUBCOMMANDS[first].module}").command
    assert not rest or rest[0] in command.commands


def test_the_topics_are_made_before_worker_and_web_start() -> None:
    assert SERVICES["topics"]["depends_on"]["kafka"] == {"condition": "service_healthy"}
    assert SERVICES["topics"]["healthcheck"] == {"disable": True}
    assert "restart" not in SERVICES["topics"]
    for name in ("worker", "web"):
        assert SERVICES[name]["depends_on"]["topics"] == {"condition": "service_completed_successfully"}


@pytest.mark.parametrize(("name", "bind", "path"), [("worker", "HEALTH", "/readyz"), ("web", "HTTP", "/readyz")])
def test_what_runs_on_is_checked_where_it_answers_and_has_time_to_stop(name: str, bind: str, path: str) -> None:
    service = SERVICES[name]
    port = environment(name)[f"STREAMNOTIFY_{bind}_BIND"].rpartition(":")[2]
    assert f"http://127.0.0.1:{port}{path}" in service["healthcheck"]["test"][-1]
    assert all(published.endswith(f":{port}") for published in service["ports"])
    least = STOP_WITHIN + 10 if name == "worker" else 15
    assert int(service["stop_grace_period"].removesuffix("s")) >= least


def test_the_worker_keeps_its_state_in_a_volume() -> None:
    assert SERVICES["worker"]["volumes"] == [f"worker:{image.environment()['STREAMNOTIFY_DATA_DIR']}"]


def test_web_keeps_its_read_model_in_a_volume() -> None:
    assert SERVICES["web"]["volumes"] == [f"web:{image.environment()['STREAMNOTIFY_DATA_DIR']}"]


def test_kafka_is_the_one_that_the_tests_run_on_and_keeps_what_it_has() -> None:
    kafka = SERVICES["kafka"]
    assert kafka["image"] == f"apache/kafka:{KAFKA_VERSION}"
    assert kafka["volumes"] == [f"kafka:{kafka['environment']['KAFKA_LOG_DIRS']}"]
    assert kafka["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert "PLAINTEXT://kafka:19092" in kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"]
