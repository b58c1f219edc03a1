"""A whole gateway in front of one scripted backend, with a clock that stands still unless it is moved. No sockets."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Any

import msgspec

from junto.catalog.board import LiveBoard
from junto.catalog.build import build
from junto.catalog.model import BackendSpec, CatalogSpec
from junto.catalog.prices import PriceTable
from junto.core.errors import Overloaded
from junto.core.sensitivity import Locality, Sensitivity
from junto.dialects import openai
from junto.gateway.admission import Admission
from junto.gateway.attempts import Attempts
from junto.gateway.exchange import Arrival
from junto.gateway.pipeline import Pipeline
from junto.gateway.runtime import Current, Runtime, Target, lines_of, target_headers
from junto.gateway.settlement import Settlement
from junto.gateway.slots import SlotPool
from junto.identity.principal import Principal
from junto.ports.provider import Deadlines
from junto.telemetry.observers import Observers

if TYPE_CHECKING:
    from junto.core.exchange import ExchangeRecord
    from junto.gateway.limits import Limiter
    from junto.gateway.purse import Purse
    from junto.ports.provider import Provider
    from junto.routing.facts import BackendLive

MODEL = "fake-model"


class StillClock:
    """Time that only a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def wall_ms(self) -> int:
        return int(self.now * 1000)


class Shelf:
    """A recorder that keeps records in a list; `broken` ones cannot be written down."""

    def __init__(self) -> None:
        self.records: list[ExchangeRecord] = []
        self.broken = False
        self.has_room = True
        self.has_room_for_bodies = True

    def append(self, record: ExchangeRecord) -> None:
        if self.broken:
            raise Overloaded("The journal cannot be written.")
        self.records.append(record)

    def add(self, record: ExchangeRecord) -> None:
        self.append(record)

    def commit(self) -> None:
        """Everything is written down already."""


class OneBackend:
    """`provider` answers for the model `fake-model` on one backend with so many slots."""

    def __init__(
        self,
        provider: Provider,
        *,
        slots: int | None = None,
        pricing: str = "",
        principal: Principal | None = None,
        limiter: Limiter | None = None,
        purse: Purse | None = None,
    ) -> None:
        self.principal = principal or Principal()
        self.clock = StillClock()
        self.shelf = Shelf()
        board = LiveBoard()
        spec = BackendSpec(
            name=provider.name, provider="fake", locality=Locality.LOCAL, models={MODEL: MODEL}, slots=slots
        )
        catalog = CatalogSpec(backends=(spec,), prices=PriceTable.parse(pricing))
        snapshot = build(catalog, {}, board, 1, on=dt.date(2026, 1, 1))
        self.live: BackendLive = board.backend(provider.name)
        self.pool = SlotPool(self.live, clock=self.clock) if slots is not None else None
        deployment = snapshot.deployments[0]
        headers = target_headers(deployment)
        target = Target(
            deployment=deployment,
            provider=provider,
            deadlines=Deadlines(),
            cold_deadlines=Deadlines(),
            slots=self.pool,
            headers=headers,
            head_lines=lines_of(headers),
        )
        self.deployment = deployment
        settlement = Settlement(recorder=self.shelf, observer=Observers(), clock=self.clock)
        self.pipeline = Pipeline(
            Current(
                Runtime(
                    snapshot=snapshot,
                    targets={deployment.key: target},
                    policy=snapshot.policy,
                    default_sensitivity=Sensitivity.INTERNAL,
                    keep=dict.fromkeys(Sensitivity, "metadata"),
                )
            ),
            admission=Admission(recorder=self.shelf, clock=self.clock, limiter=limiter, purse=purse),
            attempts=Attempts(settlement=settlement, observer=Observers(), clock=self.clock, jitter=lambda: 0.0),
            settlement=settlement,
            clock=self.clock,
        )

    def arrival(self, *, timeout: float | None = None, **fields: Any) -> Arrival:
        """A chat request in OpenAI's wire."""
        asked = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], **fields}
        return Arrival(
            id="req_1", wire=openai.CHAT, body=msgspec.json.encode(asked), principal=self.principal, timeout=timeout
        )

    async def ask(self, **fields: Any) -> bytes:
        """Ask, and read the answer to its end."""
        answer = await self.pipeline.open(self.arrival(**fields))
        pieces = []
        try:
            while piece := await answer.read():
                pieces.append(piece)
        finally:
            answer.close()
        return b"".join(pieces)

    async def until_busy(self, *, more_than: int = 0) -> None:
        """Let others run until more is under way than that."""
        while self.busy <= more_than:  # noqa: ASYNC110  what is waited for is a count
            await asyncio.sleep(0)

    @property
    def busy(self) -> int:
        """What is under way, waiting or held, each counted on its own."""
        live = self.live
        return live.in_flight + live.in_use + live.queued + live.retries_in_flight + self.deployment.live.in_flight
