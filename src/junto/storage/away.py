"""Telling a database that is away from one that was asked the wrong thing."""

from __future__ import annotations

from contextlib import contextmanager
from sqlite3 import SQLITE_ERROR
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from junto.core.errors import InvalidField, Overloaded

if TYPE_CHECKING:
    from collections.abc import Iterator

_RETRY_AFTER: Final = 2.0  # seconds
_NUL: Final = "cannot contain NUL"  # as psycopg says it, before it asks the server


@contextmanager
def told_when_away() -> Iterator[None]:
    """Callers are told to come back (503) instead of that something went wrong; a statement that is wrong stays an error.

    Postgres has no text with a NUL in it, and any id, name or note of a caller may have one: then it is theirs to mend (422).
    """
    try:
        yield
    except (DBAPIError, PoolTimeout, OSError) as error:
        if isinstance(error, DataError) and _NUL in str(error.orig):
            raise InvalidField(
                "A text has a NUL character in it, which can neither be stored nor looked for."
            ) from error
        if isinstance(error, DBAPIError) and not _is_away(error):
            raise
        raise Overloaded("The database does not answer right now.", retry_after=_RETRY_AFTER) from error


def _is_away(error: DBAPIError) -> bool:
    if getattr(error.orig, "sqlite_errorcode", None) == SQLITE_ERROR:
        return False
    # A connection that the server has ended is none any more, whatever kind of error the driver makes of it.
    return isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated


def why(error: BaseException) -> str:
    """What the driver said, in one line, for the log and for the operator: neither statements nor values are in it."""
    cause = error.__cause__ if isinstance(error, Overloaded) and error.__cause__ is not None else error
    return " ".join(str(getattr(cause, "orig", None) or cause).split())
