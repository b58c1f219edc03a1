"""What a provider that composes its answers is given: a way to put further questions in the name of the one it answers.

Each part is an exchange of its own, a child of the composed one: under the same floor, for the same caller, settled and charged by
itself. The gateway implements it (gateway/parts.py); a part cannot have parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from junto.core.chat import ChatRequest
from junto.core.errors import JuntoError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from junto.core.events import Event
    from junto.core.sensitivity import Sensitivity
    from junto.core.usage import Usage


class Ask(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A question to a model. `by_caller`: the caller named the model, so the caller's own list of models decides about it."""

    request: ChatRequest
    by_caller: bool = False


class Outlook(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Where a question would go now, and what it may cost at most. `refusal`: nothing may or can take it, and why."""

    refusal: JuntoError | None = None
    backend: str = ""
    model: str = ""
    is_local: bool = False
    is_resident: bool = False
    nano: int = 0
    tokens: int = 0
    window: int | None = None  # tokens that the model holds, where that is known


class Part(Protocol):
    """One question on its way. Read `events` to the end, then `close`; `close` alone abandons it."""

    @property
    def backend(self) -> str:
        """Who answers."""

    @property
    def model(self) -> str:
        """With what."""

    @property
    def usage(self) -> Usage | None:
        """What was used, once it is settled."""

    @property
    def nano(self) -> int:
        """What it cost, once it is settled."""

    async def events(self) -> Sequence[Event]:
        """The next events; () at the end. Raises a JuntoError when the answer breaks off."""

    def close(self) -> None:
        """Let go of it; safe to call twice."""


class Parts(Protocol):
    """Further questions in the name of one exchange."""

    @property
    def tier(self) -> Sensitivity:
        """Of the exchange, and so of all its parts."""

    @property
    def seconds_left(self) -> float | None:
        """Until the caller's deadline; None without one."""

    @property
    def usage(self) -> Usage:
        """Of all parts that are settled."""

    @property
    def nano(self) -> int:
        """What the settled parts cost."""

    def outlook(self, ask: Ask) -> Outlook:
        """Where it would go now; contacts nobody."""

    async def reserve(self, *, nano: int, tokens: int) -> None:
        """Put aside what all parts together may cost; raises BudgetExceeded (402) or Overloaded (503), and then no part is asked."""

    async def open(self, ask: Ask, *, nano: int, within: float | None) -> Part:
        """Ask; it costs `nano` at most and begins `within` seconds. Raises a JuntoError."""
