"""Members that act by a script, in place of the gateway: what a sitting asks, and what it is told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from junto.core.errors import JuntoError, UpstreamFailed
from junto.core.events import Event, Finish, FinishReason, Start, TextDelta
from junto.core.sensitivity import Sensitivity
from junto.core.usage import Usage
from junto.ports.parts import Outlook

if TYPE_CHECKING:
    from collections.abc import Sequence

    from junto.ports.parts import Ask

ANSWER_USAGE = Usage(input=10, output=5)
ANSWER_NANO = 7


@dataclass(slots=True)
class Act:
    """What a model does when it is asked: say words, then break, or never end; or refuse before that."""

    words: tuple[str, ...] = ("fine",)
    breaks: bool = False
    hangs: bool = False
    refuses: JuntoError | None = None
    reason: FinishReason = FinishReason.STOP


@dataclass(slots=True)
class ActedPart:
    """One call under way."""

    stage: Troupe
    model: str
    act: Act
    backend: str = "stage"
    usage: Usage | None = None
    nano: int = 0
    closed: bool = False
    _begun: bool = False
    _said: int = 0

    async def events(self) -> Sequence[Event]:
        await asyncio.sleep(0)
        if not self._begun:
            self._begun = True
            return (Start(self.model),)
        if self._said < len(self.act.words):
            self._said += 1
            return (TextDelta(self.act.words[self._said - 1]),)
        if self.act.hangs:
            await asyncio.Event().wait()
        if self.act.breaks:
            raise UpstreamFailed("The model's answer broke off.")
        if self._said == len(self.act.words):
            self._said += 1
            return (Finish(self.act.reason, ANSWER_USAGE),)
        return ()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.usage, self.nano = ANSWER_USAGE, ANSWER_NANO
            self.stage.usage = self.stage.usage.plus(self.usage)
            self.stage.nano += self.nano


@dataclass(slots=True)
class Troupe:
    """Implements ports/parts.py. `acts` by the model's name, in turn, the last one again and again; `unable` refuses ahead."""

    acts: dict[str, list[Act]] = field(default_factory=dict)
    unable: dict[str, JuntoError] = field(default_factory=dict)
    costs: int = 100
    window: int | None = None
    tier: Sensitivity = Sensitivity.INTERNAL
    seconds_left: float | None = None
    refuses_to_reserve: JuntoError | None = None
    usage: Usage = field(default_factory=Usage)
    nano: int = 0
    asked: list[Ask] = field(default_factory=list)
    parts: list[ActedPart] = field(default_factory=list)
    reserved: list[tuple[int, int]] = field(default_factory=list)

    def outlook(self, ask: Ask) -> Outlook:
        refusal = self.unable.get(ask.request.model)
        if refusal is not None:
            return Outlook(refusal=refusal)
        seen = Outlook(backend="stage", model=ask.request.model, is_local=True, nano=self.costs, tokens=50)
        return msgspec.structs.replace(seen, window=self.window)

    async def reserve(self, *, nano: int, tokens: int) -> None:
        if self.refuses_to_reserve is not None:
            raise self.refuses_to_reserve
        self.reserved.append((nano, tokens))

    async def open(self, ask: Ask, *, nano: int, within: float | None) -> ActedPart:
        acts = self.acts.get(ask.request.model, [Act()])
        act = acts.pop(0) if len(acts) > 1 else acts[0]
        self.asked.append(ask)
        await asyncio.sleep(0)
        if act.refuses is not None:
            raise act.refuses
        part = ActedPart(self, ask.request.model, act)
        self.parts.append(part)
        return part
