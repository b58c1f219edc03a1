"""Which connections are open, which are idle, and who waits for one.

Invariant: `in_use` counts the leases, from the wait for a connection being opened until `release`; open sockets are
leases plus idle ones and never exceed `max_connections`. Must not write or read a byte.
"""

import asyncio
from collections import deque
from math import inf

from junto.providers.http.bounds import Limits
from junto.providers.http.connect import Connector
from junto.providers.http.connection import Connection
from junto.providers.http.cork import Cork
from junto.providers.http.errors import TransportFailure, TransportFailureKind
from junto.providers.http.phase import Phase


class Pool:
    """The connections of one origin: idle ones are used last in, first out; waiters are served first come, first served."""

    __slots__ = ("_closed", "_connector", "_cork", "_emptied", "_idle", "_limits", "_open", "_waiters", "in_use")

    def __init__(self, limits: Limits, connector: Connector) -> None:
        self._limits = limits
        self._connector = connector
        self._cork = Cork()
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self._emptied: asyncio.Future[None] | None = None
        self._closed = False
        self.in_use = 0

    @property
    def idle(self) -> int:
        """How many connections wait in the pool."""
        return len(self._idle)

    def take(self) -> Connection | None:
        """Lease an idle connection, the one used last."""
        if not self._idle:
            return None
        self.in_use += 1
        return self._idle.pop()

    async def acquire(self, seconds: float) -> Connection:
        """Lease a connection: the next that becomes free, or a new one; all of it within `seconds`."""
        try:
            async with asyncio.timeout(None if seconds == inf else seconds):
                connection = await self._lease()
                if connection is not None and connection.phase is not Phase.CLOSED:
                    return connection
                try:
                    return await self._open_one()
                except BaseException:
                    self._free()
                    raise
        except TimeoutError as error:
            raise _timed_out() from error

    async def replace(self, connection: Connection, seconds: float) -> Connection:
        """Open a new connection on the lease of a lost one; if that fails the lease is still the caller's."""
        connection.abort()
        try:
            async with asyncio.timeout(None if seconds == inf else seconds):
                return await self._open_one()
        except TimeoutError as error:
            raise _timed_out() from error

    def release(self, connection: Connection) -> None:
        """End a lease: hand the connection on, park it, or abort it."""
        if not self._closed and connection.park(self._limits.idle_seconds):
            while self._waiters:
                waiter = self._waiters.popleft()
                if not waiter.done():
                    connection.lease()
                    waiter.set_result(connection)
                    return
            if len(self._idle) < self._limits.max_idle:
                self._idle.append(connection)
                self.in_use -= 1
                return
        connection.abort()
        self._free()

    async def close(self) -> None:
        """Abort every connection, refuse every waiter, and wait until the sockets are closed; idempotent.

        A request that is still connecting is refused when its connection stands, or at its deadline.
        """
        self._closed = True
        self._idle.clear()
        for waiter in self._waiters:
            if not waiter.done():
                self.in_use += 1  # a lease that its holder finds refused, and ends
                waiter.set_result(None)
        self._waiters.clear()
        for connection in list(self._open):
            connection.fail(TransportFailureKind.RESET, "the client was closed")
        while self._open:
            if self._emptied is None or self._emptied.done():
                self._emptied = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._emptied)

    # -------------------------------------------------------------- a connection's reports (connection.Keeper)

    def forget_idle(self, connection: Connection) -> None:
        """Take a connection that closed itself out of the pool."""
        self._idle.remove(connection)

    def forget(self, connection: Connection) -> None:
        """Drop a connection whose socket is closed."""
        self._open.discard(connection)
        if not self._open and self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)

    # ----------------------------------------------------------------------------------------- inside

    async def _lease(self) -> Connection | None:
        self._refuse_if_closed()
        if self.in_use < self._limits.max_connections:
            self.in_use += 1
            return None
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            return await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():
                # Cancelled in the very moment the lease was handed over: it goes to the next in line.
                self._return(waiter.result())
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            raise

    def _return(self, connection: Connection | None) -> None:
        if connection is None:
            self._free()
        else:
            self.release(connection)

    async def _open_one(self) -> Connection:
        self._refuse_if_closed()
        connection = Connection(asyncio.get_running_loop(), self._limits, self, self._cork)
        try:
            await self._connector.connect(connection)
            self._refuse_if_closed()
        except BaseException:
            connection.abort()
            raise
        self._open.add(connection)
        return connection

    def _free(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self.in_use -= 1

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise TransportFailure(TransportFailureKind.CONNECT, "the client is closed", sent=False)


def _timed_out() -> TransportFailure:
    return TransportFailure(TransportFailureKind.CONNECT_TIMEOUT, "no connection in time", sent=False)
