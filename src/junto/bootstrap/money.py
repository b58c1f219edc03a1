"""Assembles what counts money: the purse of this node, and the administration of budgets and usage.

The ledger's part of the flush (`LedgerWriter.post`) is given to the exchange writer, in bootstrap/storage.py.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from junto.core.ids import record_id
from junto.gateway.purse import Purse
from junto.identity.budgeting import Budgeting
from junto.storage.repositories.billing import StoredMoney
from junto.storage.repositories.credit import StoredCredit
from junto.storage.repositories.identity import KEYS_VERSION

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AsyncExitStack
    from pathlib import Path

    from junto.bootstrap.replicas import Replicas
    from junto.ports.clock import Clock
    from junto.ports.money import MoneyStore
    from junto.storage.sessions import Sessions

_NODE_FILE = "node-id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """What the rest of Junto uses of it."""

    purse: Purse
    store: MoneyStore
    budgeting: Budgeting


def open_money(
    sessions: Sessions,
    replicas: Replicas,
    clock: Clock,
    stack: AsyncExitStack,
    *,
    data_dir: Path,
    replayed: Callable[[], bool],
) -> Money:
    """Everything that counts money, with the purse at work until the stack is closed.

    `replayed` says whether what an earlier life left in the journal of this data directory is in the database by now. The lock
    on the data directory is held, so nobody else has this node's name.
    """
    purse = Purse(
        StoredCredit(sessions), clock, holder=f"{node_id(data_dir)}:{secrets.token_hex(8)}", replayed=replayed
    )
    purse.start()
    stack.push_async_callback(purse.stop)
    store = StoredMoney(sessions)
    return Money(
        purse=purse,
        store=store,
        budgeting=Budgeting(
            store,
            make_id=lambda: record_id("bud", clock.wall_ms(), secrets.randbits(52)),
            announce=partial(replicas.changed, KEYS_VERSION),
        ),
    )


def node_id(data_dir: Path) -> str:
    """The name of whoever owns this data directory, made once: by it a node finds what its earlier lives had reserved."""
    path = data_dir / _NODE_FILE
    try:
        found = path.read_text().strip()
    except FileNotFoundError:
        found = ""
    if found:
        return found
    made = f"node_{secrets.token_hex(8)}"
    beside = path.with_suffix(".new")
    beside.write_text(made + "\n")
    beside.replace(path)  # in one step: a file that is half written must not be read
    return made
