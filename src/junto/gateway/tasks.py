"""Requests that name a task: the route that applies, and what it and the task's prompt template add to the body.

Decides nothing about deployments. The body is amended once, on admission: what is relayed, translated and recorded is then
one and the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from junto.catalog.tasks import resolve_routed
from junto.dialects.amendment import Amendment
from junto.gateway.personas import resolve_persona
from junto.routing.route_table import apply, opened

if TYPE_CHECKING:
    from junto.catalog.model import Resolution
    from junto.catalog.resolve import Snapshot
    from junto.catalog.tasks import Routes
    from junto.dialects.wire import Head
    from junto.gateway.exchange import Arrival, Exchange
    from junto.identity.principal import Principal
    from junto.prompts.shelf import PromptShelf
    from junto.routing.route_table import Routed


class Tasks:
    """Routes and templates in force, as requests meet them."""

    def __init__(self, routes: Routes, prompts: PromptShelf) -> None:
        self._routes = routes
        self._prompts = prompts

    def routed(self, requested_model: str, task_type: str, request_id: str) -> Routed | None:
        """What the table in force says about a request; None where it names no task."""
        return apply(self._routes.table, requested_model, task_type, request_id)

    def amended(self, arrival: Arrival, head: Head, routed: Routed, principal: Principal) -> Head:
        """Put the route's defaults and the template into the arrival's body, if there are any; the head that it has then."""
        if routed.keeps_model:
            return head
        prompt = self._prompts.find(principal.client_id, routed.task_type)
        if prompt is None and routed.max_tokens is None and routed.sampling is None:
            return head
        amendment = Amendment(
            system=prompt.body if prompt is not None else None,
            max_tokens=routed.max_tokens,
            sampling=routed.sampling,
        )
        amended = arrival.wire.amend(arrival.body, amendment)
        arrival.body = amended.body
        if amended.is_prompted and prompt is not None:
            arrival.prompt_version = prompt.recorded
        return arrival.wire.peek(amended.body)


def resolve(exchange: Exchange, snapshot: Snapshot) -> Resolution:
    """Where an exchange may be answered; raises UnknownModel. A task on the client's list opens what its route leads to."""
    if exchange.persona is not None:
        principal = exchange.principal
        resolution, allowed = resolve_persona(exchange.persona, exchange.head.model, snapshot, principal.allowed_models)
        if allowed is not principal.allowed_models:
            exchange.principal = msgspec.structs.replace(principal, allowed_models=allowed)
        return resolution
    routed = exchange.routed
    if routed is None or routed.keeps_model:
        return snapshot.resolve(exchange.head.model)
    resolution = resolve_routed(snapshot, routed)
    allowed = exchange.principal.allowed_models
    if allowed is not None:
        wider = opened(allowed, exchange.head.model, routed, (stage.name for stage in resolution.stages))
        exchange.principal = msgspec.structs.replace(exchange.principal, allowed_models=wider)
    return resolution
