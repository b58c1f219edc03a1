"""Agents as the gateway meets them (gateway/personas.py): what an agent puts into a request is made once, not for each request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from junto.agents.prompt import amendment_of
from junto.gateway.personas import Persona

if TYPE_CHECKING:
    from collections.abc import Iterable

    from junto.agents.shelf import AgentShelf
    from junto.ports.agents import Agent


class ShelvedPersonas:
    """The agents of a shelf."""

    def __init__(self, shelf: AgentShelf) -> None:
        self._shelf = shelf
        self._made: dict[tuple[str, str], tuple[Agent, Persona]] = {}

    def find(self, tenant_id: str, name: str) -> Persona | None:
        agent = self._shelf.find(tenant_id, name)
        if agent is None:
            self._made.pop((tenant_id, name), None)
            return None
        made = self._made.get((tenant_id, name))
        if made is None or made[0] is not agent:
            made = self._made[tenant_id, name] = (agent, _persona(agent))
        return made[1]

    def names(self, tenant_id: str) -> Iterable[str]:
        return self._shelf.names(tenant_id)


def _persona(agent: Agent) -> Persona:
    return Persona(
        name=agent.name,
        model=agent.model,
        amendment=amendment_of(agent),
        floor=agent.sensitivity,
    )
