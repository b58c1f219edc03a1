"""From backends and probes to deployments: locality above all."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.catalog.deployments import MOST_FOUND
from junto.catalog.model import BackendSpec
from junto.core.capability import Capability
from junto.core.chat import Operation
from junto.core.sensitivity import Locality
from junto.ports.provider import FoundModel, Probe
from tests.unit.catalog.specs import cloud, ollama, probe, snapshot

REMOTE = FoundModel(name="mine", locality=Locality.CLOUD)


def locality(backend: BackendSpec, found: Probe | None = None) -> Locality:
    """Of the one deployment that this backend has."""
    made = snapshot(backend, found={backend.name: found} if found else {})
    [deployment] = made.deployments
    return deployment.locality


@pytest.mark.parametrize(
    ("backend", "found", "expected"),
    [
        (ollama(), probe("llama3"), Locality.LOCAL),
        (ollama(), probe("gpt-oss:120b-cloud"), Locality.CLOUD),
        (ollama(), probe("minimax-m2:cloud"), Locality.CLOUD),
        (ollama(), probe("GPT-OSS:120b-Cloud"), Locality.CLOUD),
        (ollama(), probe("deepseek-cloud:latest"), Locality.CLOUD),
        (ollama(), probe("wordcloud:7b"), Locality.LOCAL),
        (ollama(), probe(REMOTE), Locality.CLOUD),
        (ollama(locality=Locality.LOCAL), probe(REMOTE), Locality.CLOUD),
        (ollama(locality=Locality.LOCAL), probe("x:cloud"), Locality.CLOUD),
        (ollama(locality=Locality.CLOUD), probe("llama3"), Locality.CLOUD),
        (ollama(models={"big": "gpt-oss:120b-cloud"}), None, Locality.CLOUD),
        (ollama(models={"big": "gpt-oss:120b-cloud"}, locality=Locality.LOCAL), None, Locality.CLOUD),
        (ollama(models={"m": "mine"}), probe(REMOTE), Locality.CLOUD),
        (ollama(models={"m": "Mine:latest"}), probe(REMOTE), Locality.CLOUD),
        (ollama(models={"m": "registry.ollama.ai/library/mine"}), probe(REMOTE), Locality.CLOUD),
        (ollama(models={"m": "mine"}), probe(FoundModel(name="mine"), REMOTE), Locality.CLOUD),
        (ollama(models={"m": "llama3"}), probe("llama3:latest"), Locality.LOCAL),
        (cloud("claude", "sonnet"), None, Locality.CLOUD),
        (cloud("rack", "qwen3", locality=Locality.LOCAL), None, Locality.LOCAL),
        (
            cloud("rack", "qwen3", locality=Locality.LOCAL),
            probe(FoundModel(name="qwen3", locality=Locality.CLOUD)),
            Locality.CLOUD,
        ),
        (
            BackendSpec(name="own", provider="llama_cpp", default_locality=Locality.LOCAL, models={"m": "m"}),
            None,
            Locality.LOCAL,
        ),
    ],
)
def test_locality_is_attested_then_declared_then_the_providers(
    backend: BackendSpec, found: Probe | None, expected: Locality
) -> None:
    """Being remote wins over everything; the operator's word over the provider's default."""
    assert locality(backend, found) is expected


def test_a_configured_ollama_model_is_cloud_until_it_is_listed_and_the_operator_is_told() -> None:
    """Local is proved, not assumed: it may be another name of a remote model."""
    backend = ollama(models={"m": "mine"})
    assert locality(backend) is Locality.CLOUD
    made = snapshot(backend, found={"desk": probe("other")})
    assert made.by_key["desk/m"].locality is Locality.CLOUD
    assert any("desk/m counts as cloud" in warning for warning in made.warnings)
    assert locality(ollama(models={"m": "mine"}, locality=Locality.LOCAL)) is Locality.LOCAL


@given(
    name=st.sampled_from(["mine", "a:cloud", "b-cloud", "llama3"]),
    attested=st.sampled_from([None, Locality.CLOUD, Locality.LOCAL]),
    declared=st.sampled_from([None, Locality.CLOUD, Locality.LOCAL]),
    explicit=st.booleans(),
)
def test_nothing_turns_a_remote_model_local(
    name: str, attested: Locality | None, declared: Locality | None, *, explicit: bool
) -> None:
    """Neither a declaration nor a renaming: if the tag or the name says cloud, or the operator does, it is cloud."""
    found = probe(FoundModel(name=name, locality=attested))
    backend = ollama(locality=declared, models={"public": name} if explicit else None)
    said = attested is Locality.CLOUD or declared is Locality.CLOUD or name.endswith(("-cloud", ":cloud"))
    assert (locality(backend, found) is Locality.CLOUD) is said


def test_configured_models_exist_before_any_probe_and_discovered_ones_after_it() -> None:
    """The configured names map to the backend's own."""
    made = snapshot(ollama("desk"), cloud("rack", "a"))
    assert list(made.by_key) == ["rack/a"]
    made = snapshot(ollama("desk"), cloud("rack", "a"), found={"desk": probe("b"), "rack": probe("a", "z")})
    assert list(made.by_key) == ["desk/b", "rack/a"]


