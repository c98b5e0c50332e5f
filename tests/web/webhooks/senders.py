"""Mail providers as a webhook meets them: each signs with keys of its own, and the application answers."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import itertools
import json
import urllib.error
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from fastapi import FastAPI

from streamnotify.errors import StreamnotifyError
from streamnotify.web.webhooks.mailgun import Mailgun
from streamnotify.web.webhooks.routes import PATH, Provider, Webhooks
from streamnotify.web.webhooks.sendgrid import SIGNATURE, TIMESTAMP, SendGrid
from streamnotify.web.webhooks.ses import Ses
from streamnotify.wire.feedback import NotificationFeedback
from streamnotify.wire.topics import NOTIFICATION_FEEDBACK

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOTIFICATION = "abcdefghijklmnopqrstuvwxyz"
OUR_MESSAGE_ID = f"<0.{NOTIFICATION}@example.com>"
TOPIC = "arn:aws:sns:us-east-1:123456789012:ses-events"
SNS = "https://sns.us-east-1.amazonaws.com"
CERTIFICATE_URL = f"{SNS}/SimpleNotificationService-a86cb10b4e1f29c941702d737128f7b6.pem"
SUBSCRIBE_URL = f"{SNS}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2336412f37"
MAILGUN_KEY = "key-of-the-tests"


class FakeTopic:
    """Keeps delivery events as bytes. ``failure`` is raised instead, if it is set."""

    def __init__(self) -> None:
        self.records: list[tuple[str | None, dict[str, Any]]] = []
        self.failure: StreamnotifyError | None = None

    def put(self, events: Sequence[NotificationFeedback]) -> None:
        """See FeedbackTopic."""
        if self.failure is not None:
            raise self.failure
        self.records += [(event.key, json.loads(NOTIFICATION_FEEDBACK.encode(event))) for event in events]

    @property
    def events(self) -> list[dict[str, Any]]:
        """What lies on the topic."""
        return [event for _, event in self.records]


class Receiver:
    """The paths of some providers, and the topic; ``now`` is the clock."""

    def __init__(self, *providers: Provider) -> None:
        self.topic = FakeTopic()
        self.now = NOW
        self.webhooks = Webhooks(providers, self.topic, lambda: self.now)
        self.app = FastAPI()
        self.app.mount(PATH, self.webhooks.app)

    def post(
        self, path: str, body: bytes, headers: dict[str, str] | None = None, method: str = "POST"
    ) -> httpx.Response:
        """The answer to one request."""

        async def answered() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="https://notify.example.com") as client:
                return await client.request(method, path, content=body, headers=headers)

        return asyncio.run(answered())


@dataclass
class Amazon:
    """SNS of one region, the certificate it signs with, and what it is asked for."""

    certificate_from: datetime = NOW - timedelta(days=100)
    fetched: list[str] = field(default_factory=list)
    away: bool = False

    def __post_init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.certificate_from)
            .not_valid_after(self.certificate_from + timedelta(days=365))
            .sign(self.key, hashes.SHA256())
            .public_bytes(Encoding.PEM)
        )

    def fetch(self, url: str) -> bytes:
        """What is at a URL."""
        self.fetched.append(url)
        if self.away:
            raise urllib.error.URLError("no route to host")
        return self.certificate if url.endswith(".pem") else b"<ConfirmSubscriptionResponse/>"

    def provider(self, *topics: str) -> Ses:
        """The webhook's side."""
        return Ses(topics or (TOPIC,), self.fetch)

    def message(self, message: object = "", **changed: Any) -> dict[str, Any]:
        """A notification that is not signed yet."""
        made = {
            "Type": "Notification",
            "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
            "TopicArn": TOPIC,
            "Subject": "Amazon SES Email Event Notification",
            "Message": message if isinstance(message, str) else json.dumps(message),
            "Timestamp": "2026-03-01T11:59:58.123Z",
            "SignatureVersion": "1",
            "SigningCertURL": CERTIFICATE_URL,
            "UnsubscribeURL": f"{SNS}/?Action=Unsubscribe",
        }
        return {name: text for name, text in {**made, **changed}.items() if text is not None}

    def confirmation(self, **changed: Any) -> dict[str, Any]:
        """What SNS asks before it sends notifications; not signed yet."""
        words = (
            f"You have chosen to subscribe to the topic {TOPIC}.\nTo confirm the subscription, visit the SubscribeURL"
        )
        asked = {"Type": "SubscriptionConfirmation", "Token": "2336412f37", "SubscribeURL": SUBSCRIBE_URL}
        return self.message(words, Subject=None, UnsubscribeURL=None, **{**asked, **changed})

    def signed(self, message: dict[str, Any]) -> bytes:
        """It as SNS posts it (developer guide, "Verifying the signatures of Amazon SNS messages")."""
        notification = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
        others = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
        names = notification if message["Type"] == "Notification" else others
        text = "".join(f"{name}\n{message[name]}\n" for name in names if name in message)
        algorithm = hashes.SHA256() if message["SignatureVersion"] == "2" else hashes.SHA1()
        signature = self.key.sign(text.encode(), PKCS1v15(), algorithm)
        return json.dumps({**message, "Signature": base64.b64encode(signature).decode()}).encode()


class TwilioSendGrid:
    """SendGrid, with a key of its own."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())

    @property
    def verification_key(self) -> str:
        """As it shows it."""
        shown = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(shown).decode()

    def provider(self) -> SendGrid:
        """The webhook's side."""
        return SendGrid(self.key.public_key())

    def headers(self, body: bytes, timestamp: str = str(int(NOW.timestamp()))) -> dict[str, str]:
        """What it adds to a request."""
        signature = self.key.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        return {SIGNATURE: base64.b64encode(signature).decode(), TIMESTAMP: timestamp}


class SinchMailgun:
    """Mailgun, with the signing key of the tests."""

    def __init__(self, key: str = MAILGUN_KEY) -> None:
        self._key = key
        self._tokens = (f"{number:050x}" for number in itertools.count(1))

    def provider(self) -> Mailgun:
        """The webhook's side."""
        return Mailgun(MAILGUN_KEY)

    def signed(self, event: object, at: datetime = NOW) -> bytes:
        """An event as it posts it."""
        timestamp, token = str(int(at.timestamp())), next(self._tokens)
        signature = hmac.new(self._key.encode(), (timestamp + token).encode(), hashlib.sha256).hexdigest()
        signing = {"timestamp": timestamp, "token": token, "signature": signature}
        return json.dumps({"signature": signing, "event-data": event}).encode()
