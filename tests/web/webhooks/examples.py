"""What the providers' documentation shows, shortened only where nothing of it concerns us.

SES: "Examples of event data that Amazon SES publishes to Amazon SNS" and "Amazon SNS notification examples for Amazon
SES". SendGrid: "Event Webhook Reference". Mailgun: "Tracking messages", and payloads that anymail keeps as real.
"""

from __future__ import annotations

from typing import Any

from tests.web.webhooks.senders import NOTIFICATION, OUR_MESSAGE_ID

SES_MESSAGE_ID = "EXAMPLE7c191be45-e9aedb9a-02f9-4d12-a87d-dd0099a07f8a-000000"


def ses_mail(*, headers: bool = True, to: tuple[str, ...] = ("recipient@example.com",)) -> dict[str, Any]:
    """The object ``mail``; ``headers`` are those of our mails."""
    mail: dict[str, Any] = {
        "timestamp": "2026-03-01T11:40:02.012Z",
        "source": "Sender Name <sender@example.com>",
        "sourceArn": "arn:aws:ses:us-east-1:123456789012:identity/sender@example.com",
        "sendingAccountId": "123456789012",
        "messageId": SES_MESSAGE_ID,
        "destination": list(to),
    }
    if headers:
        mail |= {
            "headersTruncated": False,
            "headers": [
                {"name": "From", "value": "Sender Name <sender@example.com>"},
                {"name": "Message-ID", "value": OUR_MESSAGE_ID},
                {"name": "X-Notification-ID", "value": NOTIFICATION},
            ],
            "commonHeaders": {"from": ["Sender Name <sender@example.com>"], "messageId": SES_MESSAGE_ID},
            "tags": {"ses:configuration-set": ["ConfigSet"], "ses:source-ip": ["192.0.2.0"]},
        }
    return mail


SES_BOUNCE = {
    "eventType": "Bounce",
    "bounce": {
        "bounceType": "Permanent",
        "bounceSubType": "General",
        "bouncedRecipients": [
            {
                "emailAddress": "recipient@example.com",
                "action": "failed",
                "status": "5.1.1",
                "diagnosticCode": "smtp; 550 5.1.1 user unknown",
            }
        ],
        "timestamp": "2026-03-01T11:41:02.669Z",
        "feedbackId": "01000157c44f053b-61b59c11-9236-11e6-8f96-7be8aexample-000000",
        "reportingMTA": "dsn; mta.example.com",
    },
    "mail": ses_mail(),
}
SES_FEEDBACK_BOUNCE = {
    "notificationType": "Bounce",
    "bounce": {
        "bounceType": "Transient",
        "bounceSubType": "MailboxFull",
        "bouncedRecipients": [{"emailAddress": "jane@example.com"}, {"emailAddress": "richard@example.com"}],
        "timestamp": "2026-03-01T11:59:38.237Z",
        "feedbackId": "00000137860315fd-869464a4-8680-4114-98d3-716fe35851f9-000000",
        "remoteMtaIp": "127.0.2.0",
    },
    "mail": ses_mail(headers=False, to=("jane@example.com", "mary@example.com", "richard@example.com")),
}
SES_COMPLAINT = {
    "eventType": "Complaint",
    "complaint": {
        "complainedRecipients": [{"emailAddress": "recipient@example.com"}],
        "timestamp": "2026-03-01T11:41:02.669Z",
        "feedbackId": "01000157c44f053b-61b59c11-9236-11e6-8f96-7be8aexample-000000",
        "userAgent": "Mozilla/5.0",
        "complaintFeedbackType": "abuse",
        "arrivalDate": "2026-03-01T11:41:02.669Z",
    },
    "mail": ses_mail(),
}
SES_DELIVERY = {
    "eventType": "Delivery",
    "mail": ses_mail(),
    "delivery": {
        "timestamp": "2026-03-01T11:41:02.669Z",
        "processingTimeMillis": 11893,
        "recipients": ["recipient@example.com"],
        "smtpResponse": "250 2.6.0 Message received",
        "remoteMtaIp": "123.456.789.012",
        "reportingMTA": "mta.example.com",
    },
}
SES_DELAY = {
    "eventType": "DeliveryDelay",
    "mail": ses_mail(),
    "deliveryDelay": {
        "timestamp": "2026-03-01T11:41:02.669Z",
        "delayType": "TransientCommunicationFailure",
        "expirationTime": "2026-03-02T00:25:58.914Z",
        "delayedRecipients": [
            {
                "emailAddress": "recipient@example.com",
                "status": "4.4.1",
                "diagnosticCode": "smtp; 421 4.4.1 Unable to connect to remote host",
            }
        ],
    },
}
SES_OTHERS = {
    "Send": {"eventType": "Send", "mail": ses_mail(), "send": {}},
    "Reject": {"eventType": "Reject", "mail": ses_mail(), "reject": {"reason": "Bad content"}},
    "Rendering Failure": {
        "eventType": "Rendering Failure",
        "mail": ses_mail(),
        "failure": {"errorMessage": "Attribute 'attributeName' is not present", "templateName": "MyTemplate"},
    },
    "Open": {
        "eventType": "Open",
        "mail": ses_mail(),
        "open": {"ipAddress": "192.0.2.1", "timestamp": "2026-03-01T11:50:00Z", "userAgent": "Mozilla/5.0"},
    },
    "Click": {
        "eventType": "Click",
        "mail": ses_mail(),
        "click": {"ipAddress": "192.0.2.1", "link": "https://example.com", "timestamp": "2026-03-01T11:50:00Z"},
    },
}


