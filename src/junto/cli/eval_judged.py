"""How a judgement and the end of a run of judgements are told to people. Asks nothing, and knows no options."""

from __future__ import annotations

from collections import Counter
from statistics import fmean
from typing import TYPE_CHECKING, Any

from junto.cli.output import harmless, short_usd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_NOTHING = (
    "Nothing is left to judge: either the task has no complete shadow of these days (`junto eval shadows`), or all was judged "
    "before in this mode (--again judges it once more)."
)
_NOT_APPLIED = "Not applied: --apply does."
_MOST_REASONS = 5


def told_judgement(one: Mapping[str, Any]) -> Iterator[str]:
    """Lines about a judgement that is complete: what it says, its reason, and which judges were not heard."""
    said = f"Score {one['score']}." if one["score"] is not None else f"Better: {one['winner']}."
    yield harmless(f"{said} {short_usd(one['cost_usd'])} USD. {'Applied.' if one['applied'] else _NOT_APPLIED}")
    if reason := one.get("reason"):
        yield harmless(reason)
    for judge in one.get("judges", ()):
        if judge["status"] != "heard":
            yield harmless(f"{judge['judge']} is not counted: {judge['error']['message']}")


def told_run(run: Mapping[str, Any]) -> str:
    """One line about how far a run has got."""
    cost = short_usd(run["cost_usd"])
    done = f"{run['done']} of {run['total']} judged, {run['failed']} failed, {cost} USD"
    return harmless(f"{run['run_id']} is {run['status']}: {done}.")


def told_results(run: Mapping[str, Any], judgements: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Lines about what a run came to, and about why some of it failed."""
    if not run["total"]:
        yield _NOTHING
        return
    complete = [one for one in judgements if one["status"] == "complete"]
    yield from (line for line in (_marks(complete), _wins(complete)) if line)
    failures = Counter(one["error"]["message"] for one in judgements if one["error"])
    for message, times in failures.most_common(_MOST_REASONS):
        yield harmless(f"Failed, {times} of {run['total']}: {message}")
    if complete and not any(one["applied"] for one in complete):
        yield _NOT_APPLIED


def _marks(complete: Sequence[Mapping[str, Any]]) -> str:
    """The mean of the marks of shadows, and of the answers that callers got."""
    marked = [(one["subject"]["kind"] == "shadow", one["score"]) for one in complete if one["score"] is not None]
    shown = []
    for name, is_shadow in (("shadows", True), ("what callers got", False)):
        if scores := [score for kind, score in marked if kind is is_shadow]:
            shown.append(f"{name} {fmean(scores):.2f} ({len(scores)})")
    return f"Mean score: {', '.join(shown)}." if shown else ""


def _wins(complete: Sequence[Mapping[str, Any]]) -> str:
    """How often the shadow, which is the second of its pair, was better."""
    winners = Counter(one["winner"] for one in complete if one["winner"])
    if not winners:
        return ""
    return f"Better: the shadow {winners['second']}, what callers got {winners['first']}, tie {winners['tie']}."
