"""What a changed table of routes would have done with recorded requests, on today's catalog and at today's prices.

Both tables are asked about each request, so that only the change of the table shows. Pure: contacts nobody and knows no
content. Two things are not recorded and so are approximations: what a request needs of a model besides chat or embeddings,
and which tier the caller itself asked for. The recorded tier counts as that, so no request is ever tried at a lower one.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from junto.catalog.tasks import resolve_routed
from junto.core.capability import Capability
from junto.core.chat import Operation
from junto.core.errors import UnknownModel
from junto.core.money import cost, usd_from_nano
from junto.routing.facts import Traits
from junto.routing.plan import plan
from junto.routing.route_table import RouteTable, apply, opened

if TYPE_CHECKING:
    from collections.abc import Callable

    from junto.catalog.resolve import Snapshot
    from junto.ports.routes import RecordedExchange
    from junto.routing.facts import DeploymentFacts

NOT_SERVABLE: Final = "not servable"
UNKNOWN_MODEL: Final = "no such model"
_MOST_MOVES = 200  # kinds of moves that are shown
_MOST_EXAMPLES = 5  # ids of exchanges for each


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What counts of a client: its list of models, and where its internal content may go."""

    allow_cloud_for_internal: bool = False
    allowed_models: frozenset[str] | None = None


class _Outcome(msgspec.Struct, frozen=True):
    """Where a request would go first, or why nowhere."""

    where: str
    deployment: DeploymentFacts | None = None


class Simulation:
    """Adds up recorded requests, one by one. `policy_of` knows a client by its id; what it does not know is anonymous."""

    def __init__(
        self,
        snapshot: Snapshot,
        before: RouteTable,
        after: RouteTable,
        *,
        policy_of: Callable[[str], Policy],
        now: float,
    ) -> None:
        self._snapshot = snapshot
        self._before = before
        self._after = after
        self._policy_of = policy_of
        self._now = now
        self._moves: Counter[tuple[str, str, str]] = Counter()
        self._examples: dict[tuple[str, str, str], list[str]] = {}
        self._unservable: Counter[str] = Counter()
        self._costs = Counter[str]()
        self.requests = 0
        self.moved = 0
        self.raised = 0

    def add(self, recorded: RecordedExchange) -> None:
        """Try both tables on one request."""
        before, _ = self._outcome(recorded, self._before)
        after, tier_rose = self._outcome(recorded, self._after)
        self.requests += 1
        self.raised += tier_rose
        self._costs["recorded"] += recorded.cost_nano
        for which, outcome in (("before", before), ("after", after)):
            if outcome.deployment is not None:
                self._costs[which] += cost(recorded.usage, outcome.deployment.price)
        if after.deployment is None:
            self._unservable[after.where] += 1
        if before.where != after.where:
            self.moved += 1
            move = (recorded.task_type, before.where, after.where)
            if move in self._moves or len(self._moves) < _MOST_MOVES:
                self._moves[move] += 1
                examples = self._examples.setdefault(move, [])
                if len(examples) < _MOST_EXAMPLES:
                    examples.append(recorded.id)

    def result(self) -> dict[str, Any]:
        """The sums as JSON values; `moves` with the most frequent first."""
        return {
            "requests": self.requests,
            "moved": self.moved,
            "unchanged": self.requests - self.moved,
            "tier_raised": self.raised,
            "not_servable": sum(self._unservable.values()),
            "moves": [
                {"task_type": task, "from": old, "to": new, "count": count, "examples": self._examples[task, old, new]}
                for (task, old, new), count in self._moves.most_common()
            ],
            "cost_usd": {name: usd_from_nano(self._costs[name]) for name in ("recorded", "before", "after")},
        }

    def _outcome(self, recorded: RecordedExchange, table: RouteTable) -> tuple[_Outcome, bool]:
        """Where it would go, and whether the table's floor is above the tier that was recorded."""
        name, policy = recorded.requested_model, self._policy_of(recorded.client_id)
        routed = apply(table, name, recorded.task_type, recorded.id)
        allowed, tier, max_tokens = policy.allowed_models, recorded.sensitivity, None
        try:
            if routed is None or routed.keeps_model:
                resolution = self._snapshot.resolve(name)
            else:
                resolution, max_tokens = resolve_routed(self._snapshot, routed), routed.max_tokens
                if allowed is not None:
                    allowed = opened(allowed, name, routed, (stage.name for stage in resolution.stages))
        except UnknownModel:
            return _Outcome(UNKNOWN_MODEL), False
        if routed is not None and routed.floor is not None:
            tier = max(tier, routed.floor)
        operation = Operation(recorded.operation)
        traits = Traits(
            operation=operation,
            needs=Capability.CHAT if operation is Operation.CHAT else Capability.EMBEDDINGS,
            prompt_tokens=recorded.usage.prompt,
            max_tokens=max_tokens,
            stream=recorded.stream,
            sensitivity=tier,
            allow_cloud_for_internal=policy.allow_cloud_for_internal,
            allowed_models=allowed,
        )
        chosen = plan(traits, resolution.stages, self._snapshot.policy, now=self._now, seed=0)
        rose = tier > recorded.sensitivity
        if not chosen.candidates:
            return _Outcome(NOT_SERVABLE), rose
        return _Outcome(chosen.candidates[0].key, chosen.candidates[0]), rose
