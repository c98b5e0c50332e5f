"""A broker that wants to know who is there: SASL_SSL with SCRAM-SHA-512, and client certificates; nothing is allowed
that no ACL allows. Its unsecured port is the tests' own, as a superuser's."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import trustme
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)
from cryptography.hazmat.primitives import serialization

from streamnotify.devtools.kafka import EmbeddedKafka
from streamnotify.devtools.kafka.broker import free_port

PASSWORD = "correct horse"
ITERATIONS = 4096  # the least SCRAM allows


class SecuredKafka:
    """One broker with users of SCRAM and of certificates.

    Args:
        directory: for certificates.
        users: names that may log in with PASSWORD, or with the certificate of :meth:`certificate`.
    """

    def __init__(self, directory: Path, users: Iterable[str]) -> None:
        self._directory = directory
        self._users = tuple(users)
        self._authority = trustme.CA()
        self.ca_file = directory / "ca.pem"
        self._authority.cert_pem.write_to_path(str(self.ca_file))
        broker = self._authority.issue_cert("127.0.0.1", "localhost")
        self._scram, self._mutual = free_port(), free_port()
        self._kafka = EmbeddedKafka(
            listeners={"SCRAM": self._scram, "MUTUAL": self._mutual},
            overrides={
                "listener.security.protocol.map": (
                    "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SCRAM:SASL_SSL,MUTUAL:SSL"
                ),
                "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-512",
                "listener.name.scram.scram-sha-512.sasl.jaas.config": (
                    "org.apache.kafka.common.security.scram.ScramLoginModule required;"
                ),
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": str(self._pem("broker", broker)),
                "ssl.truststore.type": "PEM",
                "ssl.truststore.location": str(self.ca_file),
                "listener.name.mutual.ssl.client.auth": "required",
                "ssl.principal.mapping.rules": "RULE:^.*CN=([a-z-]+).*$/$1/,DEFAULT",
                "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users": "User:ANONYMOUS",
            },
        )

    def __enter__(self) -> Self:
        self._kafka.start()
        self.admin = AdminClient({"bootstrap.servers": self._kafka.bootstrap_servers})
        for user in self._users:
            self.set_password(user, PASSWORD)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kafka.close()

    @property
    def unsecured(self) -> str:
        """Where the tests themselves connect."""
        return self._kafka.bootstrap_servers

    def set_password(self, user: str, password: str) -> None:
        """Have a user log in with another password from now on."""
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, ITERATIONS)
        asked: list[UserScramCredentialAlteration] = [UserScramCredentialUpsertion(user, info, password.encode())]
        for answer in self.admin.alter_user_scram_credentials(asked).values():
            answer.result(30)

    def scram(self, user: str, password: str = PASSWORD) -> dict[str, str]:
        """The settings of somebody who logs in with a password."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{self._scram}",
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
            "KAFKA_SASL_USERNAME": user,
            "KAFKA_SASL_PASSWORD": password,
            "KAFKA_SSL_CAFILE": str(self.ca_file),
        }

    def mutual(self, user: str, *, expired: bool = False) -> dict[str, str]:
        """The settings of somebody who shows a certificate."""
        over = datetime.now(UTC) - timedelta(hours=1) if expired else None
        made = self._authority.issue_cert(f"{user}.example.com", common_name=user, not_after=over)
        pem = self._pem(f"{user}-expired" if expired else user, made)
        return {
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{self._mutual}",
            "KAFKA_SECURITY_PROTOCOL": "SSL",
            "KAFKA_SSL_CAFILE": str(self.ca_file),
            "KAFKA_SSL_CERTFILE": str(pem),
            "KAFKA_SSL_KEYFILE": str(pem),
        }

    def allow(self, user: str, resource: str, name: str, operations: Iterable[str]) -> None:
        """Grant a user operations on what is called ``name``, or begins with it if that ends with ``*``."""
        pattern = ResourcePatternType.PREFIXED if name.endswith("*") else ResourcePatternType.LITERAL
        bindings = [
            AclBinding(
                ResourceType[resource],
                name.removesuffix("*"),
                pattern,
                f"User:{user}",
                "*",
                AclOperation[operation],
                AclPermissionType.ALLOW,
            )
            for operation in operations
        ]
        for made in self.admin.create_acls(bindings).values():
            made.result(30)

    def _pem(self, name: str, made: trustme.LeafCert) -> Path:
        """Its key as Kafka reads it (PKCS 8), and the chain."""
        key = serialization.load_pem_private_key(made.private_key_pem.bytes(), None)
        path = self._directory / f"{name}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + b"".join(blob.bytes() for blob in made.cert_chain_pems)
        )
        return path
