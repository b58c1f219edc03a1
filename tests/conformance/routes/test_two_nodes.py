"""Two nodes on one database: a route or a template that one saves is in force on the other too."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pytest

from junto.bootstrap.replicas import Replicas
from junto.catalog.route_book import RouteBook
from junto.catalog.tasks import Routes
from junto.coordination.signals_memory import MemorySignals
from junto.core.errors import NotFound
from junto.core.sensitivity import Sensitivity
from junto.ports.prompts import NewPrompt
from junto.prompts.library import PromptLibrary
from junto.prompts.shelf import PromptShelf
from junto.routing.route_table import apply
from junto.routing.routes import Route
from junto.storage.repositories.prompts import PROMPTS_VERSION, StoredPrompts
from junto.storage.repositories.routes import ROUTES_VERSION, StoredRoutes
from junto.storage.repositories.versions import read_versions
from tests.unit.catalog.specs import cloud, snapshot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from junto.ports.signals import Signals
    from junto.storage.sessions import Sessions

pytestmark = pytest.mark.anyio
_NEVER = 3600.0


@dataclass
class Node:
    """What one process has of routes and prompts."""

    routes: Routes
    book: RouteBook
    shelf: PromptShelf
    library: PromptLibrary

    def where(self, task: str) -> str:
        routed = apply(self.routes.table, f"task/{task}", "")
        return "" if routed is None else f"{routed.model} by {routed.label}"

    def said(self, client_id: str = "") -> str:
        prompt = self.shelf.find(client_id, "email")
        return "" if prompt is None else prompt.body


@pytest.fixture(params=["signalled", "polling"])
async def nodes(request: pytest.FixtureRequest, sessions: Sessions) -> AsyncIterator[tuple[Node, Node]]:
    """Two nodes that hear each other and never poll, and two that are deaf and do."""
    heard = request.param == "signalled"
    shared: Signals = MemorySignals()
    catalog = snapshot(cloud("up", "fast"))
    async with AsyncExitStack() as stack:
        nodes = []
        for _ in range(2):
            signals = shared if heard else MemorySignals()
            poll = _NEVER if heard else 0.02
            replicas = Replicas(partial(read_versions, sessions), signals, poll_seconds=poll, least_seconds=0.001)
            routes, shelf = Routes(), PromptShelf()
            stored_routes, stored_prompts = StoredRoutes(sessions), StoredPrompts(sessions)
            replicas.register(ROUTES_VERSION, partial(routes.load, stored_routes))
            replicas.register(PROMPTS_VERSION, partial(shelf.load, stored_prompts))
            book = RouteBook(
                stored_routes,
                routes,
                snapshot=lambda: catalog,
                announce=partial(replicas.changed, ROUTES_VERSION),
            )
            library = PromptLibrary(stored_prompts, announce=partial(replicas.changed, PROMPTS_VERSION))
            stack.push_async_callback(replicas.stop)
            await replicas.start()
            nodes.append(Node(routes, book, shelf, library))
        yield nodes[0], nodes[1]


async def comes_to(seen: Callable[[], str], wanted: str) -> None:
    async with asyncio.timeout(10):
        while True:
            if seen() == wanted:
                return
            await asyncio.sleep(0.002)


def route(model: str) -> Route:
    return Route(task_type="email", preferred_model=model, sensitivity=Sensitivity.PUBLIC)


async def test_a_route_is_in_force_here_at_once_and_there_soon(nodes: tuple[Node, Node]) -> None:
    here, there = nodes
    await here.book.save(route("a"), author="admin", expected=None)
    assert here.where("email") == "a by email@1"
    await comes_to(lambda: there.where("email"), "a by email@1")
    await there.book.save(route("b"), author="admin", expected=1)
    assert there.where("email") == "b by email@2"
    await comes_to(lambda: here.where("email"), "b by email@2")
    await here.book.roll_back("email", 1, author="admin", expected=None)
    await comes_to(lambda: there.where("email"), "a by email@3")
    await there.book.delete("email", author="admin", expected=None)
    await comes_to(lambda: here.where("email"), "fast by default")
    with pytest.raises(NotFound):
        await here.book.get("email")


async def test_a_deletion_can_be_rolled_back_and_forth(nodes: tuple[Node, Node]) -> None:
    here, there = nodes
    await here.book.save(route("a"), author="admin", expected=None)
    await here.book.delete("email", author="admin", expected=None)
    await there.book.roll_back("email", 1, author="admin", expected=2)
    assert there.where("email") == "a by email@3"
    back = await here.book.roll_back("email", 2, author="admin", expected=None)
    assert back.saved.route is None
    assert here.where("email") == "fast by default"


async def test_a_template_is_in_force_here_at_once_and_there_soon(nodes: tuple[Node, Node]) -> None:
    here, there = nodes
    shared = NewPrompt(client_id="", task_type="email", body="all", source="api")
    own = NewPrompt(client_id="cli_1", task_type="email", body="one", source="api")
    await here.library.save(shared, author="admin", expected=0)
    assert here.said("cli_1") == "all"
    await comes_to(lambda: there.said("cli_1"), "all")
    await there.library.save(own, author="admin", expected=0)
    await comes_to(lambda: here.said("cli_1"), "one")
    await here.library.delete("cli_1", "email", author="admin", source="api", expected=None)
    await comes_to(lambda: there.said("cli_1"), "all")
    await there.library.roll_back("cli_1", "email", 1, author="admin", source="api", expected=None)
    await comes_to(lambda: here.said("cli_1"), "one")
