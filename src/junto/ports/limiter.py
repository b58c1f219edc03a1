"""The store that the nodes of one Junto share their limits through.

It knows two kinds of things, both by the id of a bucket:

- *Windows*: how much was granted, and when. **In any 60 seconds no more is granted of a bucket than its limit**: what was
  granted at a moment is free again a full minute after it, not earlier and not bit by bit. A node may be granted more than
  it needs now, to be used within the life of a lease (2 s); that part counts from the end of the lease, and what is given
  back unused is free at once. So the promise holds for the moments of use, whenever within the lease they are.
- *Seats*: how many requests each node has running. A node says how many it holds; those of a node that has not been heard of
  for 10 seconds are free again.

A store that has lost its memory starts a new *epoch*. For the first moments of an epoch (`settling_ms`) it grants nothing:
in that time the nodes that lived through the loss tell what they granted in the last minute, so that the promise holds across
it. Everything goes in one message, the *visit*: a node makes one at a time, for all who wait.
"""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

WINDOW_MS: Final = 60_000
LEASE_MS: Final = 2_000
NODE_MS: Final = 10_000  # after which a node that was not heard of is gone, and its seats are free


class BucketsAway(Exception):
    """The store does not answer; a visit may or may not have been carried out."""


class Need(msgspec.Struct, frozen=True, array_like=True):
    """What one request wants of one bucket: `amount` now. Of a window, `limit` is a figure per minute; of seats, at once."""

    seats: bool
    bucket: str
    limit: int
    amount: int


class Back(msgspec.Struct, frozen=True, array_like=True):
    """What of a window's grant, that counts from `stamp`, was not used."""

    bucket: str
    stamp: int
    amount: int


class Charge(msgspec.Struct, frozen=True, array_like=True):
    """What was used of a window without having been granted, `age_ms` ago. Counts even over the limit."""

    bucket: str
    amount: int
    age_ms: int


class Held(msgspec.Struct, frozen=True, array_like=True):
    """How many seats of a bucket this node holds now, in all."""

    bucket: str
    seats: int


class Visit(msgspec.Struct, frozen=True, array_like=True):
    """What a node tells and asks. Of each tuple in `asks` all needs are granted, or none.

    `epoch` is the one that the node knows, "" for none. Where the store is in another one, it only says so and does nothing.
    """

    node: str
    epoch: str
    leaving: bool = False
    back: tuple[Back, ...] = ()
    charges: tuple[Charge, ...] = ()
    held: tuple[Held, ...] = ()
    asks: tuple[tuple[Need, ...], ...] = ()


class Granted(msgspec.Struct, frozen=True):
    """Yes. By need, in the order asked: what may be used besides, within the lease, and what is left of the limit."""

    extras: tuple[int, ...]
    remaining: tuple[int, ...]


class Refused(msgspec.Struct, frozen=True):
    """No: the need at `index` finds only `remaining`; of a window there will be enough in `wait_ms`, of seats nobody knows (0)."""

    index: int
    wait_ms: int
    remaining: int


class AskAgain(msgspec.Struct, frozen=True):
    """Neither: the store is settling, or was in another epoch than the node thought."""


type Outcome = Granted | Refused | AskAgain


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the store says. Stamps and milliseconds are by its own clock.

    What was granted for now counts from `stamp`, extras count from `lease_stamp`; a grant that arrives more than
    `delivery_ms` after the visit began is too old to be used. `nodes` are heard of, this one is number `rank` of them, from 0.
    `lapsed`: the store had given this node up, and its seats.
    """

    epoch: str
    settling_ms: int
    nodes: int
    rank: int
    lapsed: bool
    stamp: int
    lease_stamp: int
    delivery_ms: int
    outcomes: tuple[Outcome, ...]


class Buckets(Protocol):
    """The store; memory and Redis are twins."""

    async def visit(self, visit: Visit) -> Answer:
        """Carry the visit out at one moment; raises BucketsAway."""

    async def close(self) -> None:
        """Let go of the connection; safe to call twice."""


def lease_extra(*, limit: int, amount: int, remaining: int, nodes: int, window_ms: int = WINDOW_MS) -> int:
    """What is granted of a window besides `amount`, of what remained before.

    In all it is a second's worth of the node's part, and at most half of its part of what remained.
    """
    in_all = min(limit * 1000 // (window_ms * nodes), remaining // (2 * nodes))
    return max(0, in_all - amount)


def spare_seats(limit: int, nodes: int) -> int:
    """How many free seats one node may keep for its next requests: few enough that the others hardly miss them."""
    return limit // (4 * nodes)


def static_share(limit: int, nodes: int, rank: int) -> int:
    """One node's part of a limit while the store is away; the parts of all nodes add up to the limit."""
    share, rest = divmod(limit, nodes)
    return share + (1 if rank < rest else 0)
