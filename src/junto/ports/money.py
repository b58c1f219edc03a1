"""Money as the purse, the jobs and the administration ask storage for it. Amounts are integers of nano-dollars.

A *reservation* is one holder's part of one budget: money that is neither spent nor free for others. What was used of it
becomes *spent* in the same transaction that writes the ledger entry, and not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from junto.core.errors import BudgetExceeded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet


class NoRoom(BudgetExceeded):
    """A budget has no room for what was asked; `room` is what it does have, and nothing was drawn from any budget."""

    def __init__(self, message: str, *, budget_id: str, room: int, retry_after: float | None) -> None:
        super().__init__(message, retry_after=retry_after)
        self.budget_id = budget_id
        self.room = room


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Money to draw from a budget into a reservation: `least` of it, or nothing; up to `most` where the budget is far from its end."""

    budget_id: str
    reservation_id: str
    least: int
    most: int


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """What was drawn from one budget, and the room that it has left."""

    amount: int
    room: int


class CreditStore(Protocol):
    """Draws money for a node, ahead of its requests.

    Each method is one transaction. All but `NoRoom` is raised as core.errors.Overloaded, and leaves open whether it happened.
    """

    async def draw(self, holder: str, wanted: Sequence[Wanted], *, lease_ms: int) -> Sequence[Drawn | None]:
        """Draw from all of these budgets or from none; None for a budget that was removed. Raises NoRoom."""

    async def give_back(self, amounts: Mapping[str, int]) -> None:
        """Give back so much of each reservation."""

    async def renew(self, reservations: Sequence[str], *, lease_ms: int) -> AbstractSet[str]:
        """Keep these reservations for so long from now; returns those that are still there."""

    async def release_earlier(self, node: str, *, but: str) -> int:
        """Give back what is left of the reservations of this node's earlier lives; returns how many there were."""

    async def sweep(self) -> int:
        """Give back what is left of expired reservations, whoever held them; returns how many there were."""


class BudgetState(msgspec.Struct, frozen=True, kw_only=True):
    """One budget and where it stands in its present window, which ends at `resets_ms` (None: never)."""

    id: str
    tenant_id: str
    scope: str  # key | client | tenant
    scope_id: str
    period: str
    limit_nano: int
    spent_nano: int
    reserved_nano: int
    window_ms: int
    resets_ms: int | None


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """What a job comes to: its ledger entry. `id` is the job's, `at_ms` when it ended."""

    id: str
    tenant_id: str
    client_id: str
    key_id: str = ""
    kind: str = "job"
    at_ms: int
    task_type: str = ""
    model: str = ""
    backend: str = ""
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    usage_estimated: bool = False
    failed: bool = False
    cost_nano: int = 0
    price_date: str = ""


class UsageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Whose usage: of one client, or (None) of all; the last so many days in UTC, today included."""

    days: int
    client_id: str | None = None
    tenant_id: str | None = None


class MoneyStore(Protocol):
    """Budgets and usage, for administration."""

    async def budgets(self, *, scope: str | None = None, scope_id: str | None = None) -> list[BudgetState]:
        """All budgets, or those of one kind of owner, or of one owner."""

    async def set_budget(
        self, *, id: str, scope: str, scope_id: str, period: str, limit_nano: int
    ) -> BudgetState | None:
        """Set a limit, making the budget (with this id) if need be; None when there is no such owner."""

    async def remove_budget(self, *, scope: str, scope_id: str, period: str) -> bool:
        """Remove a budget; False when there was none."""

    async def usage(self, query: UsageQuery) -> list[dict[str, Any]]:
        """A row for each day on which there was any use, oldest first. Costs are nano-dollars (`cost_nano`)."""

    async def tenant_of_client(self, client_id: str) -> str | None:
        """The tenant that has this client; None when there is no such client."""
