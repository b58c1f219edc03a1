"""A council's template as values, and the document that it is stored and shown as.

Owns what the parts are and what goes without saying. Whether a document may be a template is template.py's business.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from junto.core.chat import Format, Sampling
from junto.core.money import NANO_PER_USD

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX: Final = "council/"
DEFAULT_MODEL: Final = "quality"
DEFAULT_DEADLINE_S: Final = 120.0
OPINION_TOKENS: Final = 800
CHAIR_TOKENS: Final = 1_200
CHAIR_NAME: Final = "Chair"
ANSWER_SCHEMA: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "type": "object",
        "properties": {key: {"type": "string"} for key in ("answer", "agreement", "disagreement", "unique_points")},
        "required": ["answer", "agreement", "disagreement", "unique_points"],
        "additionalProperties": False,
    }
)
SAMPLED: Final = tuple(name for name in Sampling.__struct_fields__ if name != "max_tokens")


class Sees(StrEnum):
    """What a member is shown of the rounds before: its own opinions, everybody's by name, or everybody's without names."""

    OWN = "own"
    ALL = "all"
    ANONYMISED = "anonymised"


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One voice. `by_caller`: the model was named by the caller, not by whoever wrote the template."""

    name: str
    persona: str
    model: str = DEFAULT_MODEL
    sampling: Sampling = Sampling()
    max_tokens: int = OPINION_TOKENS
    by_caller: bool = False


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """All members speak at once. In the first round there is nothing to be seen yet."""

    sees: Sees = Sees.OWN
    instruction: str = ""


class Ranking(msgspec.Struct, frozen=True, kw_only=True):
    """After the rounds, these members put the opinions, shown without names, into an order."""

    reviewers: tuple[str, ...]
    instruction: str = ""


class Chair(msgspec.Struct, frozen=True, kw_only=True):
    """Who writes the answer. A neutral one is a judge: no member, and it sees labels instead of names. `by_caller` as of a Member."""

    name: str = CHAIR_NAME
    persona: str = ""
    model: str = DEFAULT_MODEL
    sampling: Sampling = Sampling()
    max_tokens: int = CHAIR_TOKENS
    neutral: bool = False
    by_caller: bool = False


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """What the answer has to look like; a `schema` goes with the format json only."""

    instructions: str = ""
    format: Literal["text", "json"] = "text"
    schema: dict[str, Any] | None = None

    @property
    def answer_format(self) -> Format | None:
        """How the chair is held to it; JSON without a schema of its own has a place for agreement and disagreement."""
        return None if self.format == "text" else Format("json_schema", self.schema or dict(ANSWER_SCHEMA))


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A council as it can be convened; every default is filled in. `budget_nano`: nano-dollars, None without an own bound.

    `below_quorum`: what follows when fewer than `quorum` members said something: an answer made of what there is, or a failure.
    """

    name: str
    members: tuple[Member, ...]
    description: str = ""
    rounds: tuple[Round, ...] = (Round(),)
    ranking: Ranking | None = None
    chair: Chair = Chair()
    quorum: int
    deadline_s: float = DEFAULT_DEADLINE_S
    budget_nano: int | None = None
    max_tokens: int = OPINION_TOKENS
    output: Output = Output()
    model: str = DEFAULT_MODEL
    below_quorum: Literal["answer", "fail"] = "answer"

    @property
    def model_name(self) -> str:
        """What a caller asks for."""
        return PREFIX + self.name

    @property
    def models(self) -> tuple[str, ...]:
        """Every model that the template names, each once."""
        return tuple(dict.fromkeys((*(member.model for member in self.members), self.chair.model)))

    def member(self, name: str) -> Member:
        """The member of that name; there has to be one."""
        return next(member for member in self.members if member.name == name)


def majority(members: int) -> int:
    """More than half of them."""
    return members // 2 + 1


def document_of(template: Template) -> dict[str, Any]:
    """The template as JSON values with everything that goes without saying; it can be read again (template.py)."""
    ranking, budget = template.ranking, template.budget_nano
    return {
        "name": template.name,
        "description": template.description,
        "members": [
            {"name": member.name, "persona": member.persona, **_speaking(member)} for member in template.members
        ],
        "rounds": [{"sees": one.sees.value, "instruction": one.instruction} for one in template.rounds],
        "ranking": None
        if ranking is None
        else {"reviewers": list(ranking.reviewers), "instruction": ranking.instruction},
        "chair": {
            "name": template.chair.name,
            "persona": template.chair.persona,
            **_speaking(template.chair),
            "neutral": template.chair.neutral,
        },
        "quorum": template.quorum,
        "deadline_s": template.deadline_s,
        "budget_usd": None if budget is None else budget / NANO_PER_USD,
        "max_tokens": template.max_tokens,
        "output": {
            "instructions": template.output.instructions,
            "format": template.output.format,
            "schema": template.output.schema,
        },
        "model": template.model,
        "below_quorum": template.below_quorum,
    }


def _speaking(speaker: Member | Chair) -> dict[str, Any]:
    sampled = {name: getattr(speaker.sampling, name) for name in SAMPLED}
    return {
        "model": speaker.model,
        "sampling": {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in sampled.items()
            if value not in {None, ()}
        },
        "max_tokens": speaker.max_tokens,
    }
