"""The models that a caller is shown: those that its key may use. The same for every dialect's list."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from junto.catalog.cards import ModelCard, card
from junto.catalog.model import Kind, Resolution
from junto.catalog.permitted import is_permitted
from junto.catalog.tasks import all_cards, resolve_named
from junto.core.errors import UnknownModel
from junto.gateway.personas import PREFIX, persona_of, resolve_persona
from junto.routing.facts import Traits

if TYPE_CHECKING:
    from junto.identity.principal import Principal
    from junto.web.services import WebServices

_SHOWN = 100


def visible_cards(services: WebServices, caller: Principal) -> tuple[ModelCard, ...]:
    """A card for every name that the caller may ask for."""
    snapshot, found, traits = services.current.runtime.snapshot, services.heartbeats.found, _traits(caller)
    cards = all_cards(snapshot, services.routes.table, found, traits)
    agents = [_agent(services, caller, PREFIX + name) for name in services.personas.names(caller.tenant)]
    shown = [card(one, found) for one, seen in agents if is_permitted(one, seen, services.routes.table)]
    return (*cards, *shown)


def visible_card(services: WebServices, caller: Principal, name: str) -> ModelCard:
    """The card of one name, pinned ones too; raises UnknownModel, also for what the caller's key may not use."""
    table, traits = services.routes.table, _traits(caller)
    if name.startswith(PREFIX):
        resolution, traits = _agent(services, caller, name)
    else:
        resolution = resolve_named(services.current.runtime.snapshot, table, name)
    if not is_permitted(resolution, traits, table):
        raise UnknownModel(f"There is no model {name[:_SHOWN]!r} for this key.", param="model")
    return card(resolution, services.heartbeats.found)


def _agent(services: WebServices, caller: Principal, name: str) -> tuple[Resolution, Traits]:
    """An agent of the caller's tenant as a model, and what the caller may use for it; raises UnknownModel."""
    persona, traits = persona_of(services.personas, caller, name), _traits(caller)
    try:
        resolution, allowed = resolve_persona(persona, name, services.current.runtime.snapshot, caller.allowed_models)
        behind = resolution.stages
    except UnknownModel:  # its model is nowhere now; the agent is there all the same
        behind, allowed = (), caller.allowed_models
    floor = traits.sensitivity if persona.floor is None else max(persona.floor, traits.sensitivity)
    seen = msgspec.structs.replace(traits, sensitivity=floor, allowed_models=allowed)
    return Resolution(name=PREFIX + persona.name, kind=Kind.AGENT, stages=behind), seen


def _traits(caller: Principal) -> Traits:
    return Traits(
        sensitivity=caller.min_sensitivity,
        allow_cloud_for_internal=caller.allow_cloud_for_internal,
        allowed_models=caller.allowed_models,
    )
