"""One call of a council, asked through the gateway and read to its end, and what it cost. Knows no rounds and no quorum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from junto.core.chat import ChatRequest
from junto.core.completion import Folder
from junto.core.errors import InvalidRequest, JuntoError, NotServable
from junto.core.events import FinishReason, TextDelta
from junto.core.usage import Usage
from junto.council.deliberation import CallRole, Missed, Place, Said
from junto.ports.parts import Ask

if TYPE_CHECKING:
    from collections.abc import Callable

    from junto.council.deliberation import Call, Outcome
    from junto.ports.clock import Clock
    from junto.ports.parts import Outlook, Part, Parts


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What one call came to, be it an answer or not. `milliseconds` is the time that it took."""

    backend: str = ""
    model: str = ""
    usage: Usage = Usage()
    nano: int = 0
    milliseconds: int = 0
    was_cut: bool = False  # at its most tokens


class Prospect(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A call as it would be asked now, and where it would go."""

    call: Call
    ask: Ask
    outlook: Outlook

    @property
    def place(self) -> Place:
        """Where it would go."""
        seen = self.outlook
        return Place(backend=seen.backend, model=seen.model, is_local=seen.is_local, is_resident=seen.is_resident)


def prospect_of(call: Call, parts: Parts) -> Prospect:
    """How a call can be asked. A ballot's form is a wish: where no model takes one, it is asked for in words alone."""
    ask = _ask(call)
    outlook = parts.outlook(ask)
    is_unable = isinstance(outlook.refusal, InvalidRequest) and not isinstance(outlook.refusal, NotServable)
    if is_unable and call.format is not None and call.role is CallRole.BALLOT:
        plain = _ask(msgspec.structs.replace(call, format=None))
        outlook_of_plain = parts.outlook(plain)
        if outlook_of_plain.refusal is None:
            return Prospect(call=call, ask=plain, outlook=outlook_of_plain)
    return Prospect(call=call, ask=ask, outlook=outlook)


class Asking:
    """One call under way. `run` never raises but for cancellation; `account` is right once it has ended, however it did."""

    def __init__(
        self, prospect: Prospect, parts: Parts, clock: Clock, *, heard: Callable[[str], None] | None = None
    ) -> None:
        self._prospect = prospect
        self._parts = parts
        self._clock = clock
        self._heard = heard
        self._started = clock.monotonic()
        self.account = Account()

    async def run(self, within: float) -> Outcome:
        """What comes of it; `within` seconds it has to begin."""
        refusal = self._prospect.outlook.refusal
        if refusal is not None:
            return Missed(reason=refusal.message)
        try:
            part = await self._parts.open(self._prospect.ask, nano=self._prospect.outlook.nano, within=within)
        except JuntoError as error:
            return Missed(reason=_in_words(error))
        folder = Folder()
        try:
            await self._read(part, folder)
        except JuntoError as error:
            return Missed(reason=_in_words(error))
        finally:
            part.close()
            self._note(part, folder)
        return Said(text=folder.completion().text, backend=part.backend, model=part.model)

    async def _read(self, part: Part, folder: Folder) -> None:
        while events := await part.events():
            for event in events:
                folder.add(event)
                if self._heard is not None and isinstance(event, TextDelta) and event.text:
                    self._heard(event.text)

    def _note(self, part: Part, folder: Folder) -> None:
        self.account = Account(
            backend=part.backend,
            model=part.model,
            usage=part.usage or Usage(),
            nano=part.nano,
            milliseconds=int((self._clock.monotonic() - self._started) * 1000),
            was_cut=folder.completion().reason is FinishReason.LENGTH,
        )


def _ask(call: Call) -> Ask:
    request = ChatRequest(
        model=call.model, messages=call.messages, sampling=call.sampling, format=call.format, stream=True
    )
    return Ask(request=request, by_caller=call.by_caller)


def _in_words(error: JuntoError) -> str:
    return f"{error.message} ({'; '.join(error.reasons)})" if error.reasons else error.message
