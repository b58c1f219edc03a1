"""A connection to Postgres that the server has ended is replaced before it is used: a restart must not cost a request.

SQLAlchemy's own `pool_pre_ping` asks the server each time, a round trip for every transaction. A server that ends a connection says
so on its socket, which is looked at for nothing; one that is gone without a word shows after a pause, when it is asked.
"""

from __future__ import annotations

import select
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import event
from sqlalchemy.exc import InvalidatePoolError

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.pool import ConnectionPoolEntry

_TRUSTED_SECONDS: Final = 5.0  # since it was last used; the server is asked after that
_USED: Final = "junto.used"


def look_before_use(engine: Engine) -> None:
    """Look at each connection of the engine's pool when it is taken out."""

    @event.listens_for(engine, "checkin")
    def used(_: object, record: ConnectionPoolEntry) -> None:
        record.info[_USED] = monotonic()

    @event.listens_for(engine, "checkout")
    def look(connection: Any, record: ConnectionPoolEntry, _: object) -> None:
        last = record.info.get(_USED)
        if last is None:  # it was opened just now
            return
        if monotonic() - last < _TRUSTED_SECONDS and not _has_word(connection.driver_connection.fileno()):
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error  # the others that are as old are not tried


def _has_word(socket: int) -> bool:
    """Whether the server has sent something, or ended the connection."""
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))
