"""Fixtures of the SMTP tests that the commands' tests use too, and signals as a terminal's programs have them."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.smtp.conftest import certificates

__all__ = ["certificates"]


@pytest.fixture(autouse=True, scope="session")
def signals_of_a_terminal() -> Iterator[None]:
    """A shell without job control starts what it runs in the background with these ignored, and that is inherited."""
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    leave = signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGQUIT, leave)
