"""Smooth weighted round-robin without memory: whose turn it is follows from the number of the turn alone.

A cycle has as many turns as the weights add up to, and each place gets exactly its weight of them, spread evenly: place i
with weight w is due at the moments (k + 1/2) / w for k = 0 .. w-1, and turn t is the t-th moment of all, in order.
"""

from __future__ import annotations

from collections.abc import Sequence


def turn(weights: Sequence[int], number: int) -> list[int]:
    """Places in the order for that turn: whose turn it is, then the others by when they are due next.

    A place of weight 0 gets no turn and is last; if all are 0, all count as 1. `number` is any integer >= 0.
    """
    if max(weights) <= 0:
        weights = [1] * len(weights)
    working = [place for place, weight in enumerate(weights) if weight > 0]
    idle = [place for place, weight in enumerate(weights) if weight <= 0]
    total = sum(weights[place] for place in working)
    number %= total
    taken = _taken_before(weights, working, number, total)

    def due(place: int) -> tuple[float, int]:
        return ((2 * taken[place] + 1) / weights[place], place)

    for _ in range(number - sum(taken.values())):
        taken[min(working, key=due)] += 1
    return [*sorted(working, key=due), *idle]


def _taken_before(weights: Sequence[int], working: Sequence[int], number: int, total: int) -> dict[int, int]:
    """Turns that each place has surely had before that turn: all moments up to (number - places/2) / total.

    At most `places` turns short of the truth, which the caller walks; so the cost does not grow with the weights.
    """
    moment = 2 * number - len(working)  # in units of 1 / (2 * total)
    return {place: max((weights[place] * moment + total) // (2 * total), 0) for place in working}
