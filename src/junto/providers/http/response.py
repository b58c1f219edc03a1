"""One response: status, headers, and a body that is read as it comes.

Owns the reader's side of an exchange and the duty to give the connection back. Must not interpret the body.
"""

from junto.providers.http.bounds import Deadlines
from junto.providers.http.connection import Connection
from junto.providers.http.errors import TransportFailure, TransportFailureKind
from junto.providers.http.phase import Phase
from junto.providers.http.pool import Pool


class Response:
    """The answer to one request; whoever got it calls `close` exactly when done with it, however that came about.

    status: an integer of 200 or more. headers: pairs of bytes, names in lower case, in the order received. One task
    reads at a time. A cancelled read aborts the socket at once.
    """

    __slots__ = ("_connection", "_deadlines", "_pool", "_started", "headers", "status")

    def __init__(self, connection: Connection, pool: Pool, deadlines: Deadlines) -> None:
        self.status = connection.status
        self.headers = connection.headers
        self._connection: Connection | None = connection
        self._pool = pool
        self._deadlines = deadlines
        self._started = False

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of a header, asked for in lower case."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    async def read(self) -> bytes:
        """Return the next bytes of the body as soon as there are any, b"" at the end of a complete body.

        Raises TransportFailure; the first wait is bounded by `first_byte`, later ones by `idle`.
        """
        while True:
            connection = self._connection
            if connection is None:
                raise TransportFailure(TransportFailureKind.RESET, "the response was closed", sent=True)
            if connection.chunks:
                self._started = True
                return connection.take()
            if connection.phase is Phase.DONE:
                return b""
            if connection.phase is not Phase.BODY:
                raise self._failure_of(connection)
            # Waited for here, not in a method of its own: each frame less counts for every event of a stream.
            if self._started:
                waiter = connection.wait(self._deadlines.idle, TransportFailureKind.IDLE_TIMEOUT)
            else:
                waiter = connection.wait(self._deadlines.first_byte, TransportFailureKind.FIRST_BYTE_TIMEOUT)
            try:
                await waiter
            except BaseException:
                self.close()
                raise

    async def read_all(self, limit: int) -> bytes:
        """Return the rest of the body, at most `limit` bytes; more is a TransportFailure and ends the connection."""
        connection = self._connection
        if connection is not None and connection.phase is Phase.DONE and connection.buffered <= limit:
            return connection.take()
        pieces: list[bytes] = []
        size = 0
        while piece := await self.read():
            size += len(piece)
            if size > limit:
                self.close()
                raise TransportFailure(TransportFailureKind.TOO_LARGE, "the body exceeds the limit", sent=True)
            pieces.append(piece)
        return b"".join(pieces)

    def close(self) -> None:
        """Give the connection back if the response is complete and it may be kept, else abort it at once; idempotent."""
        connection = self._connection
        if connection is not None:
            self._connection = None
            self._pool.release(connection)

    @staticmethod
    def _failure_of(connection: Connection) -> TransportFailure:
        if connection.failure is not None:
            return connection.failure
        return TransportFailure(TransportFailureKind.RESET, "the response was closed", sent=True)
