"""What a decision is made from: traits of the request, facts of the deployments, policy of the operator.

A plan reads facts without ever awaiting, so what it sees is one snapshot. Only the gateway writes the live fields, between plans.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from junto.core.capability import Capability
from junto.core.chat import Operation
from junto.core.money import FREE, Price
from junto.core.sensitivity import Locality, Sensitivity

COUNCIL = "council"
"""The provider, and the backend, of councils: they are deployments whose answers are composed in this process."""


class Strategy(StrEnum):
    """How the candidates of a group are ordered."""

    SMART = "smart"
    PRIORITY = "priority"
    ROUND_ROBIN = "round-robin"
    LATENCY = "latency"
    COST = "cost"


class BreakerState(StrEnum):
    """Closed lets traffic pass, open refuses it, half-open lets one probe pass."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker(msgspec.Struct, frozen=True):
    """A deployment's breaker: times are monotonic seconds."""

    state: BreakerState = BreakerState.CLOSED
    failures: int = 0  # in a row
    open_until: float = 0.0
    open_for: float = 0.0  # how long it was opened for last
    probing: bool = False  # half-open, and the one probe is under way


class Live(msgspec.Struct):
    """The facts of a deployment that change with traffic. Written by the gateway only; survives reloads.

    `ttft` is smoothed seconds to the first token of warm answers, `rate` smoothed output tokens per second, `load` smoothed
    seconds of a cold load; 0 means not known yet. `in_flight` counts attempts under way at this deployment.
    """

    breaker: Breaker = Breaker()
    ttft: float = 0.0
    rate: float = 0.0
    load: float = 0.0
    in_flight: int = 0
    last_used_ms: int = 0


class BackendLive(msgspec.Struct):
    """The facts of a backend that change with traffic or heartbeats; shared by its deployments.

    `slots` is None where no limit is configured. `resident` holds upstream model names in memory, None where unknown.
    `locked_out`: the last that was heard is that it refuses Junto's key.
    """

    up: bool = True
    slots: int | None = None
    in_use: int = 0
    queued: int = 0
    in_flight: int = 0
    retries_in_flight: int = 0
    resident: frozenset[str] | None = None
    locked_out: bool = False


class DeploymentFacts(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One model on one backend, as routing sees it."""

    backend: str
    model: str  # the public name
    upstream_model: str  # the backend's name for it
    provider: str
    locality: Locality
    operations: frozenset[Operation] = frozenset({Operation.CHAT, Operation.EMBED})
    capabilities: Capability | None = None  # None: unknown, assumed able
    context_length: int | None = None
    price: Price = FREE
    price_date: str = ""
    priority: int = 100  # lower is preferred
    weight: int = 1
    enabled: bool = True
    is_composed: bool = False  # its answers are made of other exchanges', which are settled by themselves
    live: Live
    backend_live: BackendLive

    @property
    def key(self) -> str:
        """`backend/model`: the pinned name, and the deployment's identity across reloads."""
        return f"{self.backend}/{self.model}"


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """What a request needs, and for whom."""

    operation: Operation = Operation.CHAT
    needs: Capability = Capability.CHAT
    prompt_tokens: int = 0
    max_tokens: int | None = None
    stream: bool = False
    sensitivity: Sensitivity = Sensitivity.CONFIDENTIAL
    allow_cloud_for_internal: bool = False
    allowed_models: frozenset[str] | None = None
    session: str = ""
    max_price: int | None = None  # nano-dollars per million output tokens


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's rules, the same for every name."""

    prefer_loaded: bool = True
    max_attempts: int = 4


class Stage(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One name's deployments: the name asked for is the first stage, each fallback of it a further one.

    `candidates` carry the weight they have in this stage. All candidates of a stage are tried before the next stage.
    """

    name: str
    strategy: Strategy
    candidates: tuple[DeploymentFacts, ...]


class Reason(msgspec.Struct, frozen=True):
    """Why a candidate was kept at its place or dropped: `rule` is the filter's or scorer's name."""

    rule: str
    detail: str


class Dropped(msgspec.Struct, frozen=True):
    """A candidate that may not be tried."""

    deployment: DeploymentFacts
    reason: Reason


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Candidates in the order in which they are to be tried, each once, and those that were dropped."""

    candidates: tuple[DeploymentFacts, ...]
    dropped: tuple[Dropped, ...] = ()
    stage_names: tuple[str, ...] = ()  # the stage of each candidate; empty where there was one stage only
    last_resort: bool = False  # every candidate was out of service: the least bad one is tried all the same
