"""`python -m bench.evidence`: how well the statistics of evidence keep their promises, against truths that are known.

Prints Markdown: coverage of intervals, false promotions and stops under looking after every score, and how soon a good candidate clears
the gate. Seeds are fixed, so that the same figures come again; `--runs` makes it shorter.
"""

from __future__ import annotations

import argparse
from functools import cache
from math import log
from random import Random
from typing import TYPE_CHECKING

from junto.evals.gate import Arm, Evidence, failure_evidence, level_of, quality_evidence, worsened
from junto.evals.statistics.intervals import SCORES, Interval, mean_interval, posterior, rate_interval
from junto.routing.evidence import EvidenceGate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

GATE = EvidenceGate()
LEVEL = level_of(GATE, candidates=1, tried=0)
LOOKS = 1_000
TRUTHS = {
    "all scores alike": (0.2, 0.2, 0.2, 0.2, 0.2),
    "good": (0.02, 0.03, 0.10, 0.35, 0.50),
    "all but perfect": (0.0, 0.01, 0.04, 0.15, 0.80),
    "middling": (0.05, 0.20, 0.50, 0.20, 0.05),
    "tight": (0.0, 0.0, 0.10, 0.80, 0.10),
    "1 or 5": (0.5, 0.0, 0.0, 0.0, 0.5),
    "5, seldom 1": (0.05, 0.0, 0.0, 0.0, 0.95),
}
DIFFERENCES = (-4, -3, -2, -1, 0, 1, 2, 3, 4)
# Candidates that are worse by exactly the margin of the gate: the hardest that may not be promoted.
WORSE = {
    "a step at most": (0, 0, 0, 0.35, 0.55, 0.10, 0, 0, 0),
    "usual": (0, 0.02, 0.08, 0.26, 0.46, 0.14, 0.03, 0.01, 0),
    "wide": (0.08, 0.09, 0.11, 0.16, 0.22, 0.13, 0.09, 0.07, 0.05),
    "mostly equal, seldom a disaster": (0.0625, 0, 0, 0, 0.9375, 0, 0, 0, 0),
}
GOOD = {
    "equal, judges agree": (0, 0, 0, 0.10, 0.80, 0.10, 0, 0, 0),
    "equal": (0, 0.01, 0.06, 0.20, 0.46, 0.20, 0.06, 0.01, 0),
    "0.1 worse": (0, 0.01, 0.06, 0.25, 0.45, 0.17, 0.05, 0.01, 0),
    "0.3 better": (0, 0, 0.03, 0.13, 0.46, 0.28, 0.09, 0.01, 0),
}


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(prog="bench.evidence", description="Statistics of evidence against known truths.")
    parser.add_argument("--runs", type=int, default=1_000, help="runs of each simulation (default 1000)")
    runs = parser.parse_args().runs
    for section in (coverage, coverage_of_rates, false_promotions, false_reliability, power, stops):
        print("\n".join(section(runs)), end="\n\n", flush=True)


def coverage(runs: int) -> Iterator[str]:
    """How often a 95 % interval of a mean holds it, by number of scores."""
    sizes = (5, 10, 20, 50, 200)
    yield "Coverage of the 95 % interval of a mean (in brackets: its width)"
    yield ""
    yield f"| scores | {' | '.join(f'n = {n}' for n in sizes)} |"
    yield "|---|" + "---|" * len(sizes)
    for name, shares in TRUTHS.items():
        cells = [_covered(shares, n, runs) for n in sizes]
        yield f"| {name} | {' | '.join(f'{held:.1%} ({width:.2f})' for held, width in cells)} |"


def _covered(shares: Sequence[float], n: int, runs: int) -> tuple[float, float]:
    random, held, width = Random(f"{shares}{n}"), 0, 0.0
    truth = sum(score * share for score, share in zip(SCORES, shares, strict=True))
    for _ in range(runs):
        found = _interval(_drawn(random, shares, n))
        held += found.low <= truth <= found.high
        width += found.high - found.low
    return held / runs, width / runs


@cache
def _interval(counts: tuple[int, ...]) -> Interval:
    return mean_interval(counts)


def _drawn(random: Random, shares: Sequence[float], n: int) -> tuple[int, ...]:
    counts = [0] * len(shares)
    for value in random.choices(range(len(shares)), shares, k=n):
        counts[value] += 1
    return tuple(counts)


def coverage_of_rates(runs: int) -> Iterator[str]:
    """The same of win rates."""
    sizes = (10, 30, 100)
    yield f"| wins, ties, losses | {' | '.join(f'n = {n}' for n in sizes)} |"
    yield "|---|" + "---|" * len(sizes)
    for shares in ((0.5, 0.2, 0.3), (0.9, 0.05, 0.05), (0.3, 0.4, 0.3)):
        cells = []
        for n in sizes:
            random, truth = Random(f"{shares}{n}"), shares[0] + shares[1] / 2
            found = [rate_interval(*_drawn(random, shares, n)) for _ in range(runs)]
            cells.append(sum(each.low <= truth <= each.high for each in found) / runs)
        yield f"| {', '.join(f'{share:.0%}' for share in shares)} | {' | '.join(f'{held:.1%}' for held in cells)} |"


