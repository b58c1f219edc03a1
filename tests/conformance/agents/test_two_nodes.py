"""Two nodes on one database: an agent or a council template that one changes is changed on the other too."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

import pytest

from junto.bootstrap.agents import open_agents
from junto.bootstrap.clock import SystemClock
from junto.bootstrap.councils_stored import open_stored_councils
from junto.bootstrap.identity import open_identity
from junto.bootstrap.replicas import Replicas
from junto.coordination.signals_memory import MemorySignals
from junto.council.book import TemplateBook
from junto.ports.agents import AgentChanges
from junto.storage.repositories.versions import read_versions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from junto.council.model import Template
    from junto.ports.signals import Signals
    from junto.storage.sessions import Sessions

pytestmark = pytest.mark.anyio

_NEVER = 3600.0
_TEMPLATE = {"members": [{"name": "A", "persona": "For."}]}


class Node:
    """What one process has of agents and councils."""

    def __init__(self, sessions: Sessions, signals: Signals, poll: float) -> None:
        self.sessions = sessions
        self.replicas = Replicas(partial(read_versions, sessions), signals, poll_seconds=poll, least_seconds=0.001)
        self.book = TemplateBook()

    async def start(self) -> None:
        clock = SystemClock()
        identity = await open_identity(self.sessions, self.replicas, clock, admin_digest=b"")
        self.agents = open_agents(self.sessions, self.replicas, identity.directory, clock)
        self.councils = open_stored_councils(self.sessions, self.replicas, book=lambda: self.book, receive=self.receive)
        await self.replicas.start()

    def receive(self, templates: Sequence[Template]) -> None:
        self.book = TemplateBook.of((), (), templates)


@pytest.fixture(params=["signalled", "polling"])
async def nodes(request: pytest.FixtureRequest, sessions: Sessions) -> AsyncIterator[tuple[Node, Node]]:
    """Two nodes that hear each other and never poll, and two that are deaf and do."""
    heard = request.param == "signalled"
    shared = MemorySignals()
    both = tuple(Node(sessions, shared if heard else MemorySignals(), _NEVER if heard else 0.02) for _ in range(2))
    for node in both:
        await node.start()
    yield both[0], both[1]
    for node in both:
        await node.replicas.stop()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110  it is the other node's own loop that is waited for
            await asyncio.sleep(0.005)


async def test_an_agent_is_known_changed_and_gone_on_both(nodes: tuple[Node, Node]) -> None:
    here, there = nodes
    await here.agents.directory.create("default", "ada", AgentChanges(role="clerk"), author="admin")
    assert here.agents.shelf.names("default") == ("ada",)
    await until(lambda: there.agents.shelf.names("default") == ("ada",))
    await there.agents.directory.change("default", "ada", AgentChanges(role="chief"), author="admin")

    def role() -> str:
        found = here.agents.shelf.find("default", "ada")
        return "" if found is None else found.role

    await until(lambda: role() == "chief")
    await here.agents.directory.delete("default", "ada", author="admin")
    assert here.agents.shelf.find("default", "ada") is None
    await until(lambda: there.agents.shelf.find("default", "ada") is None)


async def test_a_council_template_is_in_both_books_and_gone_from_both(nodes: tuple[Node, Node]) -> None:
    here, there = nodes
    await here.councils.save("mine", _TEMPLATE, author="admin")
    assert here.book.names() == ("mine",)
    await until(lambda: there.book.names() == ("mine",))
    await there.councils.delete("mine", author="admin")
    assert there.book.names() == ()
    await until(lambda: here.book.names() == ())
