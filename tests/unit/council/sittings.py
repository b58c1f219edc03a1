"""Councils whose members say what a script says: the engine is run to its end without a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from junto.core.chat import Message, Role, Text
from junto.council.deliberation import Call, CallRole, Conclude, Missed, Said
from junto.council.stages import after, begin, next_stage
from junto.council.template import parse_template

if TYPE_CHECKING:
    from collections.abc import Mapping

    from junto.core.chat import Format
    from junto.core.errors import JuntoError
    from junto.council.deliberation import Outcome, Stage, State
    from junto.council.model import Template

QUESTION = (Message(Role.USER, (Text("Shall we rewrite it?"),)),)
DOWN = Missed(reason="its server is down")
LATE = Missed(reason="it took too long", late=True)


def council(*names: str, **fields: Any) -> Template:
    """A council of these members, each with a model of its own."""
    members = [{"name": name, "persona": f"Persona of {name}.", "model": f"model-of-{name}"} for name in names]
    return parse_template({"members": members, "chair": {"model": "model-of-chair"}, **fields}, "test")


def opinion_of(call: Call) -> str:
    """What a member says unless the script says otherwise: a text that is its own."""
    return f"words #{sum(map(ord, call.key)) * 7919 % 99991}-{call.round}"


@dataclass
class Sitting:
    """A sitting that has ended."""

    state: State
    end: Conclude
    stages: list[Stage]

    @property
    def calls(self) -> list[Call]:
        """Every call of it."""
        return [call for stage in self.stages if not isinstance(stage, Conclude) for call in stage.calls]

    def call(self, key: str) -> Call:
        """The call of that key."""
        return next(call for call in self.calls if call.key == key)

    @property
    def keys(self) -> list[str]:
        """The keys of its calls."""
        return [call.key for call in self.calls]


def sit(
    template: Template,
    script: Mapping[str, str | Missed] | None = None,
    *,
    left_out: Mapping[str, JuntoError] | None = None,
    format: Format | None = None,
    max_tokens: int | None = None,
    question: tuple[Message, ...] = QUESTION,
) -> Sitting:
    """Run a council to its end; `script` has, by the calls' keys, what comes of them where it is not the usual."""
    state = begin(template, question, left_out or {}, format=format, max_tokens=max_tokens)
    stages: list[Stage] = []
    while True:
        stage = next_stage(state)
        stages.append(stage)
        if isinstance(stage, Conclude):
            return Sitting(state, stage, stages)
        assert len(stages) < 50
        state = after(state, {call.key: _outcome(call, script or {}) for call in stage.calls})


def words(call: Call) -> str:
    """Everything that a call says to its model."""
    return "\n".join(message.text for message in call.messages)


def _outcome(call: Call, script: Mapping[str, str | Missed]) -> Outcome:
    said = script.get(call.key)
    if said is None:
        usual = {CallRole.BALLOT: "nonsense unless scripted", CallRole.SYNTHESIS: "The synthesis."}
        said = usual.get(call.role) or opinion_of(call)
    return said if isinstance(said, Missed) else Said(text=said, backend="desk", model=call.model)
