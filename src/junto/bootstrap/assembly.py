"""From settings to the runtime in force: the catalog's specification, the targets, and the swap.

Rebuilds whenever settings, prices or what the backends have change. A runtime is swapped in whole or not at all.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import msgspec
import structlog

from junto.bootstrap.fleet import key_hint, slots_of
from junto.catalog.build import build
from junto.catalog.model import BackendSpec, CatalogSpec, GroupSpec, MemberSpec
from junto.core.sensitivity import Locality, Sensitivity, parse_sensitivity
from junto.gateway.runtime import Runtime, Target, lines_of, target_headers
from junto.ports.provider import Deadlines
from junto.providers.profiles import respells_limit
from junto.providers.registry import VENDORS, Family
from junto.providers.respelling import Respelling
from junto.routing.facts import Policy, Strategy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from junto.bootstrap.convening import Councils
    from junto.bootstrap.fleet import Fleet
    from junto.catalog.board import LiveBoard
    from junto.catalog.prices import PriceTable
    from junto.catalog.resolve import Snapshot
    from junto.ports.provider import Probe, Provider
    from junto.routing.facts import DeploymentFacts
    from junto.settings.model import BackendSettings, Settings


class Assembly:
    """Holds what a runtime is made from, and makes it."""

    def __init__(self, fleet: Fleet, board: LiveBoard, councils: Councils) -> None:
        self._fleet = fleet
        self._board = board
        self._councils = councils
        self._version = 0
        self._warned: tuple[str, ...] = ()

    def assemble(
        self,
        settings: Settings,
        backends: Sequence[BackendSettings],
        prices: PriceTable,
        found: Mapping[str, Probe],
    ) -> Runtime:
        """A new runtime; does not put it in force."""
        self._version += 1
        today = dt.datetime.now(dt.UTC).date()
        spec = catalog_spec(settings, backends, prices, councils=self._councils.book.names())
        snapshot = build(spec, found, self._board, self._version, on=today)
        self._warn(snapshot.warnings)
        return Runtime(
            snapshot=snapshot,
            targets=self._targets(snapshot, {backend.name: backend for backend in backends}),
            policy=snapshot.policy,
            default_sensitivity=parse_sensitivity(settings.routing.default_sensitivity),
            keep=keep_of(settings),
        )

    def _targets(self, snapshot: Snapshot, backends: Mapping[str, BackendSettings]) -> dict[str, Target]:
        providers = self._fleet.providers
        targets = {
            deployment.key: Target(
                deployment=deployment,
                provider=_as_it_takes_it(providers[deployment.backend], deployment),
                deadlines=deadlines_of(backends[deployment.backend]),
                cold_deadlines=_cold(backends[deployment.backend]),
                slots=self._fleet.slots(backends[deployment.backend]),
                headers=(headers := target_headers(deployment)),
                head_lines=lines_of(headers),
                key_hint=key_hint(backends[deployment.backend]),
            )
            for deployment in snapshot.deployments
        }
        for target in targets.values():
            self._fleet.employ(target.deployment.backend, target)
        return targets | {council.key: self._council(council) for council in snapshot.councils}

    def _council(self, deployment: DeploymentFacts) -> Target:
        headers = target_headers(deployment)
        return Target(
            deployment=deployment,
            provider=self._councils.provider,
            deadlines=Deadlines(),
            cold_deadlines=Deadlines(),
            slots=None,
            headers=headers,
            head_lines=lines_of(headers),
        )

    def _warn(self, warnings: tuple[str, ...]) -> None:
        for warning in warnings:
            if warning not in self._warned:
                structlog.get_logger().warning("catalog", message=warning)
        self._warned = warnings


def _as_it_takes_it(provider: Provider, deployment: DeploymentFacts) -> Provider:
    """The backend's provider, behind one that respells what models of this family refuse."""
    speaks_openai = VENDORS[deployment.provider].family is Family.OPENAI
    return Respelling(provider) if speaks_openai and respells_limit(deployment.upstream_model) else provider


def catalog_spec(
    settings: Settings, backends: Sequence[BackendSettings], prices: PriceTable, *, councils: tuple[str, ...] = ()
) -> CatalogSpec:
    """The operator's configuration in the catalog's words."""
    return CatalogSpec(
        backends=tuple(_backend_spec(backend) for backend in backends),
        prices=prices,
        groups={
            name: GroupSpec(
                members=tuple(MemberSpec(member.model, member.weight) for member in group.members),
                strategy=None if group.strategy is None else Strategy(group.strategy),
                fallback=group.fallback,
            )
            for name, group in settings.groups.items()
        },
        fallbacks={name: tuple(targets) for name, targets in settings.fallbacks.items()},
        strategy=Strategy(settings.routing.strategy),
        policy=Policy(prefer_loaded=settings.routing.prefer_loaded, max_attempts=settings.routing.max_attempts),
        councils=councils,
    )


def _backend_spec(backend: BackendSettings) -> BackendSpec:
    vendor = VENDORS[backend.provider]
    models = backend.models
    if models is not None and vendor.family is Family.LLAMA_CPP:
        models = {name: name for name in models}  # a path on this machine is nobody else's business
    return BackendSpec(
        name=backend.name,
        provider=backend.provider,
        locality=None if backend.locality is None else Locality(backend.locality),
        default_locality=vendor.locality,
        models=models,
        priority=backend.priority,
        slots=slots_of(backend),
        enabled=backend.enabled,
        deadlines=deadlines_of(backend),
        attests=vendor.family is Family.OLLAMA,
        operations=vendor.operations,
    )


def deadlines_of(backend: BackendSettings) -> Deadlines:
    """The backend's waits."""
    waits = backend.timeouts
    return Deadlines(connect=waits.connect, headers=waits.headers, first_token=waits.first_token, idle=waits.idle)


def _cold(backend: BackendSettings) -> Deadlines:
    warm = deadlines_of(backend)
    return msgspec.structs.replace(warm, first_token=max(warm.first_token, backend.timeouts.cold_first_token))


def keep_of(settings: Settings) -> dict[Sensitivity, str]:
    """How much of an exchange is stored, per tier."""
    responses = settings.storage.responses
    return {
        Sensitivity.PUBLIC: responses.public,
        Sensitivity.INTERNAL: responses.internal,
        Sensitivity.CONFIDENTIAL: responses.confidential,
    }
