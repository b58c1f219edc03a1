"""The models that a caller is shown: those that its key may use. The same for every dialect's list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from junto.catalog.cards import ModelCard, card
from junto.catalog.permitted import is_permitted
from junto.catalog.tasks import all_cards, resolve_named
from junto.core.errors import UnknownModel
from junto.routing.facts import Traits

if TYPE_CHECKING:
    from junto.identity.principal import Principal
    from junto.web.services import WebServices

_SHOWN = 100


def visible_cards(services: WebServices, caller: Principal) -> tuple[ModelCard, ...]:
    """A card for every name that the caller may ask for."""
    snapshot, found = services.current.runtime.snapshot, services.heartbeats.found
    return all_cards(snapshot, services.routes.table, found, _traits(caller))


def visible_card(services: WebServices, caller: Principal, name: str) -> ModelCard:
    """The card of one name, pinned ones too; raises UnknownModel, also for what the caller's key may not use."""
    table = services.routes.table
    resolution = resolve_named(services.current.runtime.snapshot, table, name)
    if not is_permitted(resolution, _traits(caller), table):
        raise UnknownModel(f"There is no model {name[:_SHOWN]!r} for this key.", param="model")
    return card(resolution, services.heartbeats.found)


def _traits(caller: Principal) -> Traits:
    return Traits(
        sensitivity=caller.min_sensitivity,
        allow_cloud_for_internal=caller.allow_cloud_for_internal,
        allowed_models=caller.allowed_models,
    )
