"""``streamnotify token``: who may use the HTTP interface."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import click

from streamnotify import settings
from streamnotify.cli.exit_codes import EXIT_SETTINGS
from streamnotify.errors import BadRecord, SettingsError
from streamnotify.logs import visible
from streamnotify.web.api.token_file import read_tokens
from streamnotify.web.api.tokens import Scope, Token, digest, new_secret, parse
from streamnotify.wire.durations import duration

_SCOPES = [scope.value for scope in Scope]


class Span(click.ParamType):
    """A duration of the settings' form."""

    name = "duration"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """See click."""
        try:
            return duration(zero=False)(value)
        except (ValueError, OverflowError) as error:
            self.fail(str(error), param, ctx)


@click.group()
def command() -> None:
    """Say who may use the HTTP interface of `streamnotify web`.

    \b
    Example:
      streamnotify token create ci --scope publish --organization org-a --user u1 --file tokens.jsonl
      streamnotify token list --file tokens.jsonl
    """


@command.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(_SCOPES),
    help="What it is for.",
)
@click.option("--organization", "organization_id", metavar="ID", help="The organization it is bound to.")
@click.option("--all-organizations", is_flag=True, help="It is bound to none.")
@click.option("--user", "user_id", metavar="ID", help="Whom it stands for: gets the test mail.")
@click.option("--email", help="The user's address, for where the directory has none.")
@click.option("--person", metavar="NAME", help="The user's name, likewise.")
@click.option("--expires", type=Span(), help="Until when it is good, from now, such as 90d; default: for ever.")
@click.option("--file", type=click.Path(dir_okay=False, path_type=Path), help="Add it to this file of tokens.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object: the token, and its line as `entry`.")
def create(
    name: str, scopes: tuple[str, ...], expires: timedelta | None, file: Path | None, as_json: bool, **fields: Any
) -> None:
    """Make a token. It is printed this once and kept nowhere; the file of tokens has only its hash.

    Without --file its line for the file (STREAMNOTIFY_API_TOKENS_FILE) is printed, too. `streamnotify web` takes up a
    change of the file without a restart; a token ends when its line is taken out. Exit code 0, 2 if the token or the
    file is refused.

    \b
    Example:
      streamnotify token create ci --scope publish --organization org-a --user u1 --email ann@example.com --expires 90d
      streamnotify token create dashboard --scope read --all-organizations --file tokens.jsonl
    """
    secret = new_secret()
    entry = {"name": name, "sha256": digest(secret), "scopes": list(dict.fromkeys(scopes))}
    entry |= {field: value for field, value in fields.items() if value}
    if expires is not None:
        entry["expires_at"] = (datetime.now(UTC) + expires).isoformat(timespec="seconds")
    line = json.dumps(entry, ensure_ascii=False)
    try:
        parse(line.encode("utf-8", "surrogatepass"))
        if file is not None:
            _add(file, name, line)
    except (BadRecord, SettingsError) as error:
        raise click.UsageError(visible(str(error))) from None
    if as_json:
        click.echo(json.dumps({"token": secret, "entry": entry}, indent=2))
        return
    click.echo(secret)
    click.echo("The token above is not shown again.", err=True)
    if file is None:
        click.echo("Its line for the file of tokens:", err=True)
        click.echo(line)


@command.command("list")
@click.option(
    "--file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file of tokens.  [default: STREAMNOTIFY_API_TOKENS_FILE]",
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
def list_(file: Path | None, as_json: bool) -> None:
    """List the tokens of a file.

    Exit code 0, also if some have expired, 78 if the file is wrong or none is named.

    \b
    Example:
      streamnotify token list --file tokens.jsonl --json
    """
    try:
        path = file or settings.load().api_tokens_file
        tokens = () if path is None else read_tokens(path)
    except SettingsError as error:
        _refuse(str(error))
    if path is None:
        _refuse("name a file with --file, or set STREAMNOTIFY_API_TOKENS_FILE")
    now = datetime.now(UTC)
    if as_json:
        click.echo(json.dumps([_described(token, now) for token in tokens], indent=2))
        return
    for token in tokens:
        click.echo(visible(_line(token, now)))
    click.echo("1 token" if len(tokens) == 1 else f"{len(tokens)} tokens")


def _add(file: Path, name: str, line: str) -> None:
    """Put a line at the end of a file of tokens, in one write; a new file is for its owner only.

    Raises:
        SettingsError: if the file is wrong, or has a token of this name.
    """
    there = read_tokens(file) if file.exists() else ()
    if any(token.name == name for token in there):
        raise SettingsError(f"{file}: {name} is there already; each token has a name of its own")
    try:
        ends = not file.exists() or file.read_bytes()[-1:] in (b"", b"\n")
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with open(descriptor, "ab", closefd=True) as opened:  # noqa: PTH123 - Path.open takes no mode for a new file
            opened.write(("" if ends else "\n").encode() + line.encode() + b"\n")
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}") from None


def _described(token: Token, now: datetime) -> dict[str, Any]:
    return token.model_dump(mode="json", exclude={"sha256"}, exclude_none=True) | {"expired": token.has_expired(now)}


def _line(token: Token, now: datetime) -> str:
    of = "all organizations" if token.organization_id is None else f"organization {token.organization_id}"
    whose = f", user {token.user_id or token.email}" if token.user_id or token.email else ""
    until = "" if token.expires_at is None else f", until {token.expires_at.isoformat()}"
    ended = " (expired)" if token.has_expired(now) else ""
    return f"{token.name}  {' '.join(token.scopes)}, {of}{whose}{until}{ended}"


def _refuse(why: str) -> NoReturn:
    click.echo(visible(f"Error: {why}"), err=True)
    raise SystemExit(EXIT_SETTINGS)
