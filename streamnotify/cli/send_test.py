"""``streamnotify send-test``: one mail to a real address, with every step of its way."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import NoReturn

import click

from streamnotify import bootstrap, settings
from streamnotify.domain.delivery import OutgoingMail
from streamnotify.domain.run_mail import RESERVED_KINDS
from streamnotify.email_service import DirectMail, rendered
from streamnotify.errors import StreamnotifyError
from streamnotify.logs import visible
from streamnotify.render.renderer import Renderer
from streamnotify.settings import Settings
from streamnotify.smtp.channel import Reply
from streamnotify.smtp.fault import FaultKind, SmtpFault, Stage
from streamnotify.smtp.hints import hint
from streamnotify.smtp.policy import SmtpPolicy, Tls
from streamnotify.smtp.pool import Pool

EXIT_SETTINGS = 1
EXIT_NO_SESSION = 3
EXIT_NO_LOGIN = 4
EXIT_REFUSED = 5

_SHOWN = (
    "SMTP_PRESET",
    "SMTP_HOST",
    "SMTP_PORT",
    "SMTP_TLS",
    "SMTP_USER",
    "SMTP_TOKEN_FILE",
    "SMTP_FROM",
    "FRONTEND_URL",
)
_STEPS = {
    Stage.CONNECT: "connected",
    Stage.TLS: "encrypted",
    Stage.AUTH: "logged in",
    Stage.MAIL: "sender accepted",
    Stage.RCPT: "recipient accepted",
    Stage.DATA: "content written",
    Stage.DOT: "mail accepted",
}
_EXIT_CODES = {Stage.CONNECT: EXIT_NO_SESSION, Stage.TLS: EXIT_NO_SESSION, Stage.AUTH: EXIT_NO_LOGIN}


@click.command()
@click.argument("address")
@click.option("--template", default="task_completion", show_default=True, help="An e-mail template's name.")
def command(address: str, template: str) -> None:
    """Send one mail to ADDRESS, as the worker would, and say how each step went. Kafka is not needed.

    Exit code 0 if the relay took the mail, 1 if the settings or the address are wrong, 3 if the relay cannot be
    reached or spoken to, 4 if it refuses the login, 5 if it refuses the mail.

    \b
    Example:
      streamnotify send-test ann@example.com
    """
    loaded = settings.load()
    _show_settings(loaded)
    pool, policy, renderer = _relay(loaded)
    mail = _mail(renderer, address, template)
    click.echo(f"Sending {visible(mail.subject)!r} ({len(mail.content)} bytes) to {visible(mail.to)}:")
    try:
        reply = asyncio.run(_send(pool, mail))
    except SmtpFault as fault:
        _fail(fault, policy)
    for stage in _stages(policy):
        _passed(stage)
    click.echo(f"The relay answered: {reply.code} {visible(reply.text)}")
    click.echo("It has the mail; whether that arrives is seen in the mailbox (look into the spam folder, too).")


def _show_settings(loaded: Settings) -> None:
    sources = settings.sources(loaded)
    for field, source in sources.items():
        name, value = settings.name_of(field), getattr(loaded, field)
        if name in _SHOWN and value is not None:
            click.echo(f"  {name:<13} {visible(str(value))}  ({source})")


def _relay(loaded: Settings) -> tuple[Pool, SmtpPolicy, Renderer]:
    try:
        policy, renderer = bootstrap.smtp_policy(loaded), bootstrap.renderer(loaded)
        if policy is not None and renderer is not None:
            return Pool(policy), policy, renderer
    except (StreamnotifyError, ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error
    raise click.ClickException(
        f"SMTP configuration incomplete. Email notifications will be disabled. Missing: {loaded.smtp_missing}"
    )


def _mail(renderer: Renderer, address: str, template: str) -> OutgoingMail:
    now = datetime.now(UTC)
    wanted = DirectMail(
        recipient_email=address,
        recipient_name=None,
        task_name="streamnotify send-test",
        task_id=f"test-{now:%Y%m%d-%H%M%S}",
        status="success",
        execution_time="2m 45s",
        test_run_id="example",
        template=template,
    )
    if not renderer.library.has(template, None):
        raise click.ClickException(f"there is no template {template!r}")
    if template in RESERVED_KINDS:
        raise click.ClickException(f"{template} is not about a task, as a test mail is; see `streamnotify preview`")
    try:
        return rendered(renderer, wanted, now)
    except (ValueError, StreamnotifyError) as error:
        raise click.ClickException(str(error)) from error


async def _send(pool: Pool, mail: OutgoingMail) -> Reply:
    """On a session of its own, so that every fault comes with its stage."""
    session = await pool.open()
    try:
        return await session.send(mail, check_lease=lambda: None)
    finally:
        await session.quit()


def _stages(policy: SmtpPolicy) -> list[Stage]:
    """The steps of a session with this relay, in order."""
    left_out = {Stage.TLS} if policy.tls is Tls.NONE else set()
    if policy.user is None:
        left_out.add(Stage.AUTH)
    return [stage for stage in Stage if stage not in left_out]


def _passed(stage: Stage) -> None:
    click.secho(f"  ok      {stage.value:<8} {_STEPS[stage]}", fg="green")


def _fail(fault: SmtpFault, policy: SmtpPolicy) -> NoReturn:
    for stage in _stages(policy):
        if stage is fault.stage or fault.kind is FaultKind.NO_TOKEN:  # for want of it nothing was tried
            break
        _passed(stage)
    said = f"{fault.code} {fault.text}" if fault.code is not None else fault.text
    click.secho(f"  FAILED  {fault.stage.value:<8} {visible(said)}", fg="red")
    if (advice := hint(fault, policy)) is not None:
        click.echo(f"Hint: {advice}")
    raise SystemExit(_EXIT_CODES.get(fault.stage, EXIT_REFUSED))
