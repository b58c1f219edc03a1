"""Families of models, by their names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.evals.families import families_of, same_family


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("qwen2.5-7b-instruct", "Qwen/Qwen3-32B"),
        ("gpt-4o", "openai/o3-mini"),
        ("gpt-oss:20b", "gpt-5"),
        ("claude-sonnet-4-5", "anthropic/claude-3-haiku"),
        ("gemma3:4b", "gemini-2.5-pro"),
        ("mixtral-8x7b", "mistral-large-latest"),
        ("deepseek-r1-distill-qwen-7b", "qwen3:8b"),
        ("deepseek-r1-distill-qwen-7b", "deepseek-chat"),
        ("llama3.1:8b", "meta-llama/Llama-3.3-70B-Instruct"),
        ("rack/qwen3:8b", "qwen3"),
        ("acme-7b-q4_k_m", "acme-70b-instruct"),
        ("something", "something"),
    ],
)
def test_models_of_one_family_are_known_as_such(one: str, other: str) -> None:
    """Also where their names hardly look alike."""
    assert same_family(families_of(one), families_of(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("gpt-4o", "claude-sonnet-4-5"),
        ("qwen3:8b", "llama3.1:8b"),
        ("acme-7b", "other-7b"),
        ("commander-7b", "command-r"),
        ("small", "large"),
        ("judge-one", "judge-two"),
        ("7b", "70b"),
    ],
)
def test_models_of_different_families_are_told_apart(one: str, other: str) -> None:
    """A size in common makes no family."""
    assert not same_family(families_of(one), families_of(other))


@given(st.text(max_size=400))
def test_every_name_has_a_family_and_is_of_its_own(name: str) -> None:
    """Whatever a model is called, it is of the same family as itself; no name is of none."""
    families = families_of(name)
    assert bool(families) is bool(name.strip())
    assert same_family(families, families_of(name)) is bool(name.strip())
