"""One keep-alive client connection of the load generator.

It sends prepared bytes, times the answer and hands it to its run. It must not decide when to send.
"""

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import Protocol, cast

import httptools


class Taker(Protocol):
    """Who receives finished answers."""

    def answered(self, connection: "Connection", *, status: int, body: list[bytes]) -> None:
        """Take an answer; the connection is free again."""

    def failed(self, connection: "Connection", reason: str) -> None:
        """Take a failure; the connection is closed."""


class Connection(asyncio.Protocol):
    """A client connection with at most one request under way."""

    def __init__(self, run: Taker, request: bytes, reconnect: Callable[["Connection"], None]) -> None:
        self._run = run
        self._request = request
        self._reconnect = reconnect
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._body: list[bytes] = []
        self._waiting = False
        self._parting = False
        self.started = 0.0
        self.first_byte = 0.0
        self.reads = 0
        self.closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take (or, after a reconnection, replace) the transport; send what was asked for meanwhile."""
        # uvloop's transports do not inherit from asyncio's classes, so there is nothing to check against.
        self._transport = cast("asyncio.Transport", transport)
        self._parser = httptools.HttpResponseParser(self)
        if self._waiting:
            self._transport.write(self._request)

    def send(self, due: float | None = None) -> None:
        """Send the request; its latency counts from `due` (now, unless said)."""
        self.started = due or perf_counter()
        self.reads = 0
        self._body = []
        self._waiting = True
        if self._transport is None:
            self._reconnect(self)
        else:
            self._transport.write(self._request)

    def close(self) -> None:
        """Close for good."""
        self.closing = True
        if self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Report a request that was under way; an idle connection is opened again when next needed."""
        if self._parting:
            # The socket that an answer said to close; the next request may already wait for a new one.
            self._parting = False
            return
        self._transport = None
        if self._waiting and not self.closing:
            self._waiting = False
            self._run.failed(self, f"connection lost: {type(exc).__name__ if exc else 'closed'}")

    def data_received(self, data: bytes) -> None:
        """Feed the parser."""
        self.reads += 1
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if self._transport is not None:
                self._transport.abort()
            self._waiting = False
            self._run.failed(self, f"malformed answer: {error}")

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        if not self._body:
            self.first_byte = perf_counter()
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Hand the answer over."""
        self._waiting = False
        if not self._parser.should_keep_alive() and self._transport is not None:
            self._parting = True
            self._transport.close()
            self._transport = None
        self._run.answered(self, status=self._parser.get_status_code(), body=self._body)
