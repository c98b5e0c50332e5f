"""The only composition root: from the settings to the stations and their engine."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path

from streamnotify import settings
from streamnotify.domain.delivery import DeliveryPolicy
from streamnotify.domain.digest import Lane, LanePolicy
from streamnotify.domain.run_steps import IngestPolicy, TasksPolicy
from streamnotify.errors import SettingsError
from streamnotify.render.policy import Brand, RenderPolicy
from streamnotify.render.renderer import Renderer
from streamnotify.settings import Settings
from streamnotify.smtp.policy import SmtpPolicy, Tls
from streamnotify.smtp.sender import Sender
from streamnotify.stations import deliveries, directory, feedback, ingest, mailboxes, mailing, monitors, tasks
from streamnotify.stations.context import Station
from streamnotify.stream.config import SESSION_TIMEOUT, STATIC_SESSION_TIMEOUT, EngineConfig
from streamnotify.stream.topic_admin import TopicAdmin
from streamnotify.wire.topic_layout import TopicLayout, layouts

logger = logging.getLogger(__name__)

EXAMPLE_SENDER = "noreply@example.com"
EXAMPLE_FRONTEND = "https://app.example.com"


def build_stations(loaded: Settings) -> tuple[Station, ...]:
    """The stations, in the direction the data goes (DESIGN section 1).

    Without a complete SMTP configuration they run all the same, and every mail is suppressed (SPEC section 4).

    Raises:
        SettingsError: if a policy refuses what the settings say.
    """
    placeholders = loaded.placeholder_domains
    if not loaded.smtp_complete:
        logger.warning("SMTP configuration incomplete. Email notifications will be disabled.")
        logger.warning(
            "Missing: %s. Mails that come up meanwhile are recorded as suppressed (smtp_not_configured) and not sent "
            "later.",
            loaded.smtp_missing,
        )
    elif loaded.public_url is None and loaded.unsubscribe_mailto is None:
        logger.warning(
            "Mails carry no unsubscribe link. STREAMNOTIFY_PUBLIC_URL, or STREAMNOTIFY_UNSUBSCRIBE_MAILTO, gives them "
            "one."
        )
    try:
        return (
            ingest.station(IngestPolicy(max_event_age=loaded.max_event_age)),
            monitors.station(),
            directory.station(),
            tasks.station(TasksPolicy(run_retention=loaded.run_retention, placeholder_domains=placeholders)),
            mailboxes.station(mailbox_policy(loaded), renderer(loaded)),
            feedback.station(),
            deliveries.station(DeliveryPolicy(hold_kinds=frozenset(loaded.hold_ambiguous)), sender(loaded)),
        )
    except (ValueError, OSError) as error:  # the latter: a certificate file that cannot be used
        raise SettingsError(str(error)) from error


def mailbox_policy(loaded: Settings) -> mailing.MailboxPolicy:
    """When mails go singly and when they are squashed, and what is not mailed."""
    return mailing.MailboxPolicy(
        recipient_hold=loaded.recipient_hold,
        mail_max_age=loaded.mail_max_age,
        placeholder_domains=frozenset(loaded.placeholder_domains),
        lanes={
            Lane.TASKS: LanePolicy(
                loaded.digest_after, loaded.digest_window, loaded.digest_max_wait, loaded.digest_show
            ),
            Lane.ALERTS: LanePolicy(
                loaded.alert_digest_after,
                loaded.alert_digest_window,
                loaded.alert_digest_max_wait,
                loaded.digest_show,
            ),
        },
    )


def renderer(loaded: Settings) -> Renderer | None:
    """What turns notifications into mails; None if the SMTP configuration is incomplete.

    Raises:
        SettingsError: if a brand is not valid.
    """
    if not loaded.smtp_complete or loaded.smtp_from is None:
        return None
    return _renderer(loaded, loaded.smtp_from, loaded.frontend_url)


def preview_renderer(loaded: Settings) -> Renderer:
    """What shows how mails look: as :func:`renderer`, with examples for a sender and a FRONTEND_URL not set yet."""
    return _renderer(loaded, loaded.smtp_from or EXAMPLE_SENDER, loaded.frontend_url or EXAMPLE_FRONTEND)


def _renderer(loaded: Settings, smtp_from: str, frontend_url: str | None) -> Renderer:
    try:
        brand = Brand(
            name=loaded.brand_name,
            team=loaded.brand_team,
            colour=loaded.brand_colour,
            logo=loaded.brand_logo,
            footer=loaded.brand_footer,
            reply_to=loaded.brand_reply_to,
        )
        policy = RenderPolicy(
            sender=smtp_from,
            brand=brand,
            frontend_url=frontend_url,
            link_test_run=loaded.link_test_run,
            link_test_set=loaded.link_test_set,
            link_notifications=loaded.link_notifications,
            links=loaded.recipient_links,
            unsubscribe_mailto=loaded.unsubscribe_mailto,
            feedback_id=f"{loaded.app_id}:streamnotify:{loaded.feedback_id}" if loaded.feedback_id else None,
        )
        return Renderer(policy, loaded.template_dir)
    except (ValueError, OSError) as error:
        raise SettingsError(str(error)) from error


def smtp_policy(loaded: Settings) -> SmtpPolicy | None:
    """How the relay is reached; None if the SMTP configuration is incomplete."""
    if not loaded.smtp_complete or loaded.smtp_host is None or loaded.smtp_from is None:
        return None
    return SmtpPolicy(
        host=loaded.smtp_host,
        sender=loaded.smtp_from,
        port=loaded.smtp_port,
        user=loaded.smtp_user,
        password=settings.reveal(loaded.smtp_password),
        token_file=loaded.smtp_token_file,
        tls=Tls(loaded.smtp_tls),
        ca_file=str(loaded.smtp_ca_file) if loaded.smtp_ca_file else None,
        connections=loaded.smtp_connections,
        per_second=loaded.smtp_max_per_second,
        per_day=loaded.smtp_max_per_day,
    )


def sender(loaded: Settings) -> Sender | None:
    """What hands mails to the relay; None if the SMTP configuration is incomplete."""
    policy = smtp_policy(loaded)
    return None if policy is None else Sender(policy)


def engine_config(loaded: Settings, data_dir: Path, *, after_failure: bool = False) -> EngineConfig:
    """What the engine of this process is told.

    Args:
        loaded: the settings.
        data_dir: the directory this worker has locked for its state.
        after_failure: whether an engine before this one has ended unasked.

    Raises:
        SettingsError: if a certificate file cannot be used.
    """
    try:
        loaded.kafka_security.for_aiokafka()  # tried here: a wrong file refuses the start instead of failing the engine
    except OSError as error:
        raise SettingsError(f"KAFKA_SSL_CAFILE, _CERTFILE, _KEYFILE or _PASSWORD cannot be used: {error}") from error
    return EngineConfig(
        bootstrap_servers=loaded.kafka_bootstrap_servers,
        app_id=f"{loaded.topic_prefix}{loaded.app_id}",
        data_dir=data_dir,
        security=loaded.kafka_security,
        topic_prefix=loaded.topic_prefix,
        partitions=loaded.partitions,
        deployment_epoch=loaded.epoch,
        health_bind=(loaded.health_bind.host, loaded.health_bind.port),
        settle=loaded.settle,
        instance_id=loaded.instance_id,
        session_timeout=STATIC_SESSION_TIMEOUT if loaded.instance_id else SESSION_TIMEOUT,
        after_failure=after_failure,
    )


def topics(
    loaded: Settings, *, timeout: timedelta = timedelta(seconds=15)
) -> tuple[TopicAdmin, tuple[TopicLayout, ...]]:
    """The cluster, and the topics it should have. ``timeout`` is for each request.

    Raises:
        EngineFailure: if the cluster does not answer.
    """
    admin = TopicAdmin(loaded.kafka_bootstrap_servers, loaded.kafka_security, timeout=timeout)
    replication = loaded.replication or admin.default_replication()
    return admin, layouts(loaded.topic_prefix, loaded.app_id, loaded.partitions, replication)
