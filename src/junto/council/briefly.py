"""What a council says to models with a narrow window: the same as wording.py in a few words, for answers that all fit into it. Pure.

Small models lose themselves in rules and repeat markers. Here material is quoted line by line, each behind "> ": a quotation cannot be
ended from within, since every line of it is marked, and there is no tag to be repeated.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from junto.core.chat import Image, Message, Role, Text
from junto.council.model import Sees
from junto.council.wording import DISAGREEMENT, label_of, transcript

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from junto.core.chat import Format, Sampling
    from junto.council.ballots import Standing
    from junto.council.deliberation import Opinion, State
    from junto.council.model import Member

NARROW_WINDOW: Final = 4_096  # tokens: the usual prompts, opinions and answer together do not fit into it
OPINION_TOKENS: Final = 150
CHAIR_TOKENS: Final = 300
_LONGEST_PERSONA: Final = 160  # characters
_SENTENCE: Final = re.compile(r"[.!?](?= )")
_AGAINST_LOOPS: Final = 0.8  # small models say one sentence over and over
_PLAINLY: Final = "Answer in a few sentences, with your reasons."
_REPLY: Final = "Say in a few sentences where you agree and where you disagree, and why. Then give your own answer."
_SYNTHESIS: Final = (
    f'Write one answer to the question in your own words, from these opinions. End with the heading "## {DISAGREEMENT}" and a sentence on'
    " where they differ."
)
_SYNTHESIS_JSON: Final = (
    "Answer the question as one JSON object, from what was said. Say where they agree and where they differ."
)
_BALLOT: Final = 'Put these responses into an order, the best first: {labels}. Answer with one JSON object: {{"ranking": [{example}], "why": "one sentence"}}'


def sampling_of(sampling: Sampling, max_tokens: int, most: int) -> Sampling:
    """How a narrow model is sampled: for `most` tokens at most, and kept from repeating itself unless the template says how."""
    says = sampling.frequency_penalty is not None or sampling.presence_penalty is not None
    return msgspec.structs.replace(
        sampling,
        max_tokens=min(max_tokens, most),
        frequency_penalty=sampling.frequency_penalty if says else _AGAINST_LOOPS,
    )


def opinion_messages(state: State, member: Member, number: int) -> tuple[Message, ...]:
    """What a member is asked in a round (from 1). Alone with the question it is asked as in any chat."""
    now = state.template.rounds[number - 1]
    own = [voice for voice in state.voices if voice.member == member.name]
    others = [] if now.sees is Sees.OWN else [voice for voice in state.voices if voice.member != member.name]
    named = _name if now.sees is Sees.ALL else _label(state)
    task = now.instruction or (_REPLY if others else _PLAINLY)
    if not (own or others):
        return _messages(member.persona, (*transcript(state.question), Text(f"\n\n{task}")))
    blocks = [*_said(own, lambda _: "You"), *_said(others, named)]
    return _messages(member.persona, _material(state, blocks, task))


def ballot_messages(state: State, reviewer: str, letters: Sequence[str]) -> tuple[Message, ...]:
    """What a reviewer is asked; the responses in another order for each."""
    shift = (ord(label_of(state, reviewer)) - ord("A")) % len(state.voices)
    voices = [*state.voices[shift:], *state.voices[:shift]]
    ranking = state.template.ranking
    task = _BALLOT.format(labels=", ".join(letters), example=", ".join(f'"{letter}"' for letter in letters))
    who = "You judge responses that several people gave to a question."
    wanted = ranking.instruction if ranking is not None else ""
    return _messages(who, _material(state, _said(voices, _label(state)), wanted, task))


def synthesis_messages(state: State, standings: Sequence[Standing], format: Format | None) -> tuple[Message, ...]:
    """What the chair is asked; of each member it is shown the last opinion."""
    chair = state.template.chair
    named = _label(state) if chair.neutral else _name
    places = ", ".join(named(standing.member) for standing in standings)
    return _messages(
        chair.persona or "You put several opinions together into one clear answer.",
        _material(
            state,
            _said(state.voices, named),
            f"The members ranked them, best first: {places}." if places else "",
            _SYNTHESIS if format is None else _SYNTHESIS_JSON,
            state.template.output.instructions,
        ),
    )


def _messages(who: str, parts: Iterable[Text | Image]) -> tuple[Message, ...]:
    return (Message(Role.SYSTEM, (Text(_begun(who)),)), Message(Role.USER, tuple(parts)))


def _begun(persona: str) -> str:
    """Its first sentences: a small model answers a long persona in place of the question."""
    text = " ".join(persona.split())
    end = max((match.end() for match in _SENTENCE.finditer(text[:_LONGEST_PERSONA])), default=_LONGEST_PERSONA)
    return text if len(text) <= _LONGEST_PERSONA else text[:end].strip()


def _material(state: State, blocks: Iterable[str], *tasks: str) -> Iterator[Text | Image]:
    """The question and what was said about it, quoted, and what is to be done."""
    yield Text("The question:\n")
    for part in transcript(state.question):
        yield Text(_quoted(part.text)) if isinstance(part, Text) else part
    yield Text("\n\n" + "\n\n".join(text for text in (*blocks, *tasks) if text))


def _said(opinions: Iterable[Opinion], named: Callable[[str], str]) -> list[str]:
    return [f"{named(opinion.member)} said:\n{_quoted(opinion.text)}" for opinion in opinions]


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in text.strip().splitlines())


def _name(member: str) -> str:
    return member


def _label(state: State) -> Callable[[str], str]:
    return lambda member: f"Response {label_of(state, member)}"
