"""Money as integers: nano-dollars (1e-9 USD). No float takes part in a charge."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from junto.core.usage import Usage

NANO_PER_USD = 1_000_000_000
_TOKENS_PER_MILLION = 1_000_000


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What a deployment costs: nano-dollars per million tokens of each class, and per second of GPU time."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    gpu_second: int = 0

    @property
    def is_free(self) -> bool:
        """Whether nothing is charged, whatever is used."""
        return not (self.input or self.cache_read or self.cache_write or self.output or self.gpu_second)


FREE = Price()


def nano_from_usd(usd: str | float | Decimal) -> int:
    """Nano-dollars for an amount in dollars; exact for decimal strings and for floats as they are written."""
    amount = Decimal(str(usd)) * NANO_PER_USD
    return int(amount.to_integral_value(rounding=ROUND_HALF_UP))


def usd_from_nano(nano: int) -> str:
    """The amount in dollars as a plain decimal string, without trailing zeros beyond six places."""
    if not nano:
        return "0.000000"  # local answers, most of all
    whole, rest = divmod(abs(nano), NANO_PER_USD)
    sign = "-" if nano < 0 else ""
    micro, below = divmod(rest, 1000)
    return f"{sign}{whole}.{micro:06d}" + (f"{below:03d}".rstrip("0") if below else "")


def cost_of(input: int, output: int, price: Price) -> int:
    """The cost of that many tokens in and out, nothing of them cached."""
    return (input * price.input + output * price.output + _TOKENS_PER_MILLION // 2) // _TOKENS_PER_MILLION


def cost(usage: Usage, price: Price, *, gpu_milliseconds: int = 0) -> int:
    """Nano-dollars for that usage: each class at its own price, summed, rounded half up once. Never negative."""
    if price.is_free:
        return 0
    per_million = (
        usage.input * price.input
        + usage.cache_read * price.cache_read
        + usage.cache_write * price.cache_write
        + usage.output * price.output
    )
    tokens = (per_million + _TOKENS_PER_MILLION // 2) // _TOKENS_PER_MILLION
    return tokens + (gpu_milliseconds * price.gpu_second + 500) // 1000
