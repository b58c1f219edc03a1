"""What a sitting may come to at most, before anybody is asked: every call that it can make, with opinions of the greatest length. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from junto.council.deliberation import CallRole, Conclude, Said
from junto.council.stages import after, next_stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from junto.council.deliberation import Call, State

_CHARACTERS: Final = 4  # of a token, about


def calls_to_come(state: State) -> Iterator[Call]:
    """All calls of a sitting in which nobody fails, each as long as it can get."""
    while not isinstance(stage := next_stage(state), Conclude):
        yield from stage.calls
        state = after(state, {call.key: Said(text=_longest(call)) for call in stage.calls}, stage)


def _longest(call: Call) -> str:
    if call.role is CallRole.BALLOT:
        return "{}"  # no order: nothing that follows gets longer by it
    return "x" * (call.max_tokens * _CHARACTERS)
