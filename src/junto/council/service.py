"""Performs a sitting: asks whom stages.py names, all at once and in time, tells what happens, and ends with the answer.

Owns the deadline, the budget of the template and the tasks of the calls. Decides nothing that stages.py decides.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from junto.core.events import Event, Finish, FinishReason, Start, TextDelta
from junto.council import telling
from junto.council.asking import Account, Asking, Prospect, prospect_of
from junto.council.deliberation import CallRole, Conclude, Kind, Missed, Rank, Said, Synthesise
from junto.council.report import report, tally
from junto.council.stages import after, next_stage, order

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from junto.council.deliberation import Call, Outcome, Stage, State
    from junto.council.report import Tally
    from junto.ports.clock import Clock
    from junto.ports.parts import Parts

_CHAIR_SHARE: Final = 0.25  # of the whole time that is kept for whoever writes the answer
_BALLOT_SHARE: Final = 0.15  # of it that rounds leave for the ballots, where there are any
_LATE: Final = "no answer in time"
_SPENT: Final = "the council's budget is used up"


class Sat(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A sitting that is over."""

    state: State
    end: Conclude
    milliseconds: int


class Sitting:
    """One council at work. `tell` is given the events of its answer as they come, a Finish at the end unless there is no answer."""

    def __init__(self, state: State, parts: Parts, clock: Clock, tell: Callable[[Event], None]) -> None:
        self._state = state
        self._parts = parts
        self._clock = clock
        self._tell = tell
        self._started = clock.monotonic()
        left = parts.seconds_left
        self._seconds = min(state.template.deadline_s, state.template.deadline_s if left is None else left)
        self._accounts: dict[str, Account] = {}
        self._tallies: list[Tally] = []
        self._awaited: dict[str, Call] = {}
        self._has_spoken = False  # some of the answer was told
        self._was_cut = False

    @property
    def awaited(self) -> tuple[str, ...]:
        """Who is being waited for."""
        return tuple(call.speaker for call in self._awaited.values())

    @property
    def seconds(self) -> int:
        """Since it began."""
        return int(self._clock.monotonic() - self._started)

    async def run(self) -> Sat:
        """Sit to the end."""
        self._tell(Start(self._state.template.model_name))
        self._tell(telling.convened(self._state))
        while not isinstance(stage := next_stage(self._state), Conclude):
            self._state = after(self._state, await self._perform(stage), stage)
        sat = Sat(
            state=self._state,
            end=stage,
            milliseconds=int((self._clock.monotonic() - self._started) * 1000),
        )
        if stage.failure is None:
            self._conclude(sat)
        return sat

    async def _perform(self, stage: Stage) -> dict[str, Outcome]:
        """Ask everybody of one stage; what comes of it, by key."""
        calls = () if isinstance(stage, Conclude) else stage.calls
        prospects = {call.key: prospect_of(call, self._parts) for call in calls}
        self._tell(telling.begun(stage, prospects.values()))
        left = self._left(stage)
        places = {key: one.place for key, one in prospects.items() if one.outlook.refusal is None}
        asked = self._affordable([prospects[call.key] for call in order(calls, places)])
        results: dict[str, Outcome] = {key: Missed(reason=_SPENT) for key in prospects if key not in asked}
        tasks = {key: asyncio.create_task(self._ask(one, left), name=f"council {key}") for key, one in asked.items()}
        try:
            if tasks:
                await asyncio.wait(tasks.values(), timeout=left)
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
            self._awaited.clear()
        for key, task in tasks.items():
            results[key] = Missed(reason=_LATE, late=True) if task.cancelled() else task.result()
        for key, outcome in results.items():
            if isinstance(outcome, Missed):
                self._tell(telling.heard(prospects[key].call, outcome, self._accounts.get(key, Account())))
        return results

    async def _ask(self, prospect: Prospect, within: float) -> Outcome:
        call = prospect.call
        is_streamed = call.role is CallRole.SYNTHESIS and call.format is None
        asking = Asking(prospect, self._parts, self._clock, heard=self._speak if is_streamed else None)
        if call.role is CallRole.SYNTHESIS and self._has_spoken:
            self._tell(TextDelta(telling.ANEW))
        self._awaited[call.key] = call
        try:
            outcome = await asking.run(within)
        finally:
            self._awaited.pop(call.key, None)
            account = self._accounts[call.key] = asking.account
            self._tallies.append(
                tally(call, usage=account.usage, nano=account.nano, backend=account.backend, model=account.model)
            )
        if isinstance(outcome, Said) and call.role is not CallRole.SYNTHESIS:
            self._tell(telling.heard(call, outcome, asking.account))
        self._was_cut = asking.account.was_cut
        return outcome

    def _speak(self, text: str) -> None:
        self._has_spoken = True
        self._tell(TextDelta(text))

    def _affordable(self, prospects: Sequence[Prospect]) -> dict[str, Prospect]:
        """Those that the template's own budget has room for, in their order."""
        budget, spent = self._state.template.budget_nano, self._parts.nano
        chosen: dict[str, Prospect] = {}
        for one in prospects:
            if budget is None or spent + one.outlook.nano <= budget:
                spent += one.outlook.nano
                chosen[one.call.key] = one
        return chosen

    def _left(self, stage: Stage) -> float:
        """Seconds that a stage has: rounds and ballots leave time for what follows them."""
        share = 1.0
        if not isinstance(stage, Synthesise):
            share -= _CHAIR_SHARE
            if not isinstance(stage, Rank) and self._state.template.ranking is not None:
                share -= _BALLOT_SHARE
        return max(0.0, self._started + self._seconds * share - self._clock.monotonic())

    def _conclude(self, sat: Sat) -> None:
        """Tell what of the answer was not told yet, what is wrong with it, and the report."""
        end = sat.end
        if end.kind is Kind.SYNTHESIS and self._has_spoken:
            rest = end.appended
        else:
            rest = (telling.ANEW if self._has_spoken else "") + end.answer
        if end.note:
            self._tell(telling.noted(end.note))
        if rest:
            self._tell(TextDelta(rest))
        reason = FinishReason.LENGTH if end.kind is Kind.SYNTHESIS and self._was_cut else FinishReason.STOP
        told = report(sat.state, end, self._tallies, duration_ms=sat.milliseconds)
        self._tell(Finish(reason, self._parts.usage, beside={"council": told}))