def test_renamed_models_keep_the_upstreams_name_for_the_upstream() -> None:
    """Public names are for callers only."""
    made = snapshot(ollama(models={"small": "qwen3:4b"}), found={"desk": probe("qwen3:4b")})
    one = made.by_key["desk/small"]
    assert (one.model, one.upstream_model) == ("small", "qwen3:4b")


def test_names_that_cannot_be_shown_and_endless_lists_are_left_out() -> None:
    """An upstream is not trusted with Junto's headers or memory."""
    made = snapshot(ollama(), found={"desk": probe("ok", "", "bad\r\nname", "two words", "x" * 300)})
    assert list(made.by_key) == ["desk/ok"]
    made = snapshot(ollama(), found={"desk": probe(*[f"m{n}" for n in range(MOST_FOUND + 5)])})
    assert len(made.deployments) == MOST_FOUND


@pytest.mark.parametrize(
    ("capabilities", "operations"),
    [
        (None, {Operation.CHAT, Operation.EMBED}),
        (Capability.CHAT | Capability.TOOLS, {Operation.CHAT}),
        (Capability.EMBEDDINGS, {Operation.EMBED}),
        (Capability.TOOLS, set()),
    ],
)
def test_operations_follow_from_known_abilities(capabilities: Capability | None, operations: set[Operation]) -> None:
    """Unknown means able."""
    made = snapshot(ollama(), found={"desk": probe(FoundModel(name="m", capabilities=capabilities))})
    assert made.by_key["desk/m"].operations == operations


def test_a_provider_that_knows_no_embeddings_has_no_model_for_them() -> None:
    """Whatever is not known of the model itself."""
    backend = BackendSpec(
        name="claude", provider="anthropic", models={"m": "m"}, operations=frozenset({Operation.CHAT})
    )
    assert snapshot(backend).by_key["claude/m"].operations == {Operation.CHAT}


PRICES = """
- {provider: openai, model: gpt, from: 2026-01-01, input: 1, output: 2, context: 1000, capabilities: [chat]}
- {provider: ollama, model: "*", from: 2026-01-01, gpu_second: 0.001}
- {backend: rack, model: "*", from: 2026-01-01, gpu_second: 0.002}
"""


def test_cloud_models_have_their_vendors_price_and_what_the_list_knows_of_them() -> None:
    """With the day from which it holds; what the backend itself says counts more."""
    made = snapshot(cloud("o", "gpt", "other"), prices=PRICES)
    one = made.by_key["o/gpt"]
    assert (one.price.output, one.price_date) == (2_000_000_000, dt.date(2026, 1, 1).isoformat())
    assert (one.context_length, one.capabilities) == (1000, Capability.CHAT)
    assert made.by_key["o/other"].price.is_free
    assert made.by_key["o/other"].price_date == ""
    told = FoundModel(name="gpt", context_length=5, capabilities=Capability.CHAT | Capability.TOOLS)
    one = snapshot(cloud("o", "gpt"), prices=PRICES, found={"o": probe(told)}).by_key["o/gpt"]
    assert (one.context_length, one.capabilities) == (5, Capability.CHAT | Capability.TOOLS)


def test_local_models_cost_nothing_unless_the_operator_prices_their_hardware() -> None:
    """A vendor's price never applies to one's own server, though the model is called the same."""
    made = snapshot(
        cloud("lab", "gpt", locality=Locality.LOCAL),
        cloud("rack", "gpt", locality=Locality.LOCAL),
        ollama("desk"),
        found={"desk": probe("llama3")},
        prices=PRICES,
    )
    assert made.by_key["lab/gpt"].price.is_free
    assert made.by_key["rack/gpt"].price.gpu_second == 2_000_000
    assert made.by_key["desk/llama3"].price.gpu_second == 1_000_000


@pytest.mark.parametrize("spelling", ["llama3", "llama3:latest", "library/LLAMA3"])
def test_an_ollama_model_is_asked_for_as_its_server_writes_it(spelling: str) -> None:
    """Its reports of what is in memory use that name only; any other would make each request look like a cold load."""
    [deployment] = snapshot(ollama(models={"mine": spelling}), found={"desk": probe("llama3:latest")}).deployments
    assert (deployment.model, deployment.upstream_model) == ("mine", "llama3:latest")


def test_a_name_of_another_server_is_sent_to_the_letter() -> None:
    [deployment] = snapshot(cloud("rack", "Qwen3"), found={"rack": probe("qwen3")}).deployments
    assert deployment.upstream_model == "Qwen3"
