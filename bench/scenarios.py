"""What is measured: the scenarios as loads, and how long each lasts. Pure."""

from typing import Final, Literal

import msgspec

from bench import payload
from bench.process import Gateway
from bench.spec import Load

Scenario = Literal["unary", "latency", "half", "large", "stream", "stream-anthropic", "stream-ollama"]

UNARY: Final[tuple[Scenario, ...]] = ("unary", "latency", "half", "large")
STREAM: Final[tuple[Scenario, ...]] = ("stream", "stream-anthropic", "stream-ollama")

STREAMS: Final = 100
"""Concurrent streams."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How much is run; seconds are per round and gateway."""

    rounds: int = 3
    unary_s: float = 3.0
    warm_s: float = 1.0
    latency_s: float = 1.0
    half_s: float = 2.0
    large_s: float = 1.5
    waves: int = 2
    settle_s: float = 0.4
    cold_starts: int = 3
    memory_requests: int = 100_000
    jobs_s: float = 2.0
    scenarios: tuple[Scenario, ...] = UNARY + STREAM


QUICK: Final = Plan(
    rounds=1,
    unary_s=1.5,
    warm_s=0.5,
    latency_s=0.5,
    half_s=0.5,
    large_s=0.5,
    waves=1,
    settle_s=0.2,
    cold_starts=1,
    memory_requests=0,
    jobs_s=0.0,
)


def applies(scenario: Scenario, gateway: Gateway) -> bool:
    """Tell whether a gateway is measured in a scenario."""
    dialects = gateway.door.stream_models
    if dialects:
        return scenario.startswith("stream-") and scenario.removeprefix("stream-") in dialects
    if gateway.door.unary_only:
        return scenario in {"unary", "latency"}
    if scenario == "half":
        return not gateway.slow
    return not scenario.startswith("stream-")


def load_of(scenario: Scenario, gateway: Gateway, plan: Plan, *, rate: float | None) -> Load:
    """Return the load of a scenario for a gateway; `rate` (requests/s) is used by `half` alone."""
    warm = plan.warm_s * (2 if gateway.slow else 1)
    body = payload.request(model=gateway.door.model)
    match scenario:
        case "unary":
            return _unary(gateway, body, connections=32, seconds=plan.unary_s, warm=warm)
        case "latency":
            return _unary(gateway, body, connections=1, seconds=plan.latency_s, warm=warm / 4)
        case "half":
            return _unary(gateway, body, connections=32, seconds=plan.half_s, warm=warm / 4, rate=rate)
        case "large":
            large = payload.request(model=gateway.door.model, size=payload.LARGE_BYTES)
            return _unary(gateway, large, connections=8, seconds=plan.large_s, warm=warm / 4)
        case "stream":
            return _stream(gateway, gateway.door.model, plan)
        case "stream-anthropic" | "stream-ollama":
            return _stream(gateway, gateway.door.stream_models[scenario.removeprefix("stream-")], plan)


def memory_load(gateway: Gateway, requests: int) -> Load:
    """Return the load that memory is watched under, reporting twenty times."""
    return Load(
        port=gateway.door.port,
        path=gateway.door.path,
        headers=dict(gateway.door.headers),
        body=payload.request(model=gateway.door.model),
        expect=payload.ANSWER_TEXT,
        requests=requests,
        progress_every=max(1, requests // 20),
        patience_s=180.0,
    )


def _unary(
    gateway: Gateway, body: str, *, connections: int, seconds: float, warm: float, rate: float | None = None
) -> Load:
    return Load(
        port=gateway.door.port,
        path=gateway.door.path,
        headers=dict(gateway.door.headers),
        body=body,
        expect=payload.ANSWER_TEXT,
        connections=connections,
        seconds=seconds,
        warm_seconds=warm,
        rate=rate,
    )


def _stream(gateway: Gateway, model: str, plan: Plan) -> Load:
    return Load(
        port=gateway.door.port,
        path=gateway.door.stream_path,
        headers=dict(gateway.door.headers),
        body=payload.request(model=model, stream=True),
        expect=payload.STREAM_TEXT,
        kind="stream",
        connections=STREAMS,
        requests=STREAMS * (1 if gateway.slow else plan.waves),
        # A short first answer on every connection, so that connecting is not measured: streams are costly to warm.
        warm_requests=None if gateway.slow else STREAMS,
        # Spread over the pace of the upstream, as real streams are.
        stagger_s=0.0001,
        patience_s=120.0,
    )
