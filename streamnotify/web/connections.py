"""A client's connection, which is closed when it asks for nothing: each is one of those that are served at a time."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle


class Connection(H11Protocol):
    """uvicorn's, which itself would wait for a request's head for ever."""

    patience = timedelta(seconds=10)  # for the whole of a head, from the connection's begin or the answer before

    _head_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Called by uvicorn after each answer; what comes next may be there already."""
        super().on_response_complete()
        self._await_head()

    def _await_head(self) -> None:
        self._cancel()
        self._head_due = self.loop.call_later(self.patience.total_seconds(), self._close_unless_asked)

    def _cancel(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()

    def _close_unless_asked(self) -> None:
        request: RequestResponseCycle | None = self.cycle
        if request is None or request.response_complete:
            self.transport.close()
