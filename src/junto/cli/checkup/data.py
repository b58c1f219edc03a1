"""Looks at the data directory: may it be written, who has it, and are the database and the journal in it sound."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from typing import TYPE_CHECKING

from junto.cli.checkup.finding import note, ok, wrong
from junto.cli.checkup.secret import check_secret
from junto.storage.frames import Skipped, scan
from junto.storage.lock import DataDirInUse, DataDirLock
from junto.storage.schema import VERSION
from junto.storage.secret_name import MARKER
from junto.storage.segments import list_segments

if TYPE_CHECKING:
    from pathlib import Path

    from junto.cli.checkup.finding import Finding
    from junto.core.secret import Secret

_LITTLE_SPACE = 200 * 1024 * 1024
_DATABASE = "junto.sqlite3"
_JOURNAL = "journal"


def check_data(
    data_dir: Path, *, is_running: bool, has_database: bool = True, secret: Secret | None = None
) -> list[Finding]:
    """Everything about the data directory; the files in it are looked at only while no Junto uses them.

    `has_database`: the database is in it, not elsewhere. `secret`: what bodies are to be encrypted under.
    """
    first = check_directory(data_dir)
    if first.level != "ok" or not data_dir.exists():
        return [first]
    findings = [first, *check_space(shutil.disk_usage(data_dir).free)]
    lock = DataDirLock(data_dir)
    try:
        lock.acquire()
    except DataDirInUse as used:
        if is_running:
            return [*findings, ok("data lock", "A running Junto has the data directory.")]
        fix = "If that is the Junto you meant to look at, name its port: server.port or --config."
        return [*findings, note("data lock", str(used), fix)]
    try:
        database = [*check_database_file(data_dir / _DATABASE, secret)] if has_database else []
        return [*findings, *database, check_journal(data_dir / _JOURNAL)]
    finally:
        lock.release()


def check_directory(data_dir: Path) -> Finding:
    """Files can be made in it, or it can be made."""
    shown = data_dir.absolute()
    fix = f"Give this user the right to write there (chown), or use another one: data_dir or --data-dir. Now: {shown}"
    if not data_dir.exists():
        parent = next(parent for parent in shown.parents if parent.exists())
        if os.access(parent, os.W_OK | os.X_OK):
            return ok("data directory", f"{shown} will be made at the first start.")
        return wrong("data directory", f"{shown} is not there, and {parent} does not let it be made.", fix)
    if not data_dir.is_dir():
        return wrong("data directory", f"{shown} is not a directory.", "Name another one: data_dir or --data-dir.")
    try:
        with tempfile.TemporaryFile(dir=data_dir):
            return ok("data directory", f"{shown} can be written.")
    except OSError as error:
        return wrong("data directory", f"{shown} cannot be written: {error.strerror}.", fix)


def check_space(free: int) -> list[Finding]:
    """A word when the disk is nearly full (bytes): then exchanges cannot be recorded, and requests are refused."""
    if free >= _LITTLE_SPACE:
        return []
    message = f"Only {free // 1024 // 1024} MiB are free on the data directory's disk."
    return [note("disk", message, "Free some, or lower storage.retention_days: a full disk stops all requests.")]


def check_database(path: Path) -> Finding:
    """It opens, and this Junto knows its schema."""
    if not path.exists():
        return ok("database", "It will be made at the first start.")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=2)) as connection:
            row = connection.execute("SELECT version FROM schema_version").fetchone()
            count = connection.execute("SELECT count(*) FROM exchanges").fetchone()[0]
    except sqlite3.Error as error:
        fix = "Move the file away to start with an empty one, or put a backup in its place."
        return wrong("database", f"{path} cannot be read: {error}.", fix)
    if row is not None and row[0] > VERSION:
        message = f"{path} has schema version {row[0]}, and this Junto knows {VERSION}."
        return wrong("database", message, "Upgrade Junto, or use another data directory.")
    return ok("database", f"{path.name} opens; {count} exchanges are stored.")


def check_database_file(path: Path, secret: Secret | None) -> list[Finding]:
    """The database opens, and its bodies can be read under the secret."""
    finding = check_database(path)
    if finding.level != "ok" or not path.exists():
        return [finding]
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=2)) as connection:
            row = connection.execute("SELECT value FROM markers WHERE name = ?", (MARKER,)).fetchone()
    except sqlite3.Error:  # an older Junto's, which kept no name
        row = None
    return [finding, *check_secret(None if row is None else row[0], secret)]


def check_journal(directory: Path) -> Finding:
    """What waits in it can be read."""
    if not directory.exists():
        return ok("journal", "It will be made at the first start.")
    waiting = lost = 0
    try:
        for segment in list_segments(directory):
            for item in scan(segment.path.read_bytes(), segment.marker):
                if isinstance(item, Skipped):
                    lost += item.length
                else:
                    waiting += 1
    except OSError as error:
        return wrong(
            "journal", f"{directory} cannot be read: {error.strerror}.", "Give this user the right to read it."
        )
    if lost:
        message = (
            f"{lost} bytes cannot be read (an exchange that was not acknowledged, or damage); {waiting} exchanges can."
        )
        return note("journal", message, "Nothing to do: the next start stores what can be read.")
    if waiting:
        return ok("journal", f"{waiting} exchanges wait; the next start stores them.")
    return ok("journal", "Nothing waits in it.")
