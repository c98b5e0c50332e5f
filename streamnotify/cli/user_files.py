"""The directory as people keep it in files: JSON, YAML or CSV, one user or many."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from streamnotify.cli.documents import STDIN, UnreadableFile, documents_in, name_of, read_text
from streamnotify.cli.written import Checked, Written, check, said_name
from streamnotify.errors import BadRecord
from streamnotify.wire.reading import near_miss, warn_of_unknown
from streamnotify.wire.user import User, has_bad_address, parse, profile_of
from streamnotify.wire.user_preferences import field_names, parts, without_effect

_FIELDS = tuple(User.model_fields)
_COLUMNS = tuple(field for field in _FIELDS if field != "preferences")
_TRUTH_COLUMNS = ("email_verified", "is_active", "is_superuser")
_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_ID = "user_id"


def check_files(files: Iterable[str]) -> Checked:
    """Look at every user of some files as workers would."""
    return check(files, _read_users, _look)


def _read_users(file: str) -> list[Written]:
    """Every user in a file: CSV, a record, a list of records, or a mapping by user_id; YAML may have several documents.

    Raises:
        UnreadableFile: if it cannot be read, or holds something else.
    """
    text, name = read_text(file), name_of(file)
    if file.lower().endswith(".csv") or (file == STDIN and _is_csv(text)):
        return list(_rows(name, text))
    if _is_csv(text):
        raise UnreadableFile(f"{name}: CSV is read from files whose name ends in .csv")
    return [written for document in documents_in(file, text) for written in _users(name, document)]


def _look(written: Written) -> list[str]:
    if written.name is None:
        raise BadRecord("a user in a file needs one", _ID)
    user_id, user = parse(written.value, written.name)
    profile_of(user_id, user)
    warnings: list[str] = []
    warn_of_unknown(user.model_extra, _FIELDS, "", warnings, near_only=True)
    if has_bad_address(user):
        warnings.append("email: no e-mail address, so that the user gets no mails")
    if user.preferences is not None:
        for path, part in parts(user.preferences, "preferences"):
            warn_of_unknown(part.model_extra, field_names(type(part)), path, warnings, near_only=True)
        warnings += without_effect(user.preferences, "preferences")
    return warnings


def _users(file: str, document: Any) -> Iterator[Written]:
    if isinstance(document, list):
        for number, record in enumerate(document):
            yield Written(f"{file}, [{number}]", said_name(record, _ID), record)
    elif not isinstance(document, dict):
        csv_too = ", and CSV in files that end in .csv" if isinstance(document, str) else ""
        raise UnreadableFile(f"{file}: a user, a list of users or a mapping by {_ID} is allowed{csv_too}")
    elif any(name in _FIELDS and not isinstance(value, dict) for name, value in document.items()):
        yield Written(file, said_name(document, _ID), document)
    else:
        for user_id, record in document.items():
            yield Written(f"{file}, {user_id}", user_id, record)


def _rows(file: str, text: str) -> Iterator[Written]:
    """The users of a file of CSV, by what its first line calls the columns."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns: list[str] | None = None
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            place = f"{file}, line {reader.line_num}"
            if columns is None:
                columns = _columns(place, cells)
            elif len(cells) > len(columns):
                raise UnreadableFile(f"{place}: {len(cells)} cells, but {len(columns)} columns")
            else:
                yield _row(place, dict(zip(columns, cells, strict=False)))
    except csv.Error as error:
        raise UnreadableFile(f"{file}, line {reader.line_num}: no CSV: {error}") from None


def _is_csv(text: str) -> bool:
    """Whether the first line names columns."""
    return _ID in (name.strip(' "\r').lower() for name in text.partition("\n")[0].split(","))


def _columns(place: str, names: Sequence[str]) -> list[str]:
    columns = [name.lower() for name in names]
    if _ID not in columns:
        hint = ", and commas between the columns" if ";" in names[0] or "\t" in names[0] else ""
        raise UnreadableFile(f"{place}: the first line names the columns; {_ID} is required{hint}")
    for number, name in enumerate(columns):
        if name not in _COLUMNS:
            near = near_miss(name, _COLUMNS) if name else None
            hint = f" (did you mean {near}?)" if near else ""
            raise UnreadableFile(f"{place}: unknown column {name!r}{hint}; {', '.join(_COLUMNS)} are allowed")
        if name in columns[:number]:
            raise UnreadableFile(f"{place}: the column {name} is there twice")
    return columns


def _row(place: str, cells: dict[str, str]) -> Written:
    """A row's user; an empty cell says nothing, and one of organizations that is only a semicolon, that there are
    none."""
    record: dict[str, Any] = {}
    for name, cell in cells.items():
        if not cell:
            continue
        if name == "organizations":
            record[name] = [each.strip() for each in cell.split(";") if each.strip()]
        elif name in _TRUTH_COLUMNS:
            record[name] = _TRUTHS.get(cell.lower(), cell)  # parse says what is wrong
        else:
            record[name] = cell
    return Written(place, record.get(_ID), record)
