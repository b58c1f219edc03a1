"""Whatever is configured and whatever fails: nobody is let in who may not see it, and nothing is left behind."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from junto.catalog.model import GroupSpec, MemberSpec
from junto.core.errors import FailureKind, JuntoError, NotServable, UpstreamFailure
from junto.core.events import Failure, Start, TextDelta
from junto.core.exchange import Outcome
from junto.core.sensitivity import Locality, Sensitivity
from junto.dialects import anthropic, native, ollama, openai
from junto.gateway.exchange import Arrival
from junto.identity.principal import Principal
from junto.providers.fake import Step, saying
from junto.routing.facts import Strategy
from tests.unit.gateway.many_backends import Backend, ManyBackends

if TYPE_CHECKING:
    from junto.dialects.wire import Wire

NAMES = ("m0", "m1", "m2")
WIRES = (openai.CHAT, anthropic.MESSAGES, ollama.CHAT, native.COMPLETE_STREAM, native.COMPLETE)
TIERS = st.sampled_from(Sensitivity)

failures = st.builds(
    UpstreamFailure,
    st.sampled_from(FailureKind),
    st.just("its own words"),
    retry_after=st.sampled_from([None, 0.0, 99.0]),
)
steps = st.one_of(
    st.just(Step(events=saying("all is well"))),
    st.builds(Step, failure=failures),
    st.builds(
        Step,
        events=st.sampled_from(FailureKind).map(
            lambda kind: (Start("fake"), TextDelta("half"), Failure(kind, "its own words"))
        ),
    ),
    st.just(Step(events=(Start("fake"), TextDelta("cut off")))),
    st.just(Step()),
)


@st.composite
def backends(draw: st.DrawFn) -> list[Backend]:
    """A few backends, here and there, with slots and without, that answer and fail."""
    return [
        Backend(
            name=f"b{number}",
            locality=draw(st.sampled_from([None, *Locality])),
            models={name: f"{name}-up" for name in draw(st.sets(st.sampled_from(NAMES), min_size=1))},
            steps=tuple(draw(st.lists(steps, min_size=1, max_size=4))),
            slots=draw(st.sampled_from([None, 1, 2])),
            priority=draw(st.integers(1, 3)),
        )
        for number in range(draw(st.integers(1, 4)))
    ]


references = st.sampled_from([*NAMES, *(f"b{number}/{name}" for number in range(4) for name in NAMES), "g0", "g1"])
members = st.lists(st.builds(MemberSpec, references, st.integers(1, 4)), min_size=1, max_size=4).map(tuple)
groups = st.dictionaries(
    st.sampled_from(["g0", "g1"]),
    st.builds(GroupSpec, members=members, strategy=st.sampled_from([None, *Strategy]), fallback=st.none() | references),
)
fallbacks = st.dictionaries(references, st.lists(references, min_size=1, max_size=3).map(tuple), max_size=3)
principals = st.builds(Principal, allow_cloud_for_internal=st.booleans(), min_sensitivity=TIERS)


@st.composite
def arrivals(draw: st.DrawFn) -> Arrival:
    """A question in some wire, with a tier said in a header, in its metadata, in both or nowhere."""
    wire: Wire = draw(st.sampled_from(WIRES))
    asked: dict[str, Any] = {"model": draw(references), "messages": [{"role": "user", "content": "a secret"}]}
    if not wire.name.startswith("native"):
        asked["stream"] = draw(st.booleans())
    if wire is anthropic.MESSAGES:
        asked["max_tokens"] = 9
    said = draw(st.none() | TIERS)
    if said is not None:
        asked["metadata"] = {"sensitivity": said.label}
    header = draw(st.none() | TIERS)
    return Arrival(
        id="req",
        wire=wire,
        body=msgspec.json.encode(asked),
        principal=draw(principals),
        sensitivity=None if header is None else header.label,
    )


async def settle(gateway: ManyBackends, arrival: Arrival, leaves_after: int | None) -> bytes | JuntoError:
    """Ask and read to the end, or leave after so many turns of the loop; what the caller got."""

    async def read() -> bytes:
        answer = await gateway.pipeline.open(arrival)
        pieces = []
        try:
            while piece := await answer.read():
                pieces.append(piece)
        finally:
            answer.close()
            answer.close()
        return b"".join(pieces)

    asking = asyncio.create_task(read())
    if leaves_after is not None:
        for _ in range(leaves_after):
            await asyncio.sleep(0)
        asking.cancel()
    try:
        return await asking
    except JuntoError as error:
        return error
    except asyncio.CancelledError:
        return b""


def tier_of(arrival: Arrival, default: Sensitivity) -> Sensitivity:
    """The tier as the design says it: the highest of what was said, the default where nothing was."""
    body = msgspec.json.decode(arrival.body)
    said = [label for label in (arrival.sensitivity, body.get("metadata", {}).get("sensitivity")) if label is not None]
    tiers = [tier for tier in Sensitivity if tier.label in said]
    if arrival.principal.min_sensitivity is not Sensitivity.PUBLIC:
        tiers.append(arrival.principal.min_sensitivity)
    return max(tiers, default=default)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    backends=backends(),
    groups=groups,
    fallbacks=fallbacks,
    default=TIERS,
    asked=st.lists(st.tuples(arrivals(), st.none() | st.integers(0, 12)), min_size=1, max_size=5),
)
def test_nobody_is_let_in_who_may_not_see_it_and_nothing_is_left_behind(
    backends: list[Backend],
    groups: dict[str, GroupSpec],
    fallbacks: dict[str, tuple[str, ...]],
    default: Sensitivity,
    asked: list[tuple[Arrival, int | None]],
) -> None:
    for number, (arrival, _) in enumerate(asked):
        arrival.id = f"req_{number}"
    gateway = ManyBackends(backends, groups=groups, fallbacks=fallbacks, default=default)

    async def all_at_once() -> list[bytes | JuntoError]:
        return await asyncio.gather(*(settle(gateway, arrival, leaves) for arrival, leaves in asked))

    with contextlib.closing(asyncio.new_event_loop()) as loop:
        outcomes = loop.run_until_complete(all_at_once())
    for name, provider in gateway.providers.items():
        assert not provider.misuses
        if not gateway.backends[name].is_local:
            assert not any(must_stay for _, must_stay in provider.let_in)
            assert Sensitivity.CONFIDENTIAL not in {tier for tier, _ in provider.let_in}
        assert all(reply.closed for reply in provider.replies)
    assert gateway.held == 0
    records = {record.id: record for record in gateway.shelf.records}
    assert len(records) == len(gateway.shelf.records)
    for (arrival, leaves), outcome in zip(asked, outcomes, strict=True):
        if leaves == 0:  # gone before anything began
            assert arrival.id not in records
            continue
        record = records[arrival.id]
        tier = tier_of(arrival, default)
        assert record.sensitivity == tier.label
        assert record.locality != Locality.CLOUD or tier is not Sensitivity.CONFIDENTIAL
        if isinstance(outcome, NotServable):
            assert (record.attempts, record.outcome) == ((), Outcome.ERROR)  # nobody was asked
        if isinstance(outcome, JuntoError):
            assert "its own words" not in f"{outcome.message} {outcome.reasons}"
            assert record.status == outcome.status
