"""Two nodes on one database: a key that one makes works on the other, and one that it revokes ends there too."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

import pytest

from junto.bootstrap.clock import SystemClock
from junto.bootstrap.identity import Identity, open_identity
from junto.bootstrap.replicas import Replicas
from junto.coordination.signals_memory import MemorySignals
from junto.core.errors import Forbidden, JuntoError, Unauthenticated
from junto.identity.authentication import Authenticator, AuthMode, UnknownKey
from junto.identity.keys import digest
from junto.identity.principal import ApiScope, Principal
from junto.ports.identity import ClientChanges, TenantChanges
from junto.storage.repositories.versions import read_versions
from junto.storage.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from junto.ports.signals import Signals
    from junto.storage.engine import Database

pytestmark = pytest.mark.anyio
_NEVER = 3600.0


class Node:
    """What one process has of identity."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.directory = identity.directory

    @property
    def authenticator(self) -> Authenticator:
        return self.identity.authenticator(AuthMode.KEYS, Principal())

    def who(self, key: str) -> Principal | type[JuntoError]:
        """Whom this node takes a key for, without asking anybody; or the error that it would refuse it with."""
        try:
            return self.authenticator.for_inference(None, key.encode())
        except JuntoError as refused:
            return type(refused)


@pytest.fixture(params=["signalled", "polling"])
async def nodes(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[tuple[Node, Node]]:
    """Two nodes that hear each other and never poll, and two that are deaf and do."""
    heard = request.param == "signalled"
    shared: Signals = MemorySignals()
    sessions = Sessions(database)
    async with AsyncExitStack() as stack:
        nodes = []
        for _ in range(2):
            signals = shared if heard else MemorySignals()
            replicas = Replicas(
                partial(read_versions, sessions),
                signals,
                poll_seconds=_NEVER if heard else 0.02,
                least_seconds=0.001,
            )
            identity = await open_identity(sessions, replicas, SystemClock(), admin_digest=digest("admin"))
            stack.push_async_callback(replicas.stop)
            await replicas.start()
            nodes.append(Node(identity))
        yield nodes[0], nodes[1]


async def comes_to(node: Node, key: str, wanted: str | type[JuntoError]) -> None:
    """Wait until the node takes the key for that client, or refuses it so, by itself."""
    async with asyncio.timeout(10):
        while True:
            who = node.who(key)
            if (who.client if isinstance(who, Principal) else who) == wanted:
                return
            await asyncio.sleep(0.002)


async def test_a_key_works_on_the_node_that_made_it_when_the_answer_is_sent(nodes: tuple[Node, Node]) -> None:
    here, _ = nodes
    issued = await here.directory.create_client("default", ClientChanges(name="shop"))
    await comes_to(here, issued.key.reveal(), "shop")
    assert isinstance(here.who(issued.key.reveal()), Principal)


async def test_a_key_that_another_node_made_is_found_before_it_is_refused(nodes: tuple[Node, Node]) -> None:
    here, there = nodes
    issued = await here.directory.create_client("default", ClientChanges(name="shop"))
    who = await there.authenticator.caller(None, issued.key.reveal().encode(), ApiScope.INFERENCE)
    assert who.client == "shop"


async def test_what_one_node_changes_the_other_follows(nodes: tuple[Node, Node]) -> None:
    here, there = nodes
    issued = await here.directory.create_client("default", ClientChanges(name="shop"))
    key = issued.key.reveal()
    await comes_to(there, key, "shop")
    await here.directory.change_client(issued.client.id, ClientChanges(name="store"))
    await comes_to(there, key, "store")
    await here.directory.change_client(issued.client.id, ClientChanges(enabled=False))
    assert here.who(key) is Forbidden
    await comes_to(there, key, Forbidden)
    await there.directory.change_client(issued.client.id, ClientChanges(enabled=True))
    await comes_to(here, key, "store")
    await there.directory.change_tenant("default", TenantChanges(enabled=False))
    await comes_to(here, key, Forbidden)


async def test_a_key_that_one_node_revokes_ends_on_the_other(nodes: tuple[Node, Node]) -> None:
    here, there = nodes
    issued = await here.directory.create_client("default", ClientChanges(name="shop"))
    old = issued.key.reveal()
    await comes_to(there, old, "shop")
    new = (await here.directory.rotate_key(issued.client.id, overlap_seconds=0)).key.reveal()
    assert here.who(old) is UnknownKey
    await comes_to(there, old, UnknownKey)
    await comes_to(there, new, "shop")
    with pytest.raises(Unauthenticated):
        await there.authenticator.caller(None, old.encode(), ApiScope.INFERENCE)
