"""The working state of one exchange while it walks through the pipeline. Becomes an ExchangeRecord at settlement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from junto.core.exchange import Attempted
from junto.core.money import cost
from junto.core.sensitivity import Sensitivity
from junto.core.usage import Usage
from junto.dialects.wire import Head
from junto.gateway.credit import Hold
from junto.gateway.permit import Permit
from junto.gateway.plausibility import believable
from junto.identity.principal import Principal
from junto.routing.facts import DeploymentFacts
from junto.routing.route_table import Routed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from junto.core.chat import Request
    from junto.core.exchange import ExchangeRecord
    from junto.dialects.wire import Wire
    from junto.gateway.parts import ExchangeParts
    from junto.gateway.payment import Funds
    from junto.gateway.personas import Persona


class Arrival(msgspec.Struct, kw_only=True, eq=False):
    """A request as an edge hands it over: bytes of a wire, who sends them, and what its headers ask.

    `sensitivity` and `task_type` are what the caller said in headers; None where it said nothing. `timeout` is seconds
    the caller is willing to wait for the answer to begin. `on_wait` is called with the place in the queue while a stream
    waits for a slot. `extra_head` are header lines of the dialect that a relay passes on. `commits`: whoever has sent this
    commits the recorder itself before it acknowledges a whole answer. `job_id` is the job that this is an attempt of,
    `prompt_version` the prompt template that was put in, `priority` the job's, `funds` what the job is paid from. `hold` is what was put
    aside for a part of another exchange (`parent_id`); `on_refused` is given the record of one that got no answer. `purpose` is "" for what a
    caller asked; the operator's own replays (`shadow`, `judge`) go after everything else: `give_way` is called when one is to end at once.
    """

    id: str
    wire: Wire
    body: bytes
    principal: Principal
    sensitivity: str | None = None
    task_type: str | None = None
    timeout: float | None = None
    session: str = ""
    parent_id: str = ""
    extra_head: bytes = b""
    on_wait: Callable[[int], Awaitable[None]] | None = None
    commits: bool = False
    job_id: str = ""
    prompt_version: str = ""
    priority: int = 5
    funds: Funds | None = None
    hold: Hold | None = None
    on_refused: Callable[[ExchangeRecord], None] | None = None
    purpose: str = ""
    give_way: Callable[[], None] | None = None


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """What attempts used that gave no answer, what that costs, and the deployment of the latest.

    Failed ones by their providers' own reports; the one that the caller cut short, as an aborted stream is.
    """

    usage: Usage
    nano: int
    deployment: DeploymentFacts


class Exchange(msgspec.Struct, kw_only=True, eq=False):
    """One admitted request. `started` is monotonic seconds; `request()` decodes the body into the core at most once."""

    id: str
    arrival: Arrival
    head: Head
    principal: Principal
    sensitivity: Sensitivity
    task_type: str
    started: float
    started_ms: int
    attempts: list[Attempted]
    parsed: Request | None = None
    permit: Permit | None = None  # of the caller's limits, where there are any
    hold: Hold | None = None  # of the caller's budgets, where there are any
    routed: Routed | None = None  # what the routes say about it, where it names a task
    lost: Lost | None = None  # hardly ever anything
    persona: Persona | None = None  # where the request names an agent
    parts: ExchangeParts | None = None  # where the answer is composed of others, or was to be

    def request(self) -> Request:
        """The canonical request, for upstreams that speak another wire than the caller."""
        if self.parsed is None:
            self.parsed = self.arrival.wire.parse_request(self.arrival.body)
        return self.parsed

    def lose(self, usage: Usage, deployment: DeploymentFacts, *, gpu_milliseconds: int = 0) -> None:
        """An attempt there gave no answer and used so much all the same: that is charged."""
        usage = believable(
            usage,
            self.head,
            body_bytes=len(self.arrival.body),
            context=deployment.context_length,
            characters=lambda: 0,
        )
        nano = cost(usage, deployment.price, gpu_milliseconds=gpu_milliseconds)
        if self.lost is not None:
            usage, nano = self.lost.usage.plus(usage), self.lost.nano + nano
        self.lost = Lost(usage=usage, nano=nano, deployment=deployment)
