"""Councils as a provider of models: whoever asks for `council/<template>` is answered by a sitting, as by any backend.

What a sitting asks goes through the gateway by `Call.parts`; nothing is sent from here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from junto.core.chat import ChatRequest
from junto.core.completion import Completion, Folder
from junto.core.errors import FailureKind, InvalidField, Unsupported, UpstreamFailure
from junto.core.events import Event, Finish
from junto.council import telling
from junto.council.amending import amended
from junto.council.asking import prospect_of
from junto.council.briefly import NARROW_WINDOW
from junto.council.deliberation import Deliberate
from junto.council.foresight import calls_to_come
from junto.council.service import Sat, Sitting
from junto.council.stages import begin, next_stage
from junto.gateway import egress
from junto.ports.observer import CouncilEnded
from junto.ports.parts import Ask
from junto.ports.provider import Probe
from junto.routing.facts import COUNCIL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from junto.council.book import TemplateBook
    from junto.council.deliberation import State
    from junto.council.template import Template
    from junto.ports.clock import Clock
    from junto.ports.observer import CouncilObserver
    from junto.ports.parts import Outlook, Parts
    from junto.ports.provider import Call, Clearance

_MOST_CHARACTERS: Final = 8  # of a token
_NO_MEMBERS: Final = ("council/", "agent/")
QUIET_SECONDS: Final = 10.0  # without news, and the caller is told who is waited for


class CouncilProvider:
    """Answers for every template of the book that is in force."""

    name = COUNCIL

    def __init__(
        self,
        book: Callable[[], TemplateBook],
        *,
        clock: Clock,
        observer: Callable[[], CouncilObserver],
        quiet: float = QUIET_SECONDS,
    ) -> None:
        self._book = book
        self._clock = clock
        self._observer = observer
        self._quiet = quiet

    async def open(self, clearance: Clearance, call: Call) -> CouncilReply:
        egress.demand(clearance, self.name, call.model)
        request = call.request()
        if call.parts is None or not isinstance(request, ChatRequest):
            raise Unsupported("A council answers chats only.", param="model")
        template = _asked_for(self._book().get(call.model), request)
        state = _sitting(template, request, call.parts)
        foreseen = await _foreseen(state, call.parts)
        nano = sum(one.nano for one in foreseen)
        if template.budget_nano is not None:
            nano = min(nano, template.budget_nano)
        await call.parts.reserve(nano=nano, tokens=sum(one.tokens for one in foreseen))
        return CouncilReply(state, call.parts, self._clock, observer=self._observer(), quiet=self._quiet)

    async def probe(self) -> Probe:
        return Probe(models=())

    async def load(self, model: str) -> None:  # noqa: ARG002  its members' models are loaded by their own names
        raise Unsupported("A council is not loaded; its members' models are.", param="model")

    async def unload(self, model: str) -> None:  # noqa: ARG002
        raise Unsupported("A council is not unloaded; its members' models are.", param="model")

    async def start(self) -> None:
        """Nothing is needed."""

    async def close(self) -> None:
        """Sittings end with the requests that they answer."""


class CouncilReply:
    """A sitting, read as the events of its answer. Begins to sit when it is first read."""

    relayed = False

    def __init__(
        self, state: State, parts: Parts, clock: Clock, *, observer: CouncilObserver, quiet: float = QUIET_SECONDS
    ) -> None:
        self._waiting: deque[Event] = deque()
        self._news = asyncio.Event()
        self._sitting = Sitting(state, parts, clock, self._take)
        self._template = state.template.name
        self._parts = parts
        self._observer = observer
        self._quiet = quiet
        self._task: asyncio.Task[Sat] | None = None
        self._over = False

    async def read(self) -> bytes:
        return b""

    async def pump(self, take: Callable[[bytes], bool]) -> None:
        """Nothing is relayed."""

    async def events(self) -> Sequence[Event]:
        if self._over:
            return ()
        if self._task is None:
            self._task = asyncio.create_task(self._sitting.run(), name=f"council {self._template}")
            self._task.add_done_callback(self._ended)
        while not self._waiting:
            if self._task.done():
                return self._no_answer(self._task.result())
            self._news.clear()
            try:
                async with asyncio.timeout(self._quiet):
                    await self._news.wait()
            except TimeoutError:
                return (telling.waiting(self._sitting.awaited, self._sitting.seconds),)
        events = tuple(self._waiting)
        self._waiting.clear()
        self._over = isinstance(events[-1], Finish)
        return events

    async def whole(self) -> Completion:
        folder = Folder()
        while events := await self.events():
            for event in events:
                folder.add(event)
        return folder.completion()

    def close(self, *, finished: bool = False) -> None:  # noqa: ARG002  a sitting that is over has nothing left
        if self._task is not None:
            self._task.cancel()
        self._over = True

    def _take(self, event: Event) -> None:
        self._waiting.append(event)
        self._news.set()

    def _ended(self, task: asyncio.Task[Sat]) -> None:
        self._news.set()
        if task.cancelled() or task.exception() is not None:
            return
        self._observer.council_ended(_figures(task.result(), self._parts))

    def _no_answer(self, sat: Sat) -> Sequence[Event]:
        self._over = True
        if sat.end.failure is None:
            return ()
        raise UpstreamFailure(FailureKind.UNSUPPORTED, sat.end.note, refusal=sat.end.failure)


def _asked_for(template: Template, request: ChatRequest) -> Template:
    """The template with what the caller changes about it; raises InvalidField or InvalidTemplate."""
    changes = request.extras
    members, rounds, model = changes.get("members"), changes.get("rounds"), changes.get("model")
    if members is not None or rounds is not None:
        template = amended(template, members=members, rounds=rounds)
    if model is None:
        return template
    if not isinstance(model, str) or ("/" in model and model.startswith(_NO_MEMBERS)):
        raise InvalidField("A council's model is the name of a model or a group.", param="model")
    named = partial(msgspec.structs.replace, model=model, by_caller=True)
    return msgspec.structs.replace(
        template,
        members=tuple(named(one) if one.model == template.model else one for one in template.members),
        chair=named(template.chair) if template.chair.model == template.model else template.chair,
    )


async def _foreseen(state: State, parts: Parts) -> list[Outlook]:
    """Where every call that may come would go; others have their turn in between, since the prompts can be long."""
    foreseen = []
    for call in calls_to_come(state):
        foreseen.append(prospect_of(call, parts).outlook)
        await asyncio.sleep(0)
    return foreseen


def _sitting(template: Template, request: ChatRequest, parts: Parts) -> State:
    """The sitting before its first call: who of the members may and can be asked. Raises a JuntoError where too few can."""
    convene = partial(begin, template, request.messages, format=request.format, max_tokens=request.sampling.max_tokens)
    convene = partial(convene, narrow=_narrow(template, request, parts))
    first = next_stage(convene({}))
    outlooks = (
        {call.speaker: prospect_of(call, parts).outlook for call in first.calls}
        if isinstance(first, Deliberate)
        else {}
    )
    left_out = {name: seen.refusal for name, seen in outlooks.items() if seen.refusal is not None}
    return convene(left_out)


def _narrow(template: Template, request: ChatRequest, parts: Parts) -> frozenset[str]:
    """The models that hold so little that they are asked briefly, by the names in the template."""
    if sum(len(message.text) for message in request.messages) > NARROW_WINDOW * _MOST_CHARACTERS:
        return frozenset()  # it goes to others in any case, and is too long to be looked at for each
    return frozenset(
        name
        for name in template.models
        if (seen := parts.outlook(Ask(request=ChatRequest(model=name, messages=request.messages)))).window is not None
        and seen.window <= NARROW_WINDOW
    )


def _figures(sat: Sat, parts: Parts) -> CouncilEnded:
    state = sat.state
    return CouncilEnded(
        template=state.template.name,
        kind=sat.end.kind.value,
        degraded=state.is_degraded,
        members=len(state.template.members),
        missing=len(state.template.members) - len(state.able),
        milliseconds=sat.milliseconds,
        tokens=parts.usage.total,
        cost_nano=parts.nano,
    )
