"""The ``streamnotify`` command. A subcommand's module is imported only when it is used."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import click

from streamnotify import __version__
from streamnotify.errors import StreamnotifyError


@dataclass(frozen=True, slots=True)
class Subcommand:
    """Where a subcommand is: ``streamnotify/cli/<module>.py`` has a click command called ``command``.

    Args:
        module: the module's name.
        extra: what must be installed for it besides the base, as in ``pip install 'streamnotify[worker]'``.
        summary: its line in the list of commands.
    """

    module: str
    extra: str
    summary: str


SUBCOMMANDS = {
    "config": Subcommand("config", "worker", "Show the settings and where each comes from."),
    "dead-letters": Subcommand("dead_letters", "worker", "Show the records that could not be used, and put them back."),
    "demo": Subcommand("demo", "dev", "Show everything at work on this machine."),
    "emit": Subcommand("emit", "worker", "Publish task events from flags, files or pipes."),
    "feedback": Subcommand("feedback", "worker", "Take in what mail servers report about our mails."),
    "inbox": Subcommand("inbox", "dev", "Take every mail in and show it on a page of this machine."),
    "kafka": Subcommand("kafka", "worker", "Run an embedded Kafka, and its console tools on any Kafka."),
    "mailbox": Subcommand("mailbox", "worker", "Show somebody's mailbox: preferences, digests and last mails."),
    "monitor": Subcommand("monitor", "worker", "Define monitors, see how they stand, and have them look now."),
    "preview": Subcommand("preview", "worker", "Show what the mails look like."),
    "run": Subcommand("run", "sdk", "Run a command, and publish that it started and how it ended."),
    "runs": Subcommand("runs", "worker", "List the runs of a task as its monitors see them."),
    "send-test": Subcommand("send_test", "worker", "Send one mail, and say how each step went."),
    "spool": Subcommand("spool", "sdk", "Show and replay the events that Kafka did not take from applications."),
    "suppressions": Subcommand("suppressions", "worker", "Show and change the addresses that get no mail."),
    "token": Subcommand("tokens", "web", "Say who may use the HTTP interface."),
    "topics": Subcommand("topics", "worker", "Compare or create the topics."),
    "users": Subcommand("users", "worker", "Keep the directory: who is who, and at what address."),
    "web": Subcommand("web", "web", "Serve the pages that links in mails lead to, and the HTTP interface."),
    "why": Subcommand("why", "worker", "Tell what became of a notification, and why."),
    "worker": Subcommand("worker", "worker", "Read the stream and send the mails."),
}


class LazyGroup(click.Group):
    """A group whose subcommands are those of the table above; errors of ours end it with one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(SUBCOMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        subcommand = SUBCOMMANDS.get(cmd_name)
        return None if subcommand is None else _load(cmd_name, subcommand)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, SUBCOMMANDS[name].summary) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except StreamnotifyError as error:
            raise click.ClickException(str(error)) from error


def _load(name: str, subcommand: Subcommand) -> click.Command:
    try:
        module = importlib.import_module(f"streamnotify.cli.{subcommand.module}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("streamnotify."):
            raise
        raise click.ClickException(
            f"`streamnotify {name}` needs {error.name}, which is not installed: "
            f"pip install 'streamnotify[{subcommand.extra}]'"
        ) from error
    command: click.Command = module.command
    return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="streamnotify")
def main() -> None:
    """Turn a Kafka stream of task events into the right e-mail for the right person at the right time.

    \b
    Example:
      streamnotify kafka start
      streamnotify topics apply
      streamnotify worker
    """
