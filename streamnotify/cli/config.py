"""``streamnotify config``: the settings in force, where each comes from, and whether they work."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from pydantic import SecretStr

from streamnotify import bootstrap, settings
from streamnotify.errors import StreamnotifyError
from streamnotify.setting_values import Bind, bind
from streamnotify.smtp.fault import SmtpFault
from streamnotify.smtp.hints import hint
from streamnotify.smtp.policy import SmtpPolicy
from streamnotify.smtp.pool import Pool
from streamnotify.smtp.sender_dns import NameServer, sender_doubts
from streamnotify.stream.topic_admin import APPLY_COMMAND, TopicAdmin
from streamnotify.web.api.token_file import read_tokens
from streamnotify.wire.durations import format_duration
from streamnotify.wire.topic_layout import TopicLayout

EXIT_FAILED = 1
EXIT_WARNED = 3
MASK = "********"
_CHECK_TIMEOUT = timedelta(seconds=5)


@click.command()
@click.option(
    "--check",
    is_flag=True,
    help="Also connect to Kafka and to the mail relay, look at the topics, read the tokens, warn about mails.",
)
@click.option(
    "--dns",
    is_flag=False,
    flag_value="",
    metavar="[HOST:PORT]",
    help="With --check: also look SPF and DMARC of the sender's domain up, at the system's name server or at this one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(check: bool, dns: str | None, as_json: bool) -> None:
    """Show every setting: its value (secrets masked), whether from environment, .env or default, and its meaning.

    Exit code 0 if all is well, 1 if a setting is wrong or, with --check, something does not answer or topics keep the
    worker from starting; 3 if mails are likely not to arrive: that is said too. DNS is asked only with --dns.

    \b
    Example:
      streamnotify config --check --dns
    """
    if dns is not None and not check:
        raise click.UsageError("--dns goes with --check")
    name_server = _address(dns) if dns else None
    loaded = settings.load()
    checks = _answers(loaded) if check else {}
    warnings = settings.warnings(loaded) if check else []
    if dns is not None:
        warnings += _dns_warnings(loaded, name_server)
    if as_json:
        click.echo(json.dumps(_as_json(loaded, checks, warnings), indent=2))
    else:
        _print(loaded, checks, warnings)
    if any(isinstance(answer, _Failure) for answer in checks.values()):
        raise SystemExit(EXIT_FAILED)
    raise SystemExit(EXIT_WARNED if warnings else 0)


def shown(value: Any) -> str:
    """A setting's value as a person would write it; empty if it is not set."""
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, timedelta):
        return format_duration(value)
    return ",".join(value) if isinstance(value, tuple) else str(value)


class _Failure(str):
    """Why something does not answer."""


def _as_json(loaded: settings.Settings, checks: dict[str, str], warnings: list[str]) -> dict[str, Any]:
    sources = settings.sources(loaded)
    listed = {
        settings.name_of(field): {
            "value": shown(getattr(loaded, field)) or None,
            "source": source,
            "meaning": settings.meaning_of(field),
        }
        for field, source in sources.items()
    }
    answers = {name: {"ok": not isinstance(answer, _Failure), "answer": str(answer)} for name, answer in checks.items()}
    found = {"checks": answers, "warnings": warnings} if checks else {}
    return {"settings": listed, "misspelt": settings.misspelt(), **found}


def _print(loaded: settings.Settings, checks: dict[str, str], warnings: list[str]) -> None:
    section = None
    for field, source in settings.sources(loaded).items():
        if settings.section_of(field) != section:
            section = settings.section_of(field)
            click.secho(section, bold=True)
        value = shown(getattr(loaded, field)) or "-"
        meaning = click.style(settings.meaning_of(field), dim=True)
        click.echo(f"  {settings.name_of(field):<34} {value:<26} {source:<11} {meaning}")
    for name, meant in settings.misspelt().items():
        click.secho(f"{name} is no setting; did you mean {meant}?", fg="yellow", err=True)
    if not loaded.smtp_complete:
        click.secho(
            f"SMTP configuration incomplete. Email notifications will be disabled. Missing: {loaded.smtp_missing}",
            fg="yellow",
            err=True,
        )
    if checks:
        click.secho("\nChecked", bold=True)
    for name, answer in checks.items():
        failed = isinstance(answer, _Failure)
        click.secho(f"{name}: {'FAILED, ' if failed else 'ok, '}{answer}", fg="red" if failed else "green")
    for warning in warnings:
        click.secho(f"mails: WARNING, {warning}", fg="yellow")


def _answers(loaded: settings.Settings) -> dict[str, str]:
    answers = _kafka_answers(loaded) | {"smtp": _smtp_answer(loaded)}
    if loaded.api_tokens_file is not None:
        answers["tokens"] = _tokens_answer(loaded.api_tokens_file)
    return answers


def _address(dns: str) -> Bind:
    try:
        return bind(dns)
    except ValueError as error:
        raise click.UsageError(f"--dns is {dns!r}: {error}") from error


def _dns_warnings(loaded: settings.Settings, at: Bind | None) -> list[str]:
    domain = (loaded.smtp_from or "").rpartition("@")[2]
    if not domain:
        return []
    try:
        return list(sender_doubts(domain, NameServer(at.host, at.port) if at else NameServer()))
    except StreamnotifyError as error:
        return [f"SPF and DMARC of {domain} are unknown: {error}"]


def _tokens_answer(file: Path) -> str:
    try:
        number = len(read_tokens(file))
    except StreamnotifyError as error:
        return _Failure(error)
    return f"{file} has {'1 token' if number == 1 else f'{number} tokens'}"


def _kafka_answers(loaded: settings.Settings) -> dict[str, str]:
    """The topics are looked at if Kafka answers at all."""
    try:
        admin, declared = bootstrap.topics(loaded, timeout=_CHECK_TIMEOUT)
        kafka = f"{loaded.kafka_bootstrap_servers} answers with {admin.brokers()} broker(s)"
    except StreamnotifyError as error:
        return {"kafka": _Failure(error)}
    return {"kafka": kafka, "topics": _topics_answer(admin, declared)}


def _topics_answer(admin: TopicAdmin, declared: Sequence[TopicLayout]) -> str:
    """What the worker says of them when it starts, in short."""
    try:
        blocking = [difference for difference in admin.diff(declared) if difference.blocks]
    except StreamnotifyError as error:
        return _Failure(error)
    if not blocking:
        return f"{len(declared)} are there"
    mended = any(difference.remedy is None for difference in blocking)
    number = len({difference.topic for difference in blocking})
    return _Failure(f"{number} missing or wrong. Run: {APPLY_COMMAND if mended else 'streamnotify topics diff'}")


def _smtp_answer(loaded: settings.Settings) -> str:
    try:
        policy = bootstrap.smtp_policy(loaded)
        if policy is None:
            return _Failure(f"missing: {loaded.smtp_missing}")
        return asyncio.run(_greet(policy))
    except (StreamnotifyError, OSError, ValueError) as error:
        said = str(error) or "no answer"
        return _Failure(f"{loaded.smtp_host}:{loaded.smtp_port} with SMTP_TLS={loaded.smtp_tls}: {said}")


async def _greet(policy: SmtpPolicy) -> str:
    """Connect, secure and log in as the worker does; no mail is sent."""
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT.total_seconds()):
            session = await Pool(policy).open()
    except SmtpFault as fault:
        advice = hint(fault, policy)
        raise StreamnotifyError(f"{fault}; {advice}" if advice else str(fault)) from fault
    session.close()
    user = f" and accepts {policy.user}" if policy.user else ""
    return f"{policy.host}:{policy.port} answers{user}"
