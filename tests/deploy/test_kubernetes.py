"""deploy/kubernetes as it is written: strictly valid, restricted, and with settings that every pod accepts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streamnotify.smtp.presets import PRESETS
from streamnotify.stream.worker import STOP_WITHIN
from streamnotify.web.api.token_file import read_tokens
from tests.deploy import image, kubernetes
from tests.deploy.deployment_files import RELAY_SECRETS, SETTINGS, document, documents, environment_of, loaded, pinned
from tests.deploy.kubernetes import BASE, DIRECTORY, ENVIRONMENTS, OVERLAYS

WRITTEN = [each for path in sorted(BASE.glob("[!k]*.yaml")) for each in documents(path.read_text())]
WORKLOADS = {each["metadata"]["name"]: each for each in WRITTEN if each["kind"] in {"StatefulSet", "Deployment"}}
PODS = {name: workload["spec"]["template"]["spec"] for name, workload in WORKLOADS.items()}
CONTAINERS = [
    (name, container)
    for name, pod in PODS.items()
    for container in [*pod.get("initContainers", []), *pod["containers"]]
]
EXAMPLES = {each["metadata"]["name"]: each for each in documents((DIRECTORY / "secrets.example.yaml").read_text())}
each_container = pytest.mark.parametrize(("pod", "container"), CONTAINERS, ids=[each["name"] for _, each in CONTAINERS])


def of_kind(kind: str) -> dict[str, Any]:
    return {each["metadata"]["name"]: each for each in WRITTEN if each["kind"] == kind}


def settings_of(environment: str) -> dict[str, str]:
    """What the overlay's ConfigMap has."""
    return environment_of(BASE / "settings.env") | environment_of(OVERLAYS / environment / "settings.env")


def test_every_file_is_part_of_a_kustomization() -> None:
    for directory in (BASE, *(OVERLAYS / environment for environment in ENVIRONMENTS)):
        kustomization = document(directory / "kustomization.yaml")
        listed = {name for name in kustomization["resources"] if not name.startswith("../")}
        listed |= {name for each in kustomization["configMapGenerator"] for name in each["envs"]}
        assert {path.name for path in directory.iterdir()} == {"kustomization.yaml", *listed}
    assert {path.name for path in OVERLAYS.iterdir()} == set(ENVIRONMENTS)


def test_the_base_and_the_examples_are_strictly_valid() -> None:
    namespaces = [OVERLAYS / environment / "namespace.yaml" for environment in ENVIRONMENTS]
    kubernetes.assert_valid(*sorted(BASE.glob("[!k]*.yaml")), DIRECTORY / "secrets.example.yaml", *namespaces)


def test_a_misspelt_field_is_found(tmp_path: Path) -> None:
    wrong = tmp_path / "worker.yaml"
    wrong.write_text((BASE / "worker.yaml").read_text().replace("podManagementPolicy", "podManagmentPolicy"))
    with pytest.raises(AssertionError, match="podManagmentPolicy"):
        kubernetes.assert_valid(wrong)


def test_the_worker_gets_the_five_secrets_of_the_source_from_one_secret() -> None:
    [worker] = PODS["streamnotify-worker"]["containers"]
    secrets = [each for each in worker["env"] if "secretKeyRef" in each["valueFrom"]]
    assert [each["name"] for each in secrets] == RELAY_SECRETS
    for each in secrets:
        assert each["valueFrom"] == {"secretKeyRef": {"name": "streamnotify-worker-secrets", "key": each["name"]}}
    assert list(EXAMPLES["streamnotify-worker-secrets"]["stringData"]) == RELAY_SECRETS


