"""The few kinds of columns that Junto's tables are made of. All of them mean the same in SQLite and in Postgres.

Times are milliseconds since the epoch, money is nano-dollars, flags are 0 or 1, and ids are text that Junto made.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Text


def text(name: str, *, default: str | None = None) -> Column[str]:
    """Text that is always there; `default` is for rows that an older revision wrote."""
    return Column(name, Text, nullable=False, server_default=default)


def count(name: str, *, default: int | None = None) -> Column[int]:
    """A 64-bit integer that is always there."""
    return Column(name, BigInteger, nullable=False, server_default=None if default is None else str(default))


def maybe_count(name: str) -> Column[int]:
    """A 64-bit integer, or nothing: no limit, not yet."""
    return Column(name, BigInteger, nullable=True)


def flag(name: str, *, default: int | None = None) -> Column[int]:
    """0 or 1: a plain integer binds fastest, and means the same in every database."""
    return Column(name, Integer, nullable=False, server_default=None if default is None else str(default))


def maybe_bytes(name: str) -> Column[bytes]:
    """Bytes, or nothing."""
    return Column(name, LargeBinary, nullable=True)
