"""From a name to its stages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.catalog.model import Kind
from junto.catalog.resolve import Snapshot
from junto.core.errors import UnknownModel
from junto.routing.facts import Strategy
from tests.unit.catalog.specs import cloud, group, ollama, probe, snapshot, stages


def test_a_plain_model_stands_for_its_deployments_on_all_backends() -> None:
    """`llama3` on two servers is one name with two candidates."""
    made = snapshot(ollama("desk"), ollama("lab"), found={"desk": probe("llama3"), "lab": probe("llama3", "phi4")})
    found = made.resolve("llama3")
    assert found.kind is Kind.MODEL
    assert stages(found) == [("llama3", ["desk/llama3", "lab/llama3"])]


def test_a_pinned_name_stands_for_one_deployment() -> None:
    """`lab/llama3` is answered by lab or not at all."""
    made = snapshot(ollama("desk"), ollama("lab"), found={"desk": probe("llama3"), "lab": probe("llama3")})
    found = made.resolve("lab/llama3")
    assert (found.kind, found.name) == (Kind.PINNED, "lab/llama3")
    assert stages(found) == [("lab/llama3", ["lab/llama3"])]


@pytest.mark.parametrize("asked", ["llama3", "llama3:latest", "desk/llama3", "desk/llama3:latest"])
@pytest.mark.parametrize("listed", ["llama3", "llama3:latest"])
def test_the_latest_tag_goes_without_saying(asked: str, listed: str) -> None:
    """`llama3` and `llama3:latest` are one model, however caller and backend write it."""
    made = snapshot(ollama(), found={"desk": probe(listed)})
    assert stages(made.resolve(asked))[0][1] == [f"desk/{listed}"]


def test_names_with_slashes_are_models_unless_they_pin_a_backend() -> None:
    """`openai/gpt-oss` is a model of the router, `openai/gpt-4o` is pinned to the backend called openai."""
    made = snapshot(cloud("openai", "gpt-4o"), cloud("router", "openai/gpt-4o", "openai/gpt-oss"))
    assert stages(made.resolve("openai/gpt-4o")) == [("openai/gpt-4o", ["openai/gpt-4o"])]
    assert stages(made.resolve("openai/gpt-oss")) == [("openai/gpt-oss", ["router/openai/gpt-oss"])]
    assert stages(made.resolve("router/openai/gpt-4o")) == [("router/openai/gpt-4o", ["router/openai/gpt-4o"])]


def test_a_group_holds_its_members_with_their_weights_then_its_fallback() -> None:
    """Members are plain or pinned; one that nobody has is left out."""
    made = snapshot(
        ollama("desk"),
        cloud("claude", "sonnet"),
        cloud("other", "sonnet", "gpt"),
        found={"desk": probe("phi4")},
        groups={"quality": group(("claude/sonnet", 3), "gpt", "gone", fallback="fast"), "fast": group("phi4")},
    )
    found = made.resolve("quality")
    assert stages(found) == [("quality", ["claude/sonnet", "other/gpt"]), ("fast", ["desk/phi4"])]
    assert [one.weight for one in found.stages[0].candidates] == [3, 1]
    assert made.by_key["claude/sonnet"].weight == 1
    assert found.stages[0].candidates[0].live is made.by_key["claude/sonnet"].live


def test_fallback_rules_follow_one_another_depth_first_and_each_name_comes_once() -> None:
    """Rules of fallbacks apply too, and a circle ends where it began."""
    made = snapshot(
        cloud("one", "a", "b", "c", "d"), fallbacks={"a": ("b", "d"), "b": ("c",), "c": ("a", "b"), "d": ("a",)}
    )
    assert [name for name, _ in stages(made.resolve("a"))] == ["a", "b", "c", "d"]


def test_after_a_groups_fallback_group_come_the_rules_of_its_members() -> None:
    """The order of routing.md: the group, its fallback group, then the models' own rules."""
    made = snapshot(
        cloud("one", "a", "b", "c"),
        groups={"big": group("a", fallback="small"), "small": group("b")},
        fallbacks={"a": ("c",)},
    )
    assert [name for name, _ in stages(made.resolve("big"))] == ["big", "small", "c"]


