"""kill -9 at any moment: every exchange that was acknowledged is in the database afterwards, none of them twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from junto.storage.engine import Database
from junto.storage.flusher import Flusher
from junto.storage.journal import Journal
from junto.storage.sessions import Sessions
from junto.storage.tables.exchanges import BODIES, EXCHANGES
from junto.storage.writer import ExchangeWriter

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

KILLS = 20

# Forks a life for each line it reads, so that the imports are paid for once; says how the life ended.
# A life records and acknowledges as a gateway would, while its flusher stores, rotates and deletes, until it is killed.
NURSERY = """
import asyncio, os, structlog, sys
from pathlib import Path
from junto.core.exchange import ExchangeRecord
from junto.storage.engine import Database
from junto.storage.flusher import Flusher
from junto.storage.journal import Journal
from junto.storage.lock import DataDirLock
from junto.storage.sessions import Sessions
from junto.storage.writer import ExchangeWriter

structlog.configure(logger_factory=structlog.WriteLoggerFactory(sys.stderr))  # standard output is for what was acknowledged

async def live(directory, life):
    with DataDirLock(directory):
        journal = Journal(directory / "journal", segment_bytes=40_000)
        journal.open()
        async with Database(directory) as database:
            flusher = Flusher(journal, ExchangeWriter(Sessions(database)), interval=0.01, batch_rows=50)
            flusher.start()
            number = 0
            while True:
                for _ in range(20):
                    number += 1
                    id = f"req_{life:04d}_{number:08d}"
                    body = (id * (1 + number % 97 * 4)).encode()
                    journal.append(ExchangeRecord(
                        id=id, started_ms=number, wire="openai.chat", operation="chat", requested_model="m",
                        sensitivity="internal", keep="full", request_body=body, answer_body=body[::-1],
                    ))
                    os.write(1, id.encode() + b"\\n")
                await asyncio.sleep(0.001)

for line in sys.stdin:
    child = os.fork()
    if not child:
        os.write(1, b"%d\\n" % os.getpid())
        asyncio.run(live(Path(sys.argv[1]), int(line)))
    _, status = os.waitpid(child, 0)
    os.write(1, b"ended %d\\n" % os.waitstatus_to_exitcode(status))
"""


def opened_nursery(directory: Path) -> subprocess.Popen[str]:
    """The forking process; it ends when its standard input is closed."""
    command = [sys.executable, "-c", NURSERY, str(directory)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def acknowledged_until_killed(nursery: subprocess.Popen[str], life: int, seconds: float) -> list[str]:
    """Begin a life, kill it that long after its first acknowledgement, and return the ids that it acknowledged."""
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    nursery.stdin.write(f"{life}\n")
    nursery.stdin.flush()
    child = int(nursery.stdout.readline())
    acknowledged = [nursery.stdout.readline().strip()]
    timer = threading.Timer(seconds, os.kill, (child, signal.SIGKILL))
    timer.start()
    while line := nursery.stdout.readline().strip():
        if line.startswith("ended"):
            break
        acknowledged.append(line)
    timer.join()
    assert line == f"ended {-signal.SIGKILL}"
    return acknowledged


async def recover(directory: Path) -> None:
    """Start as the next process would: read the journal again and flush it."""
    journal = Journal(directory / "journal")
    journal.open()
    async with Database(directory) as database:
        flusher = Flusher(journal, ExchangeWriter(Sessions(database)))
        flusher.start()
        await flusher.stop()
    assert journal.waiting_rows == 0
    journal.close()


async def test_no_acknowledged_exchange_is_lost_or_doubled_by_twenty_kills(tmp_path: Path) -> None:
    """Half of the lives begin on the ruins of the one before, without a recovery in between."""
    moments = random.Random(20)
    acknowledged: list[str] = []
    with opened_nursery(tmp_path) as nursery:
        for life in range(KILLS):
            acknowledged += acknowledged_until_killed(nursery, life, moments.uniform(0.0, 0.15))
            if life % 2:
                await recover(tmp_path)
    async with Database(tmp_path) as database, database.reader.connect() as connection:
        rows = (await connection.execute(select(EXCHANGES.c.id, EXCHANGES.c.request_bytes))).all()
        bodies = set((await connection.execute(select(BODIES.c.id))).scalars())
    stored = [row.id for row in rows]
    assert len(acknowledged) == len(set(acknowledged)) > KILLS
    assert set(acknowledged) - set(stored) == set()
    assert len(stored) == len(set(stored))
    assert bodies == set(stored)
    assert list((tmp_path / "journal").iterdir()) == []
