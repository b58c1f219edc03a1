"""What a request may cost at most, held before it is sent; and a stream without a maximum, which holds more as it grows.

Decides amounts; the purse knows where the money is. Requests of jobs are not paid here: their job is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from junto.core.money import cost, cost_of
from junto.core.usage import Usage, estimate_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from junto.core.money import Price
    from junto.dialects.wire import Head
    from junto.gateway.passage import Passage
    from junto.routing.facts import DeploymentFacts

CHUNK: Final = 1_000  # output tokens that a stream without a maximum holds at a time
WHOLE: Final = 4_096  # output tokens that a whole answer without a maximum is expected to stay within
_CHARACTERS: Final = 4  # of a token, about; the bytes of a stream are never fewer


def most(head: Head, candidates: Sequence[DeploymentFacts]) -> int:
    """Nano-dollars that the dearest of these deployments would take for this request, as far as it is bounded."""
    output = head.max_tokens or (CHUNK if head.stream else WHOLE)
    dearest = 0
    for one in candidates:  # for every request of a caller with a budget
        nano = cost_of(head.prompt_tokens, output * head.answers, one.price)
        dearest = max(dearest, nano)
    return dearest


class Funds(Protocol):
    """Whence a stream without a maximum is paid: a request's hold, or what its job has reserved."""

    async def extend(self, nano: int) -> bool:
        """Hold so much more; False when a budget has no room for it, or cannot be asked."""


class Meter:
    """Watches a stream that has no maximum, and holds money for its next tokens before they are passed on.

    Looks closely only when so many bytes have passed that the tokens held might be used up.
    """

    __slots__ = ("_bytes", "_funds", "_look_at", "_price", "_tokens")

    def __init__(self, funds: Funds, price: Price) -> None:
        self._funds = funds
        self._price = price
        self._tokens = CHUNK  # held
        self._bytes = 0
        self._look_at = CHUNK * _CHARACTERS

    async def covers(self, piece: bytes, passage: Passage) -> bool:
        """Whether what has come so far, this piece included, is paid for; False: no budget has room for more."""
        self._bytes += len(piece)
        if self._bytes < self._look_at:
            return True
        used = estimate_tokens(passage.output_characters)
        while used >= self._tokens:
            if not await self._funds.extend(cost(Usage(output=CHUNK), self._price)):
                return False
            self._tokens += CHUNK
        self._look_at = self._bytes + (self._tokens - used) * _CHARACTERS
        return True


def meter_for(funds: Funds | None, head: Head, deployment: DeploymentFacts) -> Meter | None:
    """The meter of an exchange that needs one: a stream without a maximum that is paid for out of a budget."""
    if funds is None or not head.stream or head.max_tokens or not deployment.price.output:
        return None
    return Meter(funds, deployment.price)
