"""The providers' webhooks that the settings switch on."""

from __future__ import annotations

from streamnotify import setting_values
from streamnotify.settings import Settings, reveal
from streamnotify.web.webhooks.fetching import fetcher
from streamnotify.web.webhooks.mailgun import Mailgun
from streamnotify.web.webhooks.routes import Provider
from streamnotify.web.webhooks.sendgrid import SendGrid
from streamnotify.web.webhooks.ses import Ses


def providers_of(settings: Settings) -> list[Provider]:
    """Those that may call us, each with what shows that it is them."""
    providers: list[Provider] = []
    if settings.webhook_ses_topic_arns:
        providers.append(Ses(settings.webhook_ses_topic_arns, fetcher()))
    if settings.webhook_sendgrid_key:
        providers.append(SendGrid(setting_values.verification_key(settings.webhook_sendgrid_key)))
    if mailgun_key := reveal(settings.webhook_mailgun_key):
        providers.append(Mailgun(mailgun_key))
    return providers
