"""Assembles routes: the table of all nodes, its administration, and the recorded traffic that changes are tried on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from junto.catalog.route_book import RouteBook
from junto.catalog.tasks import Routes
from junto.storage.repositories.routes import ROUTES_VERSION, StoredRoutes, StoredTraffic

if TYPE_CHECKING:
    from junto.bootstrap.replicas import Replicas
    from junto.gateway.runtime import Current
    from junto.ports.routes import RecordedTraffic
    from junto.storage.sessions import Sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """What the rest of Junto uses of it. `routes.table` is the table in force."""

    routes: Routes
    book: RouteBook
    traffic: RecordedTraffic


def open_routing(sessions: Sessions, replicas: Replicas, current: Current) -> Routing:
    """Have the table kept fresh from when `replicas` is started."""
    store = StoredRoutes(sessions)
    routes = Routes()
    replicas.register(ROUTES_VERSION, partial(routes.load, store))
    book = RouteBook(
        store,
        routes,
        snapshot=lambda: current.runtime.snapshot,
        announce=partial(replicas.changed, ROUTES_VERSION),
    )
    return Routing(routes=routes, book=book, traffic=StoredTraffic(sessions))
