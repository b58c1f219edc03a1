"""What is asked of a jury, what each juror says, and what all of it comes to. Pure: the calls are judging.py's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from junto.core.errors import InvalidField
from junto.core.money import usd_from_nano
from junto.evals.rubrics import Rubric
from junto.evals.verdicts import Mark, majority_of, panel_of, quorum_of
from junto.ports.judging import Decision, Mode, Status
from junto.ports.replays import Terms
from junto.ports.scores import Winner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from junto.ports.subjects import SubjectFacts

MOST_JUDGES: Final = 9
FEWEST_OF_A_PANEL: Final = 2
NONSENSE: Final = "judge_nonsense"
NO_QUORUM: Final = "no_quorum"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """How it is to be judged, and by whom. `quorum` None: more than half of all judges. Also as JSON, of a run."""

    mode: Mode
    judges: tuple[str, ...]
    rubric: Rubric = Rubric()
    quorum: int | None = None
    apply: bool = False
    allow_same_family: bool = False

    @property
    def needed(self) -> int:
        """How many judges must be heard."""
        return quorum_of(len(self.judges), self.quorum) if self.mode is Mode.PANEL else 1


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One answer, or a pair of them, that is judged, under the strictest tier of what is read.

    `allow_cloud` is the consent, as of now, of the clients whose they are; `terms` gives both anew.
    """

    id: str
    asked: Asked
    facts: SubjectFacts
    other: SubjectFacts | None = None
    sensitivity: str
    allow_cloud: bool = False
    terms: Callable[[], Terms] | None = None

    @property
    def both(self) -> tuple[SubjectFacts, ...]:
        """What is read."""
        return (self.facts,) if self.other is None else (self.facts, self.other)


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What a judge said of a pair in one order; `winner` as of the pair in its own order. `error` says why there is none."""

    swapped: bool
    winner: Winner | None = None
    reason: str = ""
    error: str = ""
    code: str = ""


class Opinion(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one juror: a mark, or a winner; or why neither. `is_busy`: another time it might be heard.

    `is_kin`: it is of a producer's family.
    """

    judge: str
    mark: Mark | None = None
    winner: Winner | None = None
    looks: tuple[Look, ...] = ()
    left_out: bool = False
    is_kin: bool = False
    code: str = ""
    error: str = ""
    is_busy: bool = False
    model: str = ""
    backend: str = ""
    calls: int = 0
    tokens: int = 0
    nano: int = 0

    @property
    def is_heard(self) -> bool:
        """Whether it counts."""
        return self.mark is not None or self.winner is not None


def check(asked: Asked, *, is_pair: bool) -> None:
    """Raises InvalidField for what cannot be asked."""
    count = len(asked.judges)
    if len(set(asked.judges)) != count:
        raise InvalidField("A judge is named twice.", param="judges")
    if asked.mode is Mode.PANEL:
        if not FEWEST_OF_A_PANEL <= count <= MOST_JUDGES:
            raise InvalidField(f"A panel has {FEWEST_OF_A_PANEL} to {MOST_JUDGES} judges.", param="judges")
        if asked.quorum is not None and not 1 <= asked.quorum <= count:
            raise InvalidField(f"The quorum of {count} judges is 1 to {count}.", param="quorum")
    elif count != 1:
        raise InvalidField(f"Mode {asked.mode.value} has one judge; several are a panel.", param="judges")
    elif asked.quorum is not None:
        raise InvalidField("Only a panel has a quorum.", param="quorum")
    if asked.mode is Mode.PAIRWISE and not is_pair:
        raise InvalidField("Mode pairwise judges a pair.", param="pair")
    if asked.mode is Mode.POINTWISE and is_pair:
        raise InvalidField("Mode pointwise judges one subject; a pair is for pairwise or a panel.", param="pair")
    if is_pair and asked.rubric.dimensions:
        raise InvalidField("A pair is compared as a whole: dimensions are for marks.", param="rubric")


def decide(asked: Asked, opinions: Sequence[Opinion]) -> Decision:
    """What the opinions come to, in the order of the judges. Without a quorum it has failed, and there is no number."""
    heard = [one for one in opinions if one.is_heard]
    marks = [one.mark for one in heard if one.mark is not None]
    winners = [one.winner for one in heard if one.winner is not None]
    detail: dict[str, Any] = {
        "judges": [_told(one) for one in opinions],
        "quorum": {"needed": asked.needed, "heard": len(heard), "met": len(heard) >= asked.needed},
        "reason": reasons_of(opinions),
    }
    if len(heard) < asked.needed:
        code, message = _failure(asked, opinions, len(heard))
        decision = Decision(status=Status.FAILED, error_code=code, error_message=message)
    elif winners:
        decision = Decision(status=Status.COMPLETE, winner=majority_of(winners).value)
    else:
        panel = panel_of(marks)
        detail |= {"median": panel.median, "dimensions": panel.dimensions}
        decision = Decision(status=Status.COMPLETE, score=panel.score)
    return msgspec.structs.replace(
        decision,
        detail=msgspec.json.encode(detail),
        calls=sum(one.calls for one in opinions),
        tokens=sum(one.tokens for one in opinions),
        nano=sum(one.nano for one in opinions),
    )


def reasons_of(opinions: Sequence[Opinion]) -> str:
    """What the jurors that were heard gave as their reasons; each after its name where they are several."""
    heard = [one for one in opinions if one.is_heard]
    said = [(one.judge, _reason(one)) for one in heard if _reason(one)]
    return "\n".join(reason if len(heard) == 1 else f"{judge}: {reason}" for judge, reason in said)


def _reason(opinion: Opinion) -> str:
    if opinion.mark is not None:
        return opinion.mark.reason
    return " / ".join(look.reason for look in opinion.looks if look.reason)


def _failure(asked: Asked, opinions: Sequence[Opinion], heard: int) -> tuple[str, str]:
    first = next((one for one in opinions if not one.is_heard), None)
    if asked.mode is not Mode.PANEL and first is not None:
        return first.code, f"Judge {first.judge}: {first.error}" if first.code == NONSENSE else first.error
    return NO_QUORUM, f"{heard} of {len(opinions)} judges were heard, {asked.needed} are needed."


def _told(one: Opinion) -> dict[str, Any]:
    """A juror as it is shown: what it said, or why it did not count, and what it cost."""
    status = "heard" if one.is_heard else "left_out" if one.left_out else "failed"
    said: dict[str, Any] = {"judge": one.judge, "status": status, "same_family": one.is_kin}
    if one.mark is not None:
        said |= {"score": one.mark.score, "reason": one.mark.reason}
        if one.mark.dimensions:
            said["dimensions"] = one.mark.dimensions
    if one.winner is not None:
        said["winner"] = one.winner.value
    if one.looks:
        said["looks"] = [_look(look) for look in one.looks]
    if not one.is_heard:
        said["error"] = {"code": one.code, "message": one.error}
    spent = {"calls": one.calls, "tokens": one.tokens, "cost_usd": usd_from_nano(one.nano)}
    return said | {"model": one.model or None, "backend": one.backend or None} | spent


def _look(look: Look) -> dict[str, Any]:
    order = {"order": "swapped" if look.swapped else "given"}
    if look.winner is None:
        return order | {"error": {"code": look.code, "message": look.error}}
    return order | {"winner": look.winner.value, "reason": look.reason}
