"""Facts with good defaults, so that a test names only what it is about."""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from junto.core.capability import Capability
from junto.core.chat import Operation
from junto.core.money import Price
from junto.core.sensitivity import Locality, Sensitivity
from junto.routing.facts import (
    BackendLive,
    Breaker,
    BreakerState,
    DeploymentFacts,
    Live,
    Policy,
    Stage,
    Strategy,
    Traits,
)


def examples(count: int) -> settings:
    """That many examples, however slow the machine is."""
    return settings(max_examples=count, deadline=None, suppress_health_check=[HealthCheck.too_slow])


POLICY = Policy()
NOW = 1000.0


def deployment(key: str = "desk/llama", *, cloud: bool = False, **fields: Any) -> DeploymentFacts:
    """A deployment called `backend/model`, local and healthy unless said otherwise."""
    backend, model = key.split("/")
    facts: dict[str, Any] = {
        "backend": backend,
        "model": model,
        "upstream_model": model,
        "provider": "ollama",
        "locality": Locality.CLOUD if cloud else Locality.LOCAL,
        "live": Live(),
        "backend_live": BackendLive(),
    }
    return DeploymentFacts(**(facts | fields))


def traits(**fields: Any) -> Traits:
    """A public request without needs unless said otherwise."""
    return Traits(**({"sensitivity": Sensitivity.PUBLIC} | fields))


def stage(*candidates: DeploymentFacts, name: str = "group", strategy: Strategy = Strategy.PRIORITY) -> Stage:
    """One stage, ordered by priority unless said otherwise."""
    return Stage(name=name, strategy=strategy, candidates=candidates)


def keys(candidates: Any) -> list[str]:
    """The names of deployments, in order."""
    return [each.key for each in candidates]


OPEN = Breaker(state=BreakerState.OPEN, failures=5, open_until=NOW + 20, open_for=30)
PROBED = Breaker(state=BreakerState.HALF_OPEN, failures=5, open_until=NOW - 1, open_for=30, probing=True)

breakers = st.builds(
    Breaker,
    state=st.sampled_from(BreakerState),
    failures=st.integers(0, 9),
    open_until=st.floats(NOW - 50, NOW + 50),
    open_for=st.sampled_from([0.0, 30.0, 600.0]),
    probing=st.booleans(),
)
abilities = st.integers(0, 63).map(Capability)
lives = st.builds(
    Live,
    breaker=breakers,
    ttft=st.sampled_from([0.0, 0.2, 3.0]),
    rate=st.sampled_from([0.0, 10.0, 90.0]),
    load=st.sampled_from([0.0, 8.0]),
    in_flight=st.integers(0, 5),
)
backend_lives = st.builds(
    BackendLive,
    up=st.booleans(),
    slots=st.none() | st.integers(0, 3),
    in_use=st.integers(0, 4),
    queued=st.integers(0, 4),
    resident=st.none() | st.frozensets(st.sampled_from("mno")),
)
deployments = st.builds(
    DeploymentFacts,
    backend=st.sampled_from("abc"),
    model=st.sampled_from("mno"),
    upstream_model=st.sampled_from("mno"),
    provider=st.just("ollama"),
    locality=st.sampled_from(Locality),
    operations=st.sampled_from([frozenset(Operation), frozenset({Operation.CHAT})]),
    capabilities=st.none() | abilities,
    context_length=st.none() | st.integers(1, 9000),
    price=st.builds(
        Price, input=st.integers(0, 9), output=st.integers(0, 9_000_000), gpu_second=st.sampled_from([0, 0, 7])
    ),
    priority=st.integers(0, 3),
    weight=st.integers(0, 4),
    enabled=st.booleans(),
    live=lives,
    backend_live=backend_lives,
)
requests = st.builds(
    Traits,
    operation=st.sampled_from(Operation),
    needs=st.sampled_from([Capability.CHAT, Capability.CHAT | Capability.TOOLS, Capability.EMBEDDINGS]),
    prompt_tokens=st.integers(0, 5000),
    max_tokens=st.none() | st.integers(0, 5000),
    sensitivity=st.sampled_from(Sensitivity),
    allow_cloud_for_internal=st.booleans(),
    allowed_models=st.none() | st.frozensets(st.sampled_from(["m", "n", "a/m", "b/o", "fast"])),
    session=st.sampled_from(["", "s1"]),
    max_price=st.none() | st.integers(0, 9_000_000),
)
stages = st.lists(
    st.builds(
        Stage,
        name=st.sampled_from(["fast", "quality", "m"]),
        strategy=st.sampled_from(Strategy),
        candidates=st.lists(deployments, max_size=5).map(tuple),
    ),
    max_size=3,
)
