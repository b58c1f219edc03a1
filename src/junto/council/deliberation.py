"""The values of a council that is sitting: what is asked of whom, what came of it, and how it ends. No decisions here."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from junto.core.chat import Format, Message, Sampling
from junto.core.errors import JuntoError
from junto.council.model import Template


class CallRole(StrEnum):
    """What a call is for."""

    OPINION = "opinion"
    BALLOT = "ballot"
    SYNTHESIS = "synthesis"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One question to one model. `key` is unique in the sitting; `round` counts from 1 and is 0 outside of rounds.

    `sampling.max_tokens` is set. The `format` of a ballot is a wish: a model that takes none may be asked without it.
    """

    key: str
    speaker: str
    role: CallRole
    round: int = 0
    model: str
    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    format: Format | None = None
    by_caller: bool = False

    @property
    def max_tokens(self) -> int:
        """Of the answer."""
        return self.sampling.max_tokens or 0


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a call, and who it was that said it. Words that are only blanks count as missed."""

    text: str
    backend: str = ""
    model: str = ""


class Missed(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing came of a call: why, in a sentence for people. `late`: its time was up."""

    reason: str
    late: bool = False


type Outcome = Said | Missed


class Opinion(msgspec.Struct, frozen=True, kw_only=True):
    """What a member said in a round (from 1)."""

    member: str
    round: int
    text: str
    backend: str = ""
    model: str = ""


class Ballot(msgspec.Struct, frozen=True, kw_only=True):
    """One reviewer's order of the members, best first, its own place included if it gave itself one."""

    reviewer: str
    order: tuple[str, ...]
    why: str = ""


class Absence(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who was expected to say something and did not: in a round (`round` from 1), a ballot, or as the chair."""

    name: str
    role: CallRole
    reason: str
    round: int = 0
    late: bool = False
    model: str = ""

    @property
    def sentence(self) -> str:
        """For people."""
        where = {CallRole.BALLOT: " (ballot)", CallRole.SYNTHESIS: f" (chair, {self.model})"}.get(self.role, "")
        at = f" (round {self.round})" if self.round else where
        return f"{self.name}{at}: {self.reason}"


class Synthesis(msgspec.Struct, frozen=True, kw_only=True):
    """What a chair wrote, and which one."""

    text: str
    asked: str
    backend: str = ""
    model: str = ""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """A sitting at one moment. `left_out` are members that were not asked at all, with the reason.

    `format` is what the caller wants the answer to look like; it goes before the template's own.
    `narrow` are the models, by the names in the template, that are asked in few words and for short answers.
    """

    template: Template
    question: tuple[Message, ...]
    format: Format | None = None
    max_tokens: int | None = None
    narrow: frozenset[str] = frozenset()
    left_out: dict[str, str] = {}
    opinions: tuple[Opinion, ...] = ()
    absences: tuple[Absence, ...] = ()
    ballots: tuple[Ballot, ...] = ()
    rounds_done: int = 0
    is_ranked: bool = False
    chairs_tried: int = 0
    synthesis: Synthesis | None = None

    @property
    def able(self) -> tuple[str, ...]:
        """The members that can still be asked, in the template's order."""
        gone = {*self.left_out, *(one.name for one in self.absences if one.role is CallRole.OPINION)}
        return tuple(member.name for member in self.template.members if member.name not in gone)

    @property
    def voices(self) -> tuple[Opinion, ...]:
        """The last opinion of each member that has one, in the template's order: what the answer is made of."""
        last = {opinion.member: opinion for opinion in self.opinions}
        return tuple(last[member.name] for member in self.template.members if member.name in last)

    @property
    def answer_format(self) -> Format | None:
        """What the chair is held to; None: text."""
        return self.format or self.template.output.answer_format

    @property
    def missing(self) -> tuple[str, ...]:
        """A sentence for everybody who is missing anywhere, in the order in which they went missing."""
        out = tuple(f"{name} was left out: {reason}" for name, reason in self.left_out.items())
        return (*out, *(absence.sentence for absence in self.absences))

    @property
    def is_degraded(self) -> bool:
        """Whether somebody is missing."""
        return bool(self.left_out or self.absences)


class Deliberate(msgspec.Struct, frozen=True, kw_only=True):
    """The members speak, all at once."""

    round: int
    calls: tuple[Call, ...]


class Rank(msgspec.Struct, frozen=True, kw_only=True):
    """The reviewers put the opinions into an order, all at once."""

    calls: tuple[Call, ...]


class Synthesise(msgspec.Struct, frozen=True, kw_only=True):
    """The chair writes the answer; `attempt` counts from 1, each at another model."""

    call: Call
    attempt: int = 1

    @property
    def calls(self) -> tuple[Call, ...]:
        """The one call."""
        return (self.call,)


class Kind(StrEnum):
    """What an answer is: written by the chair, the only opinion, several side by side, the best one as no chair could, or none."""

    SYNTHESIS = "synthesis"
    SINGLE = "single"
    SIDE_BY_SIDE = "side_by_side"
    BEST = "best"
    FAILED = "failed"


class Conclude(msgspec.Struct, frozen=True, kw_only=True):
    """The end. `failure` is set, and `answer` empty, where there is none (kind failed).

    Of the kind synthesis, `answer` begins with the chair's words exactly as they came; what follows them is `appended`.
    `note` tells people in a sentence or two what is not as it should be; "" where nothing is.
    """

    answer: str
    kind: Kind
    appended: str = ""
    note: str = ""
    failure: JuntoError | None = None


type Stage = Deliberate | Rank | Synthesise | Conclude


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a call would go now."""

    backend: str
    model: str
    is_local: bool = True
    is_resident: bool = False
