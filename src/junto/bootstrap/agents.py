"""Assembles agents: the shelf of all nodes, the conversations, and their administration."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from junto.agents.directory import AgentDirectory
from junto.agents.personas import ShelvedPersonas
from junto.agents.shelf import AgentShelf
from junto.core.ids import record_id
from junto.storage.repositories.agents import AGENTS_VERSION, StoredAgents
from junto.storage.repositories.conversations import StoredConversations

if TYPE_CHECKING:
    from junto.bootstrap.replicas import Replicas
    from junto.identity.directory import Directory
    from junto.ports.clock import Clock
    from junto.storage.sessions import Sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Agents:
    """What the rest of Junto uses of it. `shelf` finds the agents in force."""

    shelf: AgentShelf
    personas: ShelvedPersonas
    directory: AgentDirectory
    conversations: StoredConversations


def open_agents(sessions: Sessions, replicas: Replicas, tenants: Directory, clock: Clock) -> Agents:
    """Have the agents kept fresh from when `replicas` is started."""

    def make_id(kind: str) -> str:
        return record_id(kind, clock.wall_ms(), secrets.randbits(52))

    store = StoredAgents(sessions)
    shelf = AgentShelf()
    replicas.register(AGENTS_VERSION, partial(shelf.load, store))
    conversations = StoredConversations(sessions, make_id=make_id)
    directory = AgentDirectory(
        store,
        conversations,
        tenants=tenants,
        make_id=make_id,
        announce=partial(replicas.changed, AGENTS_VERSION),
    )
    return Agents(shelf=shelf, personas=ShelvedPersonas(shelf), directory=directory, conversations=conversations)
