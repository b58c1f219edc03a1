"""How the handler has a model answer: as a durable job that it submits, and follows to its end.

Values and a Protocol; jobs/ is a neighbour, so bootstrap/agent_jobs.py puts the two together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from junto.identity.principal import Principal

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """A question to a model, in chat messages. `key` stands for it: the same key again is the same job.

    `sensitivity` is the floor ("" for none); `opens` is whether the payer's list of models has the name that led here, so that the
    model behind it is open to this job.
    """

    key: str
    payer: Principal
    model: str
    messages: tuple[dict[str, Any], ...]
    sensitivity: str = ""
    max_tokens: int | None = None
    deadline_s: float
    metadata: dict[str, str] = {}
    opens: bool = False


class Grown(msgspec.Struct, frozen=True):
    """More of an answer, from that character on; 0 begins it anew."""

    offset: int
    text: str


class Done(msgspec.Struct, frozen=True):
    """The end of a job: its answer, or why there is none."""

    text: str = ""
    error_code: str = ""


class Dispatch(Protocol):
    """Jobs, as far as agents need them."""

    async def submit(self, errand: Errand) -> str:
        """The id of the job; raises a JuntoError. After Overloaded it may have been accepted all the same: ask again."""

    def follow(self, payer: Principal, job_id: str) -> AsyncGenerator[Grown | Done]:
        """The answer as it grows, and its end as the last. Raises NotFound for a job that is gone, Overloaded."""
