"""The client of one origin: send a prepared head and a body, get a response.

Owns the walk of one request and the single retry of the keep-alive race. Follows no redirect, decodes nothing, and
knows no model: a second attempt elsewhere is the gateway's decision.
"""

import ssl
from typing import Protocol

from junto.providers.http.bounds import Deadlines, Limits
from junto.providers.http.connect import Connector
from junto.providers.http.connection import Connection
from junto.providers.http.errors import TransportFailure
from junto.providers.http.origin import Origin
from junto.providers.http.pool import Pool
from junto.providers.http.response import Response

__all__ = ["Deadlines", "HttpClient", "Limits", "Response"]


class Sender(Protocol):
    """Whoever wants to know, when it is cancelled, whether the upstream has the request."""

    was_sent: bool


class HttpClient:
    """Keep-alive HTTP/1.1 to one origin, for one event loop.

    Without `ssl_context` certificates are verified against the system's trust store. With `proxy` every connection is
    a tunnel through it.
    """

    __slots__ = ("_pool",)

    def __init__(
        self,
        origin: Origin,
        *,
        limits: Limits | None = None,
        ssl_context: ssl.SSLContext | None = None,
        proxy: Origin | None = None,
    ) -> None:
        self._pool = Pool(limits or Limits(), Connector(origin, proxy, ssl_context))

    @property
    def in_use(self) -> int:
        """How many requests hold a connection, or one that is being opened."""
        return self._pool.in_use

    @property
    def idle(self) -> int:
        """How many open connections wait for a request."""
        return self._pool.idle

    async def send(self, head: bytes, body: bytes, deadlines: Deadlines, sender: Sender | None = None) -> Response:
        """Write a request (`head` from `prepare_head`) and return when the response's headers are in.

        Raises TransportFailure; its `sent` says whether the upstream may have seen the request. Cancelled at any
        point, it aborts the socket and leaves nothing behind; `sender` is told if the request was written by then.
        """
        pool = self._pool
        connection = pool.take()
        if connection is None:
            connection = await pool.acquire(deadlines.connect)
        try:
            await connection.request(head, body, deadlines.headers)
        except BaseException:
            if sender is not None:
                sender.was_sent = True
            pool.release(connection)
            raise
        if connection.status == 0:
            connection = await self._retry(connection, head, body, deadlines)
        return Response(connection, pool, deadlines)

    async def close(self) -> None:
        """Close idle connections, abort busy ones, refuse who waits; idempotent."""
        await self._pool.close()

    async def _retry(self, lost: Connection, head: bytes, body: bytes, deadlines: Deadlines) -> Connection:
        """Send once more on a new connection if the old one was closed while it was idle; else raise its failure."""
        connection, failure = lost, lost.failure
        try:
            if lost.stale:
                connection = await self._pool.replace(lost, deadlines.connect)
                await connection.request(head, body, deadlines.headers)
                failure = connection.failure
        except TransportFailure as refused:
            # The first attempt was written, so the upstream may have seen it whatever became of the second.
            failure = TransportFailure(refused.kind, refused.detail, sent=True)
        except BaseException:
            self._pool.release(connection)
            raise
        if connection.status == 0 and failure is not None:
            self._pool.release(connection)
            raise failure
        return connection
