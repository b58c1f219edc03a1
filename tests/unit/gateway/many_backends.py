"""A whole gateway in front of several scripted backends, each of which writes down whom it let in, and with which proof."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from junto.catalog.board import LiveBoard
from junto.catalog.build import build
from junto.catalog.model import BackendSpec, CatalogSpec, GroupSpec
from junto.catalog.prices import PriceTable
from junto.core.errors import Forbidden
from junto.core.sensitivity import Locality, Sensitivity
from junto.gateway.admission import Admission
from junto.gateway.attempts import Attempts
from junto.gateway.pipeline import Pipeline
from junto.gateway.runtime import Current, Runtime, Target, lines_of, target_headers
from junto.gateway.settlement import Settlement
from junto.gateway.slots import SlotPool
from junto.ports.provider import Deadlines, Probe
from junto.providers.fake import Fake, Step
from junto.telemetry.observers import Observers
from tests.unit.gateway.one_backend import Shelf, StillClock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from junto.ports.provider import Call, Clearance, Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """One backend: where the operator says that it is, what it has, and how its answers go, one step after the other."""

    name: str
    locality: Locality | None
    models: Mapping[str, str]
    steps: tuple[Step, ...]
    slots: int | None = None
    priority: int = 1

    @property
    def is_local(self) -> bool:
        """Whether it may see everything; what nobody declared is not local."""
        return self.locality is Locality.LOCAL


@dataclass(slots=True)
class Guarded(Fake):
    """Writes down the tier of each proof, and tries to use the proof again and for something else."""

    let_in: list[tuple[Sensitivity, bool]] = field(default_factory=list)
    misuses: int = 0  # of a proof that went through

    async def open(self, clearance: Clearance, call: Call) -> Reply:
        try:
            return await super(Guarded, self).open(clearance, call)
        finally:
            self.let_in.append((clearance.tier, clearance.must_stay))
            for model in (call.model, "another"):
                try:
                    clearance.spend(self.name, model)
                except Forbidden:
                    continue
                self.misuses += 1


class ManyBackends:
    """The gateway, its backends by name, and the records that it wrote."""

    def __init__(
        self,
        backends: Sequence[Backend],
        *,
        groups: Mapping[str, GroupSpec],
        fallbacks: Mapping[str, tuple[str, ...]],
        default: Sensitivity,
        councils: tuple[str, ...] = (),
    ) -> None:
        self.clock = StillClock()
        self.shelf = Shelf()
        self.backends = {backend.name: backend for backend in backends}
        self.providers = {one.name: Guarded(one.name, tuple(one.models), one.steps) for one in backends}
        self._board = LiveBoard()
        specs = tuple(_spec(backend) for backend in backends)
        catalog = CatalogSpec(
            backends=specs, prices=PriceTable.parse(""), groups=groups, fallbacks=fallbacks, councils=councils
        )
        found: dict[str, Probe] = {}
        self.snapshot = build(catalog, found, self._board, 1, on=dt.date(2026, 1, 1))
        settlement = Settlement(recorder=self.shelf, observer=Observers(), clock=self.clock)
        self.pipeline = Pipeline(
            Current(
                Runtime(
                    snapshot=self.snapshot,
                    targets=self._targets(),
                    policy=self.snapshot.policy,
                    default_sensitivity=default,
                    keep=dict.fromkeys(Sensitivity, "metadata"),
                )
            ),
            admission=Admission(recorder=self.shelf, clock=self.clock),
            attempts=Attempts(settlement=settlement, observer=Observers(), clock=self.clock, jitter=lambda: 0.0),
            settlement=settlement,
            clock=self.clock,
        )

    @property
    def held(self) -> int:
        """What is under way, waiting or held anywhere, each counted on its own."""
        lives = [self._board.backend(name) for name in self.backends]
        at_backends = sum(live.in_flight + live.in_use + live.queued + live.retries_in_flight for live in lives)
        return at_backends + sum(deployment.live.in_flight for deployment in self.snapshot.deployments)

    def _targets(self) -> dict[str, Target]:
        pools = {
            one.name: SlotPool(self._board.backend(one.name), clock=self.clock, queue_limit=2)
            for one in self.backends.values()
            if one.slots is not None
        }
        targets = {}
        for deployment in self.snapshot.deployments:
            headers = target_headers(deployment)
            targets[deployment.key] = Target(
                deployment=deployment,
                provider=self.providers[deployment.backend],
                deadlines=Deadlines(),
                cold_deadlines=Deadlines(),
                slots=pools.get(deployment.backend),
                headers=headers,
                head_lines=lines_of(headers),
            )
        return targets


def _spec(backend: Backend) -> BackendSpec:
    return BackendSpec(
        name=backend.name,
        provider="vllm",
        locality=backend.locality,
        models=backend.models,
        slots=backend.slots,
        priority=backend.priority,
    )