def false_promotions(runs: int) -> Iterator[str]:
    """How often the quality of a candidate that is worse by the margin is believed, looking after each of a thousand pairs."""
    yield f"Worse by exactly the margin ({GATE.quality_margin}), looked at after each of {LOOKS} scored requests; allowed: {1 - GATE.confidence:.0%}"
    yield ""
    yield "| differences | the gate | a posterior, looked at each time | the same, looked at once, at the end |"
    yield "|---|---|---|---|"
    for name, shares in WORSE.items():
        ever = [_first_look(shares, Random(f"{name}{run}")) for run in range(runs)]
        naive = [_naive(shares, Random(f"{name}{run}")) for run in range(min(runs, 200))]
        told = sum(look is not None for look in ever) / runs
        each, last = (sum(pair[place] for pair in naive) / len(naive) for place in (0, 1))
        yield f"| {name} | {told:.1%} | {each:.1%} | {last:.1%} |"


def _first_look(shares: Sequence[float], random: Random) -> int | None:
    """After how many pairs the quality is believed; None: not within the looks."""
    needed, counts = log(1 / LEVEL), [0] * 9
    for look, value in enumerate(random.choices(range(9), shares, k=LOOKS), start=1):
        counts[value] += 1
        if look >= GATE.min_scores and quality_evidence(GATE, counts) >= needed:
            return look
    return None


def _naive(shares: Sequence[float], random: Random) -> tuple[bool, bool]:
    """Whether a posterior is ever sure, looked at after every fifth pair; and whether it is at the end."""
    counts, ever, now = [0] * 9, False, False
    for look, value in enumerate(random.choices(range(9), shares, k=LOOKS), start=1):
        counts[value] += 1
        if look >= GATE.min_scores and look % 5 == 0:
            now = posterior(counts, DIFFERENCES).above(-GATE.quality_margin) >= GATE.confidence
            ever = ever or now
    return ever, now


def false_reliability(runs: int) -> Iterator[str]:
    """How often a candidate that fails too often is believed to be reliable, looking after every twentieth attempt."""
    times, attempts = max(runs // 5, 1), 600
    yield f"Failing more often by exactly what is allowed ({GATE.max_failure_excess:.0%}), looked at after every twentieth of {attempts} attempts"
    yield ""
    yield "| incumbent fails | believed reliable | one as reliable: believed | after (median) |"
    yield "|---|---|---|---|"
    for rate in (0.0, 0.01, 0.05, 0.2):
        bad = [
            _reliable(rate + GATE.max_failure_excess, rate, attempts, Random(f"{rate}{run}")) for run in range(times)
        ]
        good = [_reliable(rate, rate, attempts, Random(f"{rate}{run}")) for run in range(times)]
        yield f"| {rate:.0%} | {_share(bad)} | {_share(good)} | {_median(good)} |"


def _reliable(ours: float, theirs: float, attempts: int, random: Random) -> int | None:
    first, second = [0, 0], [0, 0]
    for look in range(1, attempts + 1):
        first[random.random() >= ours] += 1
        second[random.random() >= theirs] += 1
        if look % 20 == 0 and failure_evidence(GATE, first, second) >= log(1 / LEVEL):
            return look
    return None


def power(runs: int) -> Iterator[str]:
    """How soon a candidate that is good enough is believed to be."""
    yield f"| candidate | believed within {LOOKS} | after (median) | nine of ten after |"
    yield "|---|---|---|---|"
    for name, shares in GOOD.items():
        looks = [_first_look(shares, Random(f"{name}{run}")) for run in range(max(runs // 2, 1))]
        yield f"| {name} | {_share(looks)} | {_median(looks)} | {_median(looks, 0.9)} |"


def stops(runs: int) -> Iterator[str]:
    """How often a good canary is stopped, and how soon a bad one is; looked at after every tenth answer."""
    times, answers = max(runs // 5, 1), 400
    yield f"A canary of {answers} answers, half of them compared, looked at after every tenth"
    yield ""
    yield "| canary | stopped | after (median answers) |"
    yield "|---|---|---|"
    cases = {
        "as good": (GOOD["equal"], 0.01),
        "worse by the margin": (WORSE["usual"], 0.01),
        "worse by a whole point": ((0, 0.04, 0.24, 0.44, 0.24, 0.04, 0, 0, 0), 0.01),
        "fails every fifth time": (GOOD["equal"], 0.2),
        "fails always": (GOOD["equal"], 1.0),
    }
    for name, (shares, rate) in cases.items():
        looks = [_stopped(shares, rate, answers, Random(f"{name}{run}")) for run in range(times)]
        yield f"| {name} | {_share(looks)} | {_median(looks)} |"


def _stopped(shares: Sequence[float], rate: float, answers: int, random: Random) -> int | None:
    incumbent, counts, failures = Arm(attempts=2_000, failures=20), [0] * 9, 0
    for look in range(1, answers + 1):
        failures += random.random() < rate
        if look % 2:
            counts[random.choices(range(9), shares)[0]] += 1
        if look % 10 == 0:
            arm = Arm(attempts=look, failures=failures)
            if worsened(GATE, Evidence(candidate=arm, incumbent=incumbent, differences=tuple(counts))) is not None:
                return look
    return None


def _share(looks: Sequence[int | None]) -> str:
    return f"{sum(look is not None for look in looks) / len(looks):.1%}"


def _median(looks: Sequence[int | None], place: float = 0.5) -> str:
    """The place among all runs; those that never got there come last."""
    ordered = sorted(LOOKS * 10 if look is None else look for look in looks)
    found = ordered[min(int(len(ordered) * place), len(ordered) - 1)]
    return "never" if found > LOOKS else str(found)


if __name__ == "__main__":
    main()
