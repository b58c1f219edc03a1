"""Telling a database that is away from one that was asked the wrong thing."""

from __future__ import annotations

from contextlib import contextmanager
from sqlite3 import SQLITE_ERROR
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from junto.core.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import Iterator

_RETRY_AFTER: Final = 2.0  # seconds


@contextmanager
def told_when_away() -> Iterator[None]:
    """Callers are told to come back (503) instead of that something went wrong; a statement that is wrong stays an error."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout, OSError) as error:
        if getattr(getattr(error, "orig", None), "sqlite_errorcode", None) == SQLITE_ERROR:
            raise
        raise Overloaded("The database does not answer right now.", retry_after=_RETRY_AFTER) from error
