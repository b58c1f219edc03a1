"""Agents and council templates on every database: kept as they were written, and known to every node."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from junto.agents.shelf import AgentShelf
from junto.core.errors import Conflict
from junto.core.sensitivity import Sensitivity
from junto.ports.agents import AgentChanges, Channels, SlackChannel, WebChannel
from junto.ports.councils import StoredTemplate
from junto.storage.repositories.agents import AGENTS_VERSION
from junto.storage.repositories.councils import COUNCILS_VERSION, StoredCouncils
from junto.storage.repositories.versions import read_versions
from junto.storage.sessions import OPERATOR
from junto.storage.tables import TENANTS

from .lobby import OURS, THEIRS, Lobby

if TYPE_CHECKING:
    from junto.storage.sessions import Sessions

pytestmark = pytest.mark.anyio

CHANNELS = Channels(
    web=WebChannel(enabled=True, visitors=True), slack=SlackChannel(enabled=True, team="T1", app="A1", channels=("C1",))
)


async def test_an_agent_is_found_as_it_was_written(lobby: Lobby) -> None:
    agent = lobby.agent(
        "cleo",
        display_name="Cléo",
        role="front desk",
        persona="Warm.",
        instructions="Open 10 to 18.",
        model="quality",
        sensitivity=Sensitivity.CONFIDENTIAL,
        tools=True,
        channels=CHANNELS,
        retention_days=30,
        enabled=False,
    )
    created = await lobby.agents.create(agent)
    times = {"created_ms": created.created_ms, "updated_ms": created.updated_ms}
    assert created == type(agent)(**{name: getattr(agent, name) for name in agent.__struct_fields__} | times)
    assert created.created_ms == created.updated_ms > 1_600_000_000_000
    assert await lobby.agents.find(OURS, "cleo") == created
    assert await lobby.agents.find(THEIRS, "cleo") is None


async def test_a_name_is_taken_in_its_tenant_only(lobby: Lobby) -> None:
    with pytest.raises(Conflict, match="ada is taken"):
        await lobby.agents.create(lobby.agent())
    ours, theirs = await lobby.agents.find(OURS, "ada"), await lobby.agents.find(THEIRS, "ada")
    assert ours is not None
    assert theirs is not None
    assert ours.id != theirs.id


async def test_a_change_leaves_what_it_does_not_name(lobby: Lobby) -> None:
    before = await lobby.agents.find(OURS, "ada")
    assert before is not None
    changed = await lobby.agents.update(
        OURS, "ada", AgentChanges(persona="Dry.", sensitivity=Sensitivity.INTERNAL, retention_days=3)
    )
    assert changed is not None
    assert (changed.persona, changed.sensitivity, changed.retention_days) == ("Dry.", Sensitivity.INTERNAL, 3)
    assert (changed.model, changed.channels, changed.id) == (before.model, before.channels, before.id)
    lifted = await lobby.agents.update(OURS, "ada", AgentChanges(sensitivity=None, retention_days=None))
    assert lifted is not None
    assert (lifted.sensitivity, lifted.retention_days, lifted.persona) == (None, None, "Dry.")
    assert await lobby.agents.update(OURS, "nobody", AgentChanges(persona="Dry.")) is None


async def test_agents_are_paged_by_name(lobby: Lobby) -> None:
    for name in ("cleo", "bob"):
        await lobby.agents.create(lobby.agent(name))
    assert [one.name for one in await lobby.agents.agents(OURS, after=None, limit=2)] == ["ada", "bob"]
    assert [one.name for one in await lobby.agents.agents(OURS, after="bob", limit=2)] == ["cleo"]
    assert [one.name for one in await lobby.agents.agents(THEIRS, after=None, limit=9)] == ["ada"]


async def test_the_shelf_has_enabled_agents_of_enabled_tenants(lobby: Lobby) -> None:
    await lobby.agents.create(lobby.agent("bob"))
    shelf = AgentShelf()
    assert shelf.find(OURS, "ada") is None
    await shelf.load(lobby.agents)
    assert (shelf.names(OURS), shelf.names(THEIRS), shelf.names("nobody")) == (("ada", "bob"), ("ada",), ())
    await lobby.agents.update(OURS, "ada", AgentChanges(enabled=False))
    async with lobby.sessions.write(OPERATOR) as session:
        await session.execute(update(TENANTS).where(TENANTS.c.id == THEIRS).values(enabled=0))
    await shelf.load(lobby.agents)
    assert (shelf.names(OURS), shelf.find(OURS, "ada"), shelf.names(THEIRS)) == (("bob",), None, ())
    assert [agent.name for agent in shelf.all()] == ["bob"]


async def test_every_change_of_an_agent_makes_the_copies_old(lobby: Lobby) -> None:
    seen = [(await read_versions(lobby.sessions))[AGENTS_VERSION]]
    await lobby.agents.create(lobby.agent("bob"))
    seen.append((await read_versions(lobby.sessions))[AGENTS_VERSION])
    await lobby.agents.update(OURS, "bob", AgentChanges(role="clerk"))
    seen.append((await read_versions(lobby.sessions))[AGENTS_VERSION])
    await lobby.agents.delete(OURS, "bob")
    seen.append((await read_versions(lobby.sessions))[AGENTS_VERSION])
    assert sorted(set(seen)) == seen


async def test_a_council_template_is_stored_over_and_deleted(sessions: Sessions) -> None:
    store = StoredCouncils(sessions)
    first = await store.save(StoredTemplate(name="debate", document=b'{"members":[]}', author="admin"))
    assert (first.document, first.author, first.created_ms > 1_600_000_000_000) == (b'{"members":[]}', "admin", True)
    second = await store.save(StoredTemplate(name="debate", document='{"x":"ü"}'.encode(), author="other"))
    assert (second.document, second.author, second.created_ms) == ('{"x":"ü"}'.encode(), "other", first.created_ms)
    await store.save(StoredTemplate(name="a", document=b"{}"))
    assert [one.name for one in await store.all()] == ["a", "debate"]
    assert await store.find("debate") == second
    before = (await read_versions(sessions))[COUNCILS_VERSION]
    assert [await store.delete("debate"), await store.delete("debate")] == [True, False]
    assert await store.find("debate") is None
    assert (await read_versions(sessions))[COUNCILS_VERSION] > before