def test_each_worker_is_named_after_its_pod(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Which the StatefulSet gives to one pod at a time, with the volume of the one before."""
    [worker] = PODS["streamnotify-worker"]["containers"]
    [name] = [each for each in worker["env"] if each["name"] == "STREAMNOTIFY_INSTANCE_ID"]
    assert name["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert loaded(monkeypatch, tmp_path, {name["name"]: "streamnotify-worker-0"}).instance_id == "streamnotify-worker-0"


def test_every_secret_that_a_pod_reads_has_an_example() -> None:
    environments = [source for _, container in CONTAINERS for source in container["envFrom"]]
    read = {source["secretRef"]["name"] for source in environments if "secretRef" in source}
    read |= {volume["secret"]["secretName"] for pod in PODS.values() for volume in pod["volumes"] if "secret" in volume}
    assert read | {"streamnotify-worker-secrets"} == set(EXAMPLES)
    assert set(EXAMPLES["streamnotify-service-secrets"]["stringData"]) <= SETTINGS


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_pods_of_an_environment_accept_their_settings(
    environment: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = settings_of(environment)
    assert given.keys() <= SETTINGS
    secrets = EXAMPLES["streamnotify-service-secrets"]["stringData"]
    if "KAFKA_SECURITY_PROTOCOL" not in given:
        secrets = {name: value for name, value in secrets.items() if not name.startswith("KAFKA_")}
    if authority := given.get("KAFKA_SSL_CAFILE"):
        mounted = {each["mountPath"] for _, container in CONTAINERS for each in container["volumeMounts"]}
        directory, name = authority.rsplit("/", 1)
        assert directory in mounted
        assert name in EXAMPLES["streamnotify-kafka-tls"]["stringData"]
        (tmp_path / name).touch()
        given["KAFKA_SSL_CAFILE"] = str(tmp_path / name)
    relay = EXAMPLES["streamnotify-worker-secrets"]["stringData"]
    of_image = {name: value for name, value in image.environment().items() if name in SETTINGS}
    accepted = loaded(monkeypatch, tmp_path, {**of_image, **given, **secrets, **relay, "SMTP_FROM": "noreply@a.test"})
    assert accepted.recipient_links is not None
    assert accepted.smtp_complete


def test_environments_that_share_a_cluster_do_not_share_topics() -> None:
    prefixes = [settings_of(environment).get("STREAMNOTIFY_TOPIC_PREFIX", "") for environment in ENVIRONMENTS]
    assert len(set(prefixes)) == len(ENVIRONMENTS)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_overlay_says_image_replicas_epoch_and_namespace(environment: str) -> None:
    overlay = document(OVERLAYS / environment / "kustomization.yaml")
    assert overlay["namespace"] == f"streamnotify-{environment}"
    [meant] = overlay["images"]
    assert pinned(f"{meant['newName']}:{meant['newTag']}")
    assert meant["name"] == "streamnotify"
    replicas = {each["name"]: each["count"] for each in overlay["replicas"]}
    assert replicas.keys() == WORKLOADS.keys()
    settings = settings_of(environment)
    assert replicas["streamnotify-worker"] <= int(settings["STREAMNOTIFY_PARTITIONS"])
    assert "STREAMNOTIFY_EPOCH" in environment_of(OVERLAYS / environment / "settings.env")
    namespace = document(OVERLAYS / environment / "namespace.yaml")["metadata"]
    assert namespace["name"] == overlay["namespace"]
    assert namespace["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@each_container
def test_a_container_is_restricted_and_says_what_it_needs(pod: str, container: dict[str, Any]) -> None:
    assert container["image"] == "streamnotify"
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}
    assert "memory" in container["resources"]["limits"]
    assert {"name": "streamnotify-settings"} in [source.get("configMapRef") for source in container["envFrom"]]
    volumes = {volume["name"] for volume in PODS[pod]["volumes"]} | {"state"}
    assert {mount["name"] for mount in container["volumeMounts"]} <= volumes


@pytest.mark.parametrize("name", PODS)
def test_a_pod_runs_without_root_and_without_a_token(name: str) -> None:
    pod = PODS[name]
    user, group = map(int, image.last("USER").split(":"))
    security = pod["securityContext"]
    assert (security["runAsNonRoot"], security["runAsUser"], security["runAsGroup"]) == (True, user, group)
    assert security["fsGroup"] == group
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert of_kind("ServiceAccount")[pod["serviceAccountName"]]["automountServiceAccountToken"] is False


@pytest.mark.parametrize(
    ("name", "bind", "ready"), [("streamnotify-worker", "HEALTH", "/readyz"), ("streamnotify-web", "HTTP", "/readyz")]
)
def test_the_probes_ask_where_the_process_answers(name: str, bind: str, ready: str) -> None:
    [container] = PODS[name]["containers"]
    [port] = container["ports"]
    assert port["containerPort"] == int(image.environment()[f"STREAMNOTIFY_{bind}_BIND"].rpartition(":")[2])
    probes = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    assert probes == {
        "startup": {"path": "/livez", "port": port["name"]},
        "liveness": {"path": "/livez", "port": port["name"]},
        "readiness": {"path": ready, "port": port["name"]},
    }


def test_the_pods_have_time_to_stop() -> None:
    assert PODS["streamnotify-worker"]["terminationGracePeriodSeconds"] >= STOP_WITHIN + 10
    web = PODS["streamnotify-web"]
    waits = web["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert web["terminationGracePeriodSeconds"] >= waits + 10 + 5


def test_the_worker_makes_the_topics_first_and_keeps_its_state_on_a_volume_of_its_own() -> None:
    workload = WORKLOADS["streamnotify-worker"]["spec"]
    [topics] = PODS["streamnotify-worker"]["initContainers"]
    assert topics["args"] == ["topics", "apply"]
    [claim] = workload["volumeClaimTemplates"]
    [worker] = PODS["streamnotify-worker"]["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in worker["volumeMounts"]}
    assert mounts[claim["metadata"]["name"]] == image.environment()["STREAMNOTIFY_DATA_DIR"]
    assert workload["serviceName"] in of_kind("Service")


def test_web_builds_its_read_model_on_a_volume_that_goes_with_the_pod() -> None:
    pod = PODS["streamnotify-web"]
    [data] = [volume["name"] for volume in pod["volumes"] if "ephemeral" in volume]
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts[data] == image.environment()["STREAMNOTIFY_DATA_DIR"]


def test_web_has_its_tokens_from_a_secret_that_may_be_absent(tmp_path: Path) -> None:
    """The worker, whose settings are the same otherwise, would refuse a file that it does not have."""
    pod, secret = PODS["streamnotify-web"], EXAMPLES["streamnotify-api-tokens"]
    setting = {"name": secret["metadata"]["name"], "key": "STREAMNOTIFY_API_TOKENS_FILE", "optional": True}
    assert pod["containers"][0]["env"] == [{"name": setting["key"], "valueFrom": {"secretKeyRef": setting}}]
    [volume] = [each for each in pod["volumes"] if each.get("secret", {}).get("secretName") == setting["name"]]
    assert volume["secret"]["optional"] is True
    [mount] = [each for each in pod["containers"][0]["volumeMounts"] if each["name"] == volume["name"]]
    assert "subPath" not in mount
    directory, name = secret["stringData"][setting["key"]].rsplit("/", 1)
    assert directory == mount["mountPath"]
    (tmp_path / name).write_text(secret["stringData"][name])
    assert [token.organization_id for token in read_tokens(tmp_path / name)] == ["org-a"]


def test_selectors_find_their_pods() -> None:
    labels = {name: workload["spec"]["template"]["metadata"]["labels"] for name, workload in WORKLOADS.items()}
    for name in WORKLOADS:
        chosen = [
            WORKLOADS[name]["spec"]["selector"]["matchLabels"],
            of_kind("Service")[name]["spec"]["selector"],
            of_kind("PodDisruptionBudget")[name]["spec"]["selector"]["matchLabels"],
            of_kind("NetworkPolicy")[name]["spec"]["podSelector"]["matchLabels"],
            PODS[name]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
        ]
        for selector in chosen:
            assert [found for found in labels if selector.items() <= labels[found].items()] == [name]


def test_the_network_policies_let_through_what_is_needed() -> None:
    policies = of_kind("NetworkPolicy")
    opened = {
        name: {port["port"] for rule in policies[name]["spec"]["egress"] for port in rule["ports"]} for name in policies
    }
    servers = {settings_of(environment)["KAFKA_BOOTSTRAP_SERVERS"] for environment in ENVIRONMENTS}
    kafka = {int(server.rpartition(":")[2]) for server in servers}
    assert kafka | {53} <= opened["streamnotify-web"]
    assert kafka | {53, 465} | {preset.port for preset in PRESETS.values()} <= opened["streamnotify-worker"]
    for name, pod in PODS.items():
        [rule] = policies[name]["spec"]["ingress"]
        assert [port["port"] for port in rule["ports"]] == [pod["containers"][0]["ports"][0]["containerPort"]]
        assert set(policies[name]["spec"]["policyTypes"]) == {"Ingress", "Egress"}
