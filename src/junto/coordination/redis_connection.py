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
    """What a process knows of its Redis: away as long as the last try of any purpose failed.

    Says so once when it goes, whichever purpose noticed it, and once when it is there again for all of them.
    """

    __slots__ = ("_log", "_missed")

    def __init__(self) -> None:
        self._missed: set[str] = set()
        self._log = structlog.get_logger()

    @property
    def away(self) -> bool:
        """Whether some purpose goes without it now."""
        return bool(self._missed)

    def lost(self, purpose: str, error: BaseException) -> None:
        """A command failed."""
        if not self._missed:
            error_text = f"{type(error).__name__}: {error}"[:200]
            self._log.warning("redis.away", purpose=purpose, error=error_text)
        self._missed.add(purpose)

    def found(self, purpose: str) -> None:
        """A command worked."""
        if purpose in self._missed:
            self._missed.remove(purpose)
            if not self._missed:
                self._log.info("redis.back", purpose=purpose)
