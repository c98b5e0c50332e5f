"""Task events out of files, pipes and arguments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from streamnotify.cli.documents import UnreadableFile, name_of, read_text
from streamnotify.cli.json_values import json_values
from streamnotify.errors import BadRecord
from streamnotify.stations.written_events import WrittenEvent, look_at


def read_events(sources: Iterable[str]) -> Iterator[WrittenEvent]:
    """Every event of some sources, looked at.

    Args:
        sources: JSON itself, if it begins with a bracket; else the path of a file with one or many events, pretty-
            printed, one per line or in a list; ``-`` is standard input with the same.
    """
    for number, source in enumerate(sources, 1):
        is_json = source.lstrip()[:1] in ("{", "[")
        name = f"event {number}" if is_json else name_of(source)
        try:
            text = source if is_json else read_text(source)
        except UnreadableFile as error:
            yield WrittenEvent(name, problems=[BadRecord(str(error).removeprefix(f"{name}: "))])
            continue
        yield from _events_in(name, text)


def _events_in(name: str, text: str) -> Iterator[WrittenEvent]:
    found = False
    for each in json_values(text):
        found = True
        place = f"{name}, line {each.line}" if "\n" in text.strip() else name
        yield WrittenEvent(place, problems=[BadRecord(each.wrong)]) if each.wrong else look_at(place, each.value)
    if not found:
        yield WrittenEvent(name, problems=[BadRecord("there is no event in it")])
