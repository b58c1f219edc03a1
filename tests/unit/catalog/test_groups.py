"""The groups that exist when none is configured."""

from junto.core.capability import Capability
from junto.core.sensitivity import Locality
from junto.ports.provider import FoundModel
from junto.routing.facts import Strategy
from tests.unit.catalog.specs import cloud, group, ollama, probe, snapshot, stages

PRICES = """
- {provider: openai, model: dear, from: 2026-01-01, output: 60, capabilities: [chat]}
- {provider: openai, model: cheap, from: 2026-01-01, output: 1, capabilities: [chat]}
- {provider: openai, model: ancient, from: 2026-01-01, output: 900}
- {provider: openai, model: responses, from: 2026-01-01, output: 900, capabilities: [tools]}
- {provider: anthropic, model: middle, from: 2026-01-01, output: 15, capabilities: [chat]}
"""


def test_fast_is_everything_local_that_chats_and_quality_the_cloud_dearest_first() -> None:
    """And quality falls back to fast."""
    made = snapshot(
        ollama(),
        cloud("o"),
        cloud("c", "middle", provider="anthropic"),
        cloud("rack", "qwen3", locality=Locality.LOCAL),
        found={
            "desk": probe("llama3", FoundModel(name="embed", capabilities=Capability.EMBEDDINGS), "big:cloud"),
            "o": probe("cheap", "dear"),
        },
        prices=PRICES,
    )
    fast = ("fast", ["desk/llama3", "rack/qwen3"])
    assert stages(made.resolve("fast")) == [fast]
    assert stages(made.resolve("quality")) == [("quality", ["o/dear", "c/middle", "o/cheap", "desk/big:cloud"]), fast]


def test_the_order_by_price_is_kept_by_the_strategy() -> None:
    """Ranks stand in for the priorities, in this stage only."""
    made = snapshot(cloud("o", "cheap", "dear"), prices=PRICES)
    stage = made.resolve("quality").stages[0]
    assert stage.strategy is Strategy.PRIORITY
    assert [(one.model, one.priority) for one in stage.candidates] == [("dear", 1), ("cheap", 2)]
    assert made.by_key["o/dear"].priority == 100


def test_quality_chooses_no_unknown_model_from_a_known_vendors_list() -> None:
    """A list also holds voices and images; but what the operator names, or an unknown vendor has, is taken."""
    found = probe("dear", "ancient", "responses", "whisper")
    made = snapshot(cloud("o"), found={"o": found}, prices=PRICES)
    assert stages(made.resolve("quality")) == [("quality", ["o/dear"])]
    made = snapshot(cloud("o", "dear", "my-tune"), prices=PRICES)
    assert stages(made.resolve("quality")) == [("quality", ["o/dear", "o/my-tune"])]
    made = snapshot(cloud("v", provider="vllm"), found={"v": probe("anything")}, prices=PRICES)
    assert stages(made.resolve("quality")) == [("quality", ["v/anything"])]


def test_without_cloud_deployments_quality_is_answered_by_fast() -> None:
    """Its own stage is there, and empty."""
    made = snapshot(ollama(), found={"desk": probe("llama3")})
    assert stages(made.resolve("quality")) == [("quality", []), ("fast", ["desk/llama3"])]


def test_a_configured_group_replaces_both() -> None:
    """Then only what is configured exists."""
    made = snapshot(cloud("o", "a"), groups={"mine": group("a")})
    assert [entry.name for entry in made.listing()] == ["mine", "a"]


def test_both_exist_on_an_empty_machine() -> None:
    """So that a first request is told that nothing is there, not that the name is wrong."""
    made = snapshot()
    assert stages(made.resolve("fast")) == [("fast", [])]
    assert stages(made.resolve("quality")) == [("quality", [])]
