"""Chooses the shadows of exchanges as these are stored, under the floor of their source. Contacts nobody and waits for nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from junto.core.errors import NotServable, Unsupported
from junto.evals.sampling import is_eligible, route_of, sampled, source_of
from junto.ports.replays import Purpose, Replay
from junto.ports.shadows import NewShadow, ShadowStatus, Why

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from junto.core.exchange import ExchangeRecord
    from junto.evals.standing import StandingOf
    from junto.ports.replays import Replays
    from junto.ports.shadows import ShadowObserver
    from junto.routing.route_table import RouteTable
    from junto.routing.routes import Route, ShadowModel


class Choosing:
    """Implements ports.shadows.ShadowChooser. `wake` is called when there is something to do."""

    def __init__(
        self,
        *,
        routes: Callable[[], RouteTable],
        replays: Replays,
        standing: StandingOf,
        observer: ShadowObserver,
        make_id: Callable[[], str],
        wake: Callable[[], None],
    ) -> None:
        self._routes = routes
        self._replays = replays
        self._standing = standing
        self._observer = observer
        self._make_id = make_id
        self._wake = wake

    def choose(self, records: Sequence[ExchangeRecord]) -> Sequence[NewShadow]:
        table = self._routes()
        chosen: list[NewShadow] = []
        for record in records:
            if not is_eligible(record):
                continue
            route = route_of(table, record.task_type)
            for shadow in sampled(record, route) if route is not None else ():
                new = self._new(record, route, shadow)
                if new is not None:
                    chosen.append(new)
        return chosen

    def kept(self, shadows: Sequence[NewShadow], *, dropped: Sequence[NewShadow]) -> None:
        for one in shadows:
            self._observer.shadow_sampled(task_type=one.task_type, model=one.model)
        for one in dropped:
            self._dropped(one.task_type, one.model, Why.BACKLOG)
        if shadows:
            self._wake()

    def _new(self, record: ExchangeRecord, route: Route | None, shadow: ShadowModel) -> NewShadow | None:
        try:
            body = self._replays.body_for(record.wire, record.request_body, shadow.model)
            refusal = self._replays.prospect(self._replay(record, body)).refusal
        except Unsupported:  # its wire names no model, so there is no other to be named
            self._dropped(record.task_type, shadow.model, Why.UNSUITED)
            return None
        except Exception:  # noqa: BLE001  whatever it is, the exchange has to be stored
            structlog.get_logger().exception("shadow_unreadable", exchange=record.id, wire=record.wire)
            self._dropped(record.task_type, shadow.model, Why.UNREADABLE)
            return None
        if isinstance(refusal, NotServable):
            self._dropped(record.task_type, shadow.model, Why.FLOOR)
            return None
        kind, source_id = source_of(record)
        return NewShadow(
            id=self._make_id(),
            tenant_id=record.tenant,
            source_kind=kind,
            source_id=source_id,
            task_type=record.task_type,
            client_id=record.client_id,
            sensitivity=record.sensitivity,
            wire=record.wire,
            production_model=record.model,
            model=shadow.model,
            request=body,
            prompt_version=record.prompt_version,
            route_version=0 if route is None else route.version,
        )

    def _replay(self, record: ExchangeRecord, body: bytes) -> Replay:
        standing = self._standing(record.client_id, record.tenant)
        return Replay(
            id="",
            purpose=Purpose.SHADOW,
            wire=record.wire,
            body=body,
            tenant_id=record.tenant,
            sensitivity=standing.tier(record.sensitivity),
            allow_cloud=standing.allow_cloud,
            task_type=record.task_type,
        )

    def _dropped(self, task_type: str, model: str, reason: Why) -> None:
        self._observer.shadow_ended(
            task_type=task_type, model=model, status=ShadowStatus.DROPPED.value, reason=reason.value
        )
