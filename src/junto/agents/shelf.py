"""All agents that are enabled, in memory, by tenant and name. Swapped whole whenever one changes."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from junto.ports.agents import Agent, AgentStore


class AgentShelf:
    """Finds agents; empty until it is loaded for the first time."""

    def __init__(self) -> None:
        self._agents: Mapping[str, Mapping[str, Agent]] = {}

    def find(self, tenant_id: str, name: str) -> Agent | None:
        """The tenant's agent of that name, as long as it is enabled."""
        return self._agents.get(tenant_id, {}).get(name)

    def names(self, tenant_id: str) -> tuple[str, ...]:
        """The names of the tenant's agents, in order."""
        return tuple(self._agents.get(tenant_id, {}))

    def all(self) -> Iterable[Agent]:
        """The agents of every tenant: a channel looks here for whose an event is."""
        return tuple(agent for agents in self._agents.values() for agent in agents.values())

    async def load(self, store: AgentStore) -> None:
        """Read everything again and swap it in at once; what the store raises leaves the old ones in force."""
        agents: defaultdict[str, dict[str, Agent]] = defaultdict(dict)
        for agent in sorted(await store.in_force(), key=lambda one: (one.tenant_id, one.name)):
            agents[agent.tenant_id][agent.name] = agent
        self._agents = dict(agents)
