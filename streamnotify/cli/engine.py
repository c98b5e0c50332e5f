"""The engine process that ``streamnotify worker`` starts: ``python -m streamnotify.cli.engine``."""

from __future__ import annotations

import logging
from typing import NoReturn

import click

from streamnotify import bootstrap, logs, settings
from streamnotify.errors import EngineFailure, SettingsError, TopicsError
from streamnotify.stream import worker
from streamnotify.stream.data_dir import locked_data_dir
from streamnotify.stream.supervisor import die_with_parent

logger = logging.getLogger("streamnotify.cli.engine")  # not __main__


@click.command()
@click.option("--apply-topics", is_flag=True)
@click.option("--parent-fd", type=int, help="Read end of the pipe whose end of file means that the supervisor is gone.")
@click.option("--after-failure", is_flag=True, help="An engine before this one has ended unasked.")
def main(apply_topics: bool, parent_fd: int | None, after_failure: bool) -> None:
    """Run one engine until it is stopped or fails; the exit code is one of those of stream/worker.py."""
    if parent_fd is not None:
        die_with_parent(parent_fd)
    try:
        _run(apply_topics, after_failure=after_failure)
    except (SettingsError, TopicsError) as error:
        logger.error("Refused to start: %s", error)
        raise SystemExit(worker.EXIT_REFUSED) from None
    except EngineFailure as error:
        logger.error("Cannot start: %s", error)
        raise SystemExit(worker.EXIT_FAILED) from None


def _run(apply_topics: bool, *, after_failure: bool) -> NoReturn:
    loaded = settings.load()
    logs.configure(loaded.log_level, loaded.log_format)
    for name, meant in settings.misspelt().items():
        logger.warning("%s is no setting; did you mean %s?", name, meant)
    admin, declared = bootstrap.topics(loaded)
    if apply_topics:
        for change in admin.apply(declared):
            logger.info("Corrected: %s", change)
    admin.check(declared)
    stations = bootstrap.build_stations(loaded)
    with locked_data_dir(loaded.data_dir) as data_dir:
        logger.info("State is kept in %s", data_dir)
        worker.run(stations, bootstrap.engine_config(loaded, data_dir, after_failure=after_failure))


if __name__ == "__main__":
    main()
