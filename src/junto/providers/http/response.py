"""One response: status, headers, and a body that is read as it comes.

Owns the reader's side of an exchange and the duty to give the connection back. Must not interpret the body.
"""

from collections.abc import Callable

from junto.providers.http.bounds import Deadlines
from junto.providers.http.connection import Connection
from junto.providers.http.errors import TransportFailure, TransportFailureKind
from junto.providers.http.phase import Phase
from junto.providers.http.pool import Pool

LINGER_SECONDS = 1.0
_MOST_REMAINING = 4096  # bytes behind an answer's own end; more is not worth keeping a connection for


class _Remainder:
    """Takes what an upstream sends behind the end of its answer, a little of it."""

    def __init__(self) -> None:
        self._size = 0

    def take(self, data: bytes) -> bool:
        self._size += len(data)
        return self._size <= _MOST_REMAINING


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

    async def pump(self, sink: Callable[[bytes], bool]) -> None:
        """Hand pieces to `sink` straight from the socket, with no task woken for them, as long as it gives True.

        Returns, without a word about why, when it gave False (that piece is taken), when the body has ended or when it broke:
        `read` then gives what is left, and tells. For a reader that never waits by itself; `idle` bounds each wait.
        """
        connection = self._connection
        if connection is None or connection.chunks or connection.phase is not Phase.BODY:
            return
        waiter = connection.pump(sink, self._deadlines.idle, TransportFailureKind.IDLE_TIMEOUT)
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

    def close(self, *, finished: bool = False) -> None:
        """Give the connection back if the response is complete and it may be kept, else abort it at once; idempotent.

        `finished`: the reader has all it wants, and only the end of the framing may be on its way. The connection is then
        given back when that has come, within a second.
        """
        connection = self._connection
        if connection is None:
            return
        self._connection = None
        if finished and connection.phase is Phase.BODY and not connection.chunks:
            ended = connection.pump(_Remainder().take, LINGER_SECONDS, TransportFailureKind.IDLE_TIMEOUT)
            ended.add_done_callback(lambda _: self._pool.release(connection))
        else:
            self._pool.release(connection)

    @staticmethod
    def _failure_of(connection: Connection) -> TransportFailure:
        if connection.failure is not None:
            return connection.failure
        return TransportFailure(TransportFailureKind.RESET, "the response was closed", sent=True)