def sendgrid_event(event: str, **more: Any) -> dict[str, Any]:
    """One event; ``smtp-id`` is the Message-ID of the mail that we handed over."""
    return {
        "email": "example@test.com",
        "timestamp": 1772365182,  # 2026-03-01 11:39:42
        "smtp-id": OUR_MESSAGE_ID,
        "event": event,
        "category": "cat facts",
        "sg_event_id": f"sg_event_id_{event}",
        "sg_message_id": "14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0",
        **more,
    }


SENDGRID = [
    sendgrid_event("processed"),
    sendgrid_event("deferred", ip="168.1.1.1", response="400 try again later", attempt="5"),
    sendgrid_event("delivered", ip="168.1.1.1", response="250 OK"),
    sendgrid_event("open", ip="255.255.255.255", useragent="Mozilla/4.0", sg_machine_open=False),
    sendgrid_event("click", ip="255.255.255.255", url="http://www.sendgrid.com/"),
    sendgrid_event(
        "bounce",
        reason="500 unknown recipient",
        status="5.0.0",
        type="bounce",
        bounce_classification="Invalid Address",
        category=["cat facts", "dog facts"],
    ),
    sendgrid_event("dropped", reason="Bounced Address", status="5.0.0"),
    sendgrid_event("spamreport"),
    sendgrid_event("unsubscribe"),
    sendgrid_event("group_unsubscribe", asm_group_id=10, url="http://www.sendgrid.com/"),
    sendgrid_event("group_resubscribe", asm_group_id=10),
]


def mailgun_event(event: str, **more: Any) -> dict[str, Any]:
    """One ``event-data``; Mailgun leaves out the brackets of a Message-ID."""
    return {
        "id": "Ase7i2zsRYeDXztHGENqRA",
        "timestamp": 1772365182.546975,
        "log-level": "info",
        "event": event,
        "recipient": "alice@example.com",
        "recipient-domain": "example.com",
        "message": {
            "headers": {
                "to": "Alice <alice@example.com>",
                "message-id": OUR_MESSAGE_ID.strip("<>"),
                "from": "Bob <bob@sandbox.mgsend.net>",
                "subject": "Test",
            },
            "attachments": [],
            "size": 111,
        },
        "user-variables": {},
        "flags": {"is-authenticated": True, "is-test-mode": False},
        "tags": ["my_tag_1"],
        "campaigns": [],
        **more,
    }


MAILGUN_FAILED = mailgun_event(
    "failed",
    severity="permanent",
    reason="bounce",
    **{
        "delivery-status": {
            "tls": True,
            "mx-host": "aspmx.l.example.org",
            "attempt-no": 1,
            "description": "",
            "session-seconds": 2.952177047729492,
            "code": 550,
            "message": "5.1.1 The email account that you tried to reach does not exist. Please try\n5.1.1 again",
            "certificate-verified": True,
        }
    },
)
MAILGUN_DELAYED = mailgun_event(
    "failed",
    severity="temporary",
    reason="generic",
    **{
        "delivery-status": {
            "attempt-no": 3,
            "description": "No MX for nomx.example.com",
            "retry-seconds": 1800,
            "code": 498,
            "message": "No MX for nomx.example.com",
        }
    },
)
MAILGUN_REJECTED = mailgun_event(
    "rejected", recipient=None, reject={"reason": "Sandbox subdomains are for tests", "description": ""}
)
