"""Requests that name an agent: its system text ends the body's, its model answers, its floor holds.

As with tasks, the body is amended once, on admission: what is relayed, translated and recorded is then one and the same. Who the
agents are and what they say is agents/'s business; this knows what of it a request meets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from junto.core.errors import UnknownModel
from junto.core.near import did_you_mean
from junto.core.sensitivity import Sensitivity
from junto.dialects.amendment import Amendment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from junto.catalog.model import Resolution
    from junto.catalog.resolve import Snapshot
    from junto.gateway.exchange import Arrival
    from junto.identity.principal import Principal
    from junto.routing.route_table import Routed

PREFIX: Final = "agent/"


class Persona(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """An agent as a request meets it: who answers, what is put into the body, and the tier that it keeps at least."""

    name: str
    model: str
    amendment: Amendment
    floor: Sensitivity | None = None


class Personas(Protocol):
    """The agents in force."""

    def find(self, tenant_id: str, name: str) -> Persona | None:
        """The tenant's agent of that name (without `agent/`)."""

    def names(self, tenant_id: str) -> Iterable[str]:
        """The names of the tenant's agents."""


def persona_of(personas: Personas, principal: Principal, requested: str) -> Persona:
    """The agent that a request names; raises UnknownModel, which lists near names: another tenant's is none."""
    name = requested.removeprefix(PREFIX).removesuffix(":latest")
    persona = personas.find(principal.tenant, name)
    if persona is None:
        raise UnknownModel(
            f"There is no agent {name[:100]!r} here.{did_you_mean(name, personas.names(principal.tenant))}",
            param="model",
        )
    return persona


def put_on(persona: Persona, arrival: Arrival) -> None:
    """Amend the arrival's body; raises Unsupported or InvalidField for what would pass the agent's words over."""
    arrival.body = arrival.wire.amend(arrival.body, persona.amendment).body


def resolve_persona(
    persona: Persona, requested: str, snapshot: Snapshot, allowed: frozenset[str] | None
) -> tuple[Resolution, frozenset[str] | None]:
    """Where the agent is answered, and what the caller may use for it: whoever may ask an agent may use its model for that."""
    resolution = snapshot.resolve(persona.model)
    if allowed is None or not {requested, PREFIX + persona.name} & allowed:
        return resolution, allowed
    return resolution, allowed | {persona.model, *(stage.name for stage in resolution.stages)}


def floor_of(routed: Routed | None, persona: Persona | None) -> Sensitivity | None:
    """The higher of the floors of a route and an agent; None where neither says anything."""
    floors = [each.floor for each in (routed, persona) if each is not None and each.floor is not None]
    return max(floors, default=None)
