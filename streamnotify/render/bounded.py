"""Jinja for the operator's templates: a sandbox in which none runs for ever or fills the memory by mistake."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

from jinja2 import nodes, pass_context
from jinja2.environment import Template
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

MOST_TIME = 1.0  # seconds of the processor; the slowest of the shipped templates take 5 ms
MOST_BITS = 10_000  # of a power

_until: ContextVar[float] = ContextVar("until", default=float("inf"))


class TooSlow(ValueError):
    """The template took too long."""


class TooLarge(ValueError):
    """The template makes too much."""


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """Looks at the clock in each turn of a loop and at each call, and at the size of what is repeated.

    Args:
        limit: what a template may make, in bytes.
        options: Jinja's own.
    """

    intercepted_binops = frozenset({"*", "**"})

    def __init__(self, limit: int, **options: Any) -> None:
        super().__init__(**options)
        self._limit = limit
        self.filters["in_time"] = _in_time

    def fill_in(self, template: Template, variables: Mapping[str, object]) -> str:
        """The text that ``template`` makes.

        Raises:
            TooSlow, TooLarge: before it has stopped the worker.
            Exception: whatever a template can raise.
        """
        before = _until.set(time.thread_time() + MOST_TIME)
        try:
            return "".join(self._limited(template.generate(variables)))
        finally:
            _until.reset(before)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """A macro, method or function is called; two that call each other twice would never end."""
        _look_at_clock()
        return super().call(*args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Repeat a text or raise a number, neither out of proportion."""
        for what, times in ((left, right), (right, left)):
            if operator == "*" and isinstance(times, int) and hasattr(what, "__len__"):
                self._require(len(what) * times <= self._limit)
        if operator == "**" and isinstance(left, int) and isinstance(right, int):
            self._require(left.bit_length() * right <= MOST_BITS)
        return super().call_binop(context, operator, left, right)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, "in_time", [], [], None, None, lineno=loop.lineno)
        return tree.set_environment(self)  # type: ignore[return-value] # it returns itself

    def _limited(self, pieces: Iterable[str]) -> Iterator[str]:
        length = 0
        for piece in pieces:
            length += len(piece)
            self._require(length <= self._limit)
            yield piece

    def _require(self, within: bool) -> None:
        if not within:
            raise TooLarge(f"it makes more than {self._limit} bytes")


@pass_context  # so that Jinja does not try it at compile time
def _in_time(_context: Context, values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        _look_at_clock()
        yield value


def _look_at_clock() -> None:
    if time.thread_time() > _until.get():
        raise TooSlow(f"it takes more than {MOST_TIME:g} s")
