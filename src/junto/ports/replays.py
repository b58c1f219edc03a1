"""Requests of the operator's own: a candidate is asked what another model was asked (a shadow), a judge reads an answer.

They walk the gateway's whole pipeline at the lowest class, under the tier they are given, on the operator's account, and give way
the moment real work would wait for them. The gateway implements this (gateway/replays.py).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

import msgspec

from junto.core.chat import ChatRequest, ToolCall
from junto.core.errors import JuntoError
from junto.core.exchange import ExchangeRecord
from junto.core.usage import Usage

type OnRecord = Callable[[ExchangeRecord], None]


class Purpose(StrEnum):
    """What a replay is for; the ledger's kind, and the purpose of its exchange."""

    SHADOW = "shadow"
    JUDGE = "judge"


class GaveWay(JuntoError):
    """Real work would have waited for this replay, so it was stopped; it may be tried again."""

    status = 503
    type = "overloaded_error"
    code = "gave_way"


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it was recorded, with another model in its body (`Replays.body_for` puts it in).

    `id` is that of its exchange: a new one for each try. `sensitivity` is the source's tier, by its label, and never lowered;
    `allow_cloud` the consent of the source's client as of now. `parent_id` is the source's id.
    """

    id: str
    purpose: Purpose
    wire: str
    body: bytes
    tenant_id: str
    sensitivity: str
    allow_cloud: bool = False
    task_type: str = ""
    parent_id: str = ""
    deadline_s: float = 600.0


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Under what a client's content may be read."""

    sensitivity: str
    allow_cloud: bool


class ChatReplay(msgspec.Struct, frozen=True, kw_only=True):
    """A request in canonical form, with its model in it; the rest as in Replay.

    `terms` gives what holds by now, and is asked before each try: consent may be withdrawn while this waits. It raises a JuntoError
    where the content may not be read any more.
    """

    request: ChatRequest
    purpose: Purpose
    tenant_id: str
    sensitivity: str
    allow_cloud: bool = False
    task_type: str = ""
    parent_id: str = ""
    deadline_s: float = 600.0
    terms: Callable[[], Terms] | None = None

    @property
    def by_now(self) -> ChatReplay:
        """The same under what holds by now."""
        if self.terms is None:
            return self
        terms = self.terms()
        return msgspec.structs.replace(self, sensitivity=terms.sensitivity, allow_cloud=terms.allow_cloud)


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer. `latency_ms` is its exchange's duration, `nano` what it cost, failed attempts included."""

    text: str
    finish_reason: str
    model: str
    backend: str
    usage: Usage
    nano: int
    latency_ms: int
    record: ExchangeRecord
    tool_calls: tuple[ToolCall, ...] = ()


class Prospect(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Where a replay would go now. `refusal`: nothing may or can take it, and why; `is_idle`: it would make nobody wait.

    `nano` is what it may cost at most, as far as that is bounded.
    """

    refusal: JuntoError | None = None
    backend: str = ""
    model: str = ""
    is_local: bool = False
    is_idle: bool = False
    nano: int = 0


class Replays(Protocol):
    """Asks models for the operator. What an exchange came to is told to `on_record`, however it ended."""

    def body_for(self, wire: str, body: bytes, model: str) -> bytes:
        """The recorded body with that model in it, and with a bound of its answer where it has none; raises a JuntoError."""

    def prospect(self, replay: Replay) -> Prospect:
        """Where it would go now; contacts nobody and never raises a JuntoError."""

    async def run(self, replay: Replay, *, on_record: OnRecord | None = None) -> Replayed:
        """Ask at once and read to the end. Raises a JuntoError: GaveWay where real work wants the place, at the beginning or later.

        Cancelled, it cancels the upstream.
        """

    def replay_of(self, chat: ChatReplay) -> Replay:
        """The same as a replay in OpenAI's wire, under an id of its own."""

    async def chat(self, chat: ChatReplay, *, on_record: OnRecord | None = None) -> Replayed:
        """As `run`, and where real work has the place it waits for it, and tries again, until the deadline."""
