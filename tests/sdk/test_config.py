"""A publisher's settings come from the environment of the application it lives in."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamnotify.errors import SettingsError
from streamnotify.sdk import PublisherConfig
from streamnotify.sdk.config import run_of_environment
from streamnotify.sdk.current import CurrentRun


def test_nothing_set_means_nothing_is_published() -> None:
    assert PublisherConfig.from_environment({}) == PublisherConfig()
    assert PublisherConfig.from_environment({"KAFKA_BOOTSTRAP_SERVERS": ""}).bootstrap_servers is None


def test_every_variable_is_used(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("")
    config = PublisherConfig.from_environment(
        {
            "KAFKA_BOOTSTRAP_SERVERS": "kafka-1:9092,kafka-2:9092",
            "KAFKA_SECURITY_PROTOCOL": "sasl_ssl",
            "KAFKA_SASL_MECHANISM": "scram-sha-256",
            "KAFKA_SASL_USERNAME": "app",
            "KAFKA_SASL_PASSWORD": "hunter2",
            "KAFKA_SSL_CAFILE": str(tmp_path / "ca.pem"),
            "STREAMNOTIFY_TOPIC_PREFIX": "gap.",
            "STREAMNOTIFY_SOURCE": "gap/prod",
            "STREAMNOTIFY_SPOOL_DIR": str(tmp_path),
        }
    )
    assert (config.bootstrap_servers, config.topic) == ("kafka-1:9092,kafka-2:9092", "gap.task-events")
    assert (config.source, config.spool_dir) == ("gap/prod", tmp_path)
    security = config.security
    assert (security.protocol, security.mechanism, security.username) == ("SASL_SSL", "SCRAM-SHA-256", "app")
    assert security.ca_file == tmp_path / "ca.pem"
    assert "hunter2" not in repr(config)


def test_the_passwords_may_be_in_files(tmp_path: Path) -> None:
    (tmp_path / "sasl").write_text("hunter2\n")
    (tmp_path / "key").write_text("hunter3")
    files = {
        "KAFKA_SASL_PASSWORD_FILE": str(tmp_path / "sasl"),
        "KAFKA_SSL_PASSWORD_FILE": str(tmp_path / "key"),
    }
    security = PublisherConfig.from_environment(files).security
    assert (security.password, security.key_password) == ("hunter2", "hunter3")
    with pytest.raises(SettingsError, match="KAFKA_SASL_PASSWORD and KAFKA_SASL_PASSWORD_FILE are both set"):
        PublisherConfig.from_environment(files | {"KAFKA_SASL_PASSWORD": "hunter4"})
    with pytest.raises(SettingsError, match=r"KAFKA_SSL_PASSWORD_FILE is '.*': a file of 1 to"):
        PublisherConfig.from_environment({"KAFKA_SSL_PASSWORD_FILE": str(tmp_path / "none")})


@pytest.mark.parametrize(
    ("name", "value"),
    [("KAFKA_SECURITY_PROTOCOL", "TLS"), ("KAFKA_SASL_MECHANISM", "GSSAPI"), ("KAFKA_SSL_CERTFILE", "none.pem")],
)
def test_a_wrong_value_is_refused_by_its_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is '{value}'"):
        PublisherConfig.from_environment({name: value})


@pytest.mark.parametrize(
    ("variables", "run"),
    [
        ({}, None),
        ({"STREAMNOTIFY_TASK_ID": "r-1"}, None),
        ({"STREAMNOTIFY_TASK_ID": "r-1", "STREAMNOTIFY_TASK_NAME": "backup"}, CurrentRun("backup", "r-1")),
        (
            {"STREAMNOTIFY_TASK_ID": "r-1", "STREAMNOTIFY_TASK_NAME": "b", "STREAMNOTIFY_TASK_ATTEMPT": "3"},
            CurrentRun("b", "r-1", 3),
        ),
        (
            {"STREAMNOTIFY_TASK_ID": "r-1", "STREAMNOTIFY_TASK_NAME": "b", "STREAMNOTIFY_TASK_ATTEMPT": "third"},
            CurrentRun("b", "r-1"),
        ),
    ],
)
def test_a_command_under_streamnotify_run_knows_its_run(variables: dict[str, str], run: CurrentRun | None) -> None:
    assert run_of_environment(variables) == run
