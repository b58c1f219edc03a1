"""What an administrator writes of limits and budgets, the same for tenants and clients; and how both are shown.

Owns types and bounds of the fields. What a change does is the directory's business.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import UNSET, UnsetType
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from junto.core.errors import InvalidField
from junto.core.money import nano_from_usd, usd_from_nano
from junto.ports.identity import BudgetChange, LimitChanges

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from junto.core.limits import Limits
    from junto.ports.identity import BudgetRecord

MOST = 1_000_000_000
_MOST_USD = Decimal(1_000_000_000)
_NANO_PLACES = 9
_PERIODS = ("daily", "monthly", "total")

type Count = Annotated[StrictInt, Field(ge=1, le=MOST)]
type Name = Annotated[StrictStr, Field(min_length=1, max_length=64)]
type Usd = Annotated[Decimal, Field(ge=0, le=_MOST_USD, decimal_places=_NANO_PLACES)]


class Policy(BaseModel):
    """Fields that tenants and clients have in common. What is left out stays as it is; null lifts a limit or a budget."""

    model_config = ConfigDict(extra="forbid")

    rate_limit_per_minute: Count | None = None
    tokens_per_minute: Count | None = None
    max_concurrency: Count | None = None
    budget_usd: Usd | None = None
    period: Literal["daily", "monthly", "total"] | None = None
    notes: Annotated[StrictStr, Field(max_length=2000)] = ""

    def given(self, name: str) -> Any:
        """A field's value, or UNSET when the body does not have it."""
        return getattr(self, name) if name in self.model_fields_set else UNSET

    def limits(self) -> LimitChanges:
        """The limits that the body has."""
        return LimitChanges(
            requests_per_minute=self.given("rate_limit_per_minute"),
            tokens_per_minute=self.given("tokens_per_minute"),
            max_concurrency=self.given("max_concurrency"),
        )

    def budgets(self, make_id: Callable[[], str]) -> tuple[BudgetChange, ...]:
        """The budget that the body sets; null without a period removes those of every period. Raises InvalidField."""
        budget: Decimal | UnsetType | None = self.given("budget_usd")
        if budget is UNSET:
            if self.period is not None:
                raise InvalidField("period is of a budget: budget_usd is missing.", param="budget_usd")
            return ()
        if budget is not None and self.period is None:
            raise InvalidField("A budget needs its period: daily, monthly or total.", param="period")
        nano = None if budget is None else nano_from_usd(budget)
        periods = _PERIODS if self.period is None else (self.period,)
        return tuple(BudgetChange(id=make_id(), period=period, limit_nano=nano) for period in periods)


def shown_limits(limits: Limits) -> dict[str, int | None]:
    """Limits by the names that they are written under."""
    return {
        "rate_limit_per_minute": limits.requests_per_minute,
        "tokens_per_minute": limits.tokens_per_minute,
        "max_concurrency": limits.max_concurrency,
    }


def shown_budgets(budgets: Sequence[BudgetRecord]) -> list[dict[str, str]]:
    """Budgets without what was spent of them: that is told by usage."""
    return [{"period": budget.period, "budget_usd": usd_from_nano(budget.limit_nano)} for budget in budgets]
