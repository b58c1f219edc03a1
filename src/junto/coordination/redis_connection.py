"""How Junto connects to Redis: patience, retries and errors in one place. Never shows the address, which may hold a password."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from junto.core.secret import Secret

PATIENCE: Final = 0.5  # seconds for one command: a Redis that takes longer counts as away
AWAY: Final = (RedisError, OSError, TimeoutError)
_CONNECTIONS = 16
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0


def connect(url: Secret, *, patience: float = PATIENCE, connections: int = _CONNECTIONS) -> Redis:
    """A client that connects when it is first used; raises ValueError for an address that cannot be one.

    No command is sent twice: one whose answer was lost may have been carried out.
    """
    pool = BlockingConnectionPool.from_url(
        url.reveal(), max_connections=connections, timeout=patience, **connection_options(url, socket_timeout=patience)
    )
    return Redis.from_pool(pool)


def connection_options(url: Secret, *, socket_timeout: float) -> dict[str, Any]:
    """How each connection to that address is made, as redis-py names it."""
    options: dict[str, Any] = {
        "protocol": 2,
        "socket_timeout": socket_timeout,
        "socket_connect_timeout": PATIENCE,
        "retry": Retry(NoBackoff(), 0),
    }
    if url.reveal().startswith("unix:"):
        del options["socket_connect_timeout"]
    else:
        options["socket_keepalive"] = True
    return options


class Pauses:
    """How long to wait before the next try: longer each time, up to a second, for ever."""

    __slots__ = ("_next",)

    def __init__(self) -> None:
        self._next = _FIRST_PAUSE

    def reset(self) -> None:
        """It worked: the next failure waits briefly again."""
        self._next = _FIRST_PAUSE

    def next(self) -> float:
        """Seconds to wait now."""
        pause, self._next = self._next, min(self._next * 2, _LONGEST_PAUSE)
        return pause


class Presence:
    """Says once when Redis goes away and once when it is back, for one purpose."""

    __slots__ = ("_log", "_purpose", "away")

    def __init__(self, purpose: str) -> None:
        self.away = False
        self._purpose = purpose
        self._log = structlog.get_logger()

    def lost(self, error: BaseException) -> None:
        """A command failed."""
        if not self.away:
            self.away = True
            error_text = f"{type(error).__name__}: {error}"[:200]
            self._log.warning("redis.away", purpose=self._purpose, error=error_text)

    def found(self) -> None:
        """A command worked."""
        if self.away:
            self.away = False
            self._log.info("redis.back", purpose=self._purpose)
