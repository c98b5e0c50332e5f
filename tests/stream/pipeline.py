"""Small stations for tests of the engine: numbers come in, are counted per key, passed on, and counted again.

``splitter`` (stateless, folds) reads the public topic ``numbers`` (``{"key": ..., "n": ...}``); ``counter`` and
``summer`` are stateful. A number ``{"key": k, "poison": ...}`` fails in various ways; ``{"key": k, "wake_in": s}`` puts
the key to sleep (one that begins with ``sleepless`` fails when it wakes up), ``cancel`` cancels that, ``forget`` drops
the sleeping row; ``{"key": k, "check_in": s}`` has it said what was counted and is remembered of the key when the
frontier is so far; ``{"key": k, "attempt": true}`` has an attempt made; ``size`` writes a row of so many bytes; ``say``
has it said when the number was counted; ``remember`` keeps a number, ``forgotten`` drops one, ``recall`` says those in
a range, the last first; ``slow`` keeps the splitter busy for so many seconds; ``everywhere`` names the topic, counts or
sums, each of whose partitions the number goes to.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec

from streamnotify.errors import BadRecord
from streamnotify.stations.context import Attempt, Context, Due, Folding, Performer, Record, Station, WaitsFor
from streamnotify.wire.rows import Row
from streamnotify.wire.topics import Topic


class Add(msgspec.Struct, frozen=True, array_like=True, tag="add"):
    """numbers -> counter -> summer: so many of a key."""

    key: str
    n: int = 1
    poison: str | None = None
    wake_in: float | None = None
    attempt: bool = False
    cancel: bool = False
    forget: bool = False
    size: int = 0
    say: bool = False
    check_in: float | None = None
    slow: float = 0
    remember: int | None = None
    forgotten: int | None = None
    recall: tuple[int, int] | None = None
    everywhere: str | None = None


class Performed(msgspec.Struct, frozen=True, array_like=True, tag="performed"):
    """The result of an attempt."""

    key: str
    number: int


def _topic(name: str) -> Topic:
    decode = msgspec.msgpack.Decoder(Add | Performed).decode
    return Topic(name, internal=True, encode=msgspec.msgpack.encode, decode=decode)


NUMBERS = Topic("numbers", internal=False, encode=msgspec.json.encode)
COUNTS = _topic("counts")
SUMS = _topic("sums")
OUT = Topic("out", internal=False, encode=msgspec.json.encode)

COUNT = Row(b"c", int)
SLEEP = Row(b"s", float)
TOTAL = Row(b"t", int)
PERFORMED = Row(b"p", int)
BIG = Row(b"b", str)
CHECK = Row(b"f", float)
REMEMBERED = Row(b"a", int, ordered=True)


def split(record: Record, ctx: Context) -> None:
    """Read a number; bytes that are none are a bad record."""
    try:
        add = msgspec.json.decode(record.value or b"", type=dict[str, Any])
    except msgspec.DecodeError as exc:
        raise BadRecord(f"no JSON: {exc}") from exc
    if "key" not in add:
        raise BadRecord("is missing", field="key")
    time.sleep(add.get("slow", 0))
    _pass_on(COUNTS, Add(**add), ctx)


def _pass_on(topic: Topic, add: Add, ctx: Context) -> None:
    if add.everywhere == topic.name:
        ctx.emit_everywhere(topic, add)
    else:
        ctx.emit(topic, add.key, add)


def combine(a: Add, b: Add) -> Add | None:
    """Fold plain numbers only, wherever they go."""
    plain = all(add == Add(add.key, add.n, slow=add.slow, everywhere=add.everywhere) for add in (a, b))
    return Add(a.key, a.n + b.n, everywhere=a.everywhere) if plain else None


def count(command: Any, ctx: Context) -> None:
    """Count a key, pass every number on, and do what the number asks for."""
    if isinstance(command, Due) and command.row is CHECK:
        _check(command, ctx)
        return
    if isinstance(command, Due):
        if command.key.startswith("sleepless"):
            raise RuntimeError(f"{command.key} will not wake up")
        ctx.delete(SLEEP, command.key)
        ctx.emit(OUT, command.key, {"woke": command.key, **_instants(command, ctx)})
        return
    if isinstance(command, Performed):
        ctx.put(PERFORMED, command.key, (ctx.get(PERFORMED, command.key) or 0) + 1)
        ctx.emit(OUT, command.key, {"performed": command.key, "number": command.number})
        return
    ctx.put(COUNT, command.key, (ctx.get(COUNT, command.key) or 0) + command.n)
    ctx.put(TOTAL, "all", (ctx.get(TOTAL, "all") or 0) + command.n)
    _obey(command, ctx)
    _pass_on(SUMS, Add(command.key, command.n, everywhere=command.everywhere), ctx)


def _check(due: Due, ctx: Context) -> None:
    ctx.delete(CHECK, due.key)
    remembered = [n for _, n in ctx.scan(REMEMBERED, f"{due.key}/", f"{due.key}0")]
    count = ctx.get(COUNT, due.key)
    ctx.emit(OUT, due.key, {"checked": due.key, "count": count, "remembered": remembered, **_instants(due, ctx)})


def _instants(due: Due, ctx: Context) -> dict[str, float]:
    return {"at": due.at.timestamp(), "reached": due.reached.timestamp(), "now": ctx.now.timestamp()}


def _keep(command: Add, ctx: Context) -> None:
    if command.size:
        ctx.put(BIG, command.key, "x" * command.size)
    if command.remember is not None:
        ctx.put(REMEMBERED, f"{command.key}/{command.remember:04}", command.remember)
    if command.forgotten is not None:
        ctx.delete(REMEMBERED, f"{command.key}/{command.forgotten:04}")
    if command.recall is not None:
        start, stop = (f"{command.key}/{n:04}" for n in command.recall)
        found = [list(row) for row in ctx.scan(REMEMBERED, start, stop)]
        ctx.emit(OUT, command.key, {"recalled": command.key, "found": found})


def _obey(command: Add, ctx: Context) -> None:
    _keep(command, ctx)
    if command.poison == "bug":
        raise RuntimeError("this record always fails")
    if command.poison == "bad":
        raise BadRecord("not allowed", field="poison")
    if command.poison == "huge":
        ctx.put(BIG, command.key, "x" * 900_000)
    if command.wake_in is not None:
        ctx.put(SLEEP, command.key, command.wake_in)
        ctx.wake(SLEEP, command.key, ctx.now + timedelta(seconds=command.wake_in))
    if command.check_in is not None:
        ctx.put(CHECK, command.key, command.check_in)
        ctx.wake(CHECK, command.key, ctx.now + timedelta(seconds=command.check_in), waits_for=WaitsFor.FRONTIER)
    if command.cancel:
        ctx.wake(SLEEP, command.key, None)
    if command.forget:
        ctx.delete(SLEEP, command.key)
    if command.attempt:
        ctx.start(command.key, 1)
    if command.say:
        ctx.emit(OUT, command.key, {"counted": command.key, "now": ctx.now.timestamp()})


def add_up(command: Any, ctx: Context) -> None:
    """Sum what the counter passed on."""
    ctx.put(COUNT, command.key, (ctx.get(COUNT, command.key) or 0) + command.n)


async def perform(attempt: Attempt) -> Performed:
    """Succeed at once."""
    attempt.check_lease()
    return Performed(attempt.key, attempt.number)


def stations(performer: Performer | None = None) -> tuple[Station, ...]:
    """The pipeline's stations, fresh."""
    folding = Folding(identity=lambda add: add.key, combine=combine)
    return (
        Station("splitter", (NUMBERS,), split, folding=folding),
        Station(
            "counter",
            (COUNTS,),
            count,
            rows=(COUNT, SLEEP, TOTAL, PERFORMED, BIG, CHECK, REMEMBERED),
            performer=performer or Performer(perform, at_once=2),
        ),
        Station("summer", (SUMS,), add_up, rows=(COUNT,)),
    )


def number(key: str, **more: Any) -> bytes:
    """A record value for the topic ``numbers``."""
    return json.dumps({"key": key, **more}).encode()


Pipeline = Callable[[], tuple[Station, ...]]