def test_a_model_whose_backend_was_never_reached_is_answered_by_its_fallbacks() -> None:
    """The name is known from the rule; its own stage is empty, and it is not listed."""
    made = snapshot(ollama(), cloud("one", "b"), fallbacks={"llama3.3:70b": ("b",)})
    assert stages(made.resolve("llama3.3:70b")) == [("llama3.3:70b", []), ("b", ["one/b"])]
    assert "llama3.3:70b" not in [entry.name for entry in made.listing()]


def test_a_group_hides_a_model_of_the_same_name_and_says_so() -> None:
    """The model stays reachable by its pinned name."""
    made = snapshot(cloud("one", "fast", "b"), groups={"fast": group("b")})
    assert made.resolve("fast").kind is Kind.GROUP
    assert stages(made.resolve("one/fast")) == [("one/fast", ["one/fast"])]
    assert any("'one/fast'" in warning for warning in made.warnings)


def test_the_listing_shows_groups_and_models_once_and_no_pinned_names() -> None:
    """Names are written as the first backend writes them."""
    made = snapshot(
        ollama("desk"),
        ollama("lab"),
        found={"desk": probe("llama3:latest"), "lab": probe("llama3", "phi4")},
        groups={"g": group("phi4")},
    )
    assert [(entry.name, entry.kind) for entry in made.listing()] == [
        ("g", Kind.GROUP),
        ("llama3:latest", Kind.MODEL),
        ("phi4", Kind.MODEL),
    ]


def test_an_unknown_name_is_refused_with_near_names() -> None:
    """404 with what may have been meant; the name is cut to a readable length."""
    made = snapshot(ollama(), found={"desk": probe("llama3:latest", "phi4")})
    with pytest.raises(UnknownModel, match=r"Did you mean llama3\?") as caught:
        made.resolve("lama3")
    assert caught.value.param == "model"
    with pytest.raises(UnknownModel) as caught:
        made.resolve("x" * 100_000)
    assert len(caught.value.message) < 300


def test_a_groups_strategy_is_its_own_or_the_operators() -> None:
    """A pinned or plain name goes by the operator's strategy."""
    made = snapshot(cloud("one", "a"), groups={"g": group("a")})
    assert made.resolve("g").stages[0].strategy is Strategy.SMART
    assert made.resolve("a").stages[0].strategy is Strategy.SMART


NAMES = st.sampled_from(["a", "b", "c", "d:latest", "d", "one/a", "two/b", "g", "h", "nope", "fast", "quality"])


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    """Catalogs with any members, fallbacks and rules, circles included."""
    groups = draw(
        st.dictionaries(
            st.sampled_from(["g", "h", "a"]),
            st.builds(
                lambda members, fallback: group(*members, fallback=fallback),
                st.lists(NAMES, max_size=4),
                st.none() | NAMES,
            ),
            max_size=3,
        )
    )
    fallbacks = draw(st.dictionaries(NAMES, st.lists(NAMES, max_size=4).map(tuple), max_size=8))
    return snapshot(
        cloud("one", "a", "b", "d"),
        ollama("two"),
        found={"two": probe("b", "c", "d:latest")} if draw(st.booleans()) else {},
        groups=groups,
        fallbacks=fallbacks,
    )


@given(made=snapshots(), asked=NAMES | st.text(max_size=300))
def test_resolving_answers_or_raises_unknown_model_and_nothing_else(made: Snapshot, asked: str) -> None:
    """Whatever the rules and the name are."""
    try:
        found = made.resolve(asked)
    except UnknownModel:
        return
    assert found.stages


@given(made=snapshots())
def test_no_resolution_names_anything_twice(made: Snapshot) -> None:
    """So no request can go round in a circle; and only the first stage may be empty."""
    for resolution in made.resolutions.values():
        names = [stage.name for stage in resolution.stages]
        assert len(names) == len(set(names))
        assert all(stage.candidates for stage in resolution.stages[1:])
        for stage in resolution.stages:
            keys = [one.key for one in stage.candidates]
            assert len(keys) == len(set(keys))
            assert all(key in made.by_key for key in keys)
