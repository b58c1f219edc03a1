"""Combinations that cannot work."""

from pathlib import Path

import pytest

from junto.settings.model import ServeOptions
from tests.unit.settings.loading import errors, places, settings

LISTED = "backends: [{name: rack, provider: fake, models: [a, 'b:latest', org/c]}]\n"
DISCOVERED = "backends: [{name: desk, provider: ollama}]\n"


def test_open_beyond_loopback_is_refused_unless_told_so_explicitly() -> None:
    """Wherever the address comes from."""
    assert places(errors("server: {host: 0.0.0.0}")) == [("server.host", 1)]
    assert places(errors("", {}, ServeOptions(host="192.168.1.2"))) == [("--host", None)]
    assert settings("{server: {host: 0.0.0.0}, auth: {mode: keys}}").server.host == "0.0.0.0"
    assert settings("{server: {host: '::'}, auth: {allow_open_beyond_loopback: true}}").server.host == "::"
    assert settings("server: {host: localhost}").server.host == "localhost"


def test_several_workers_are_refused_and_not_ignored() -> None:
    """One command is one process, on every database; the message says what to do instead."""
    assert places(errors("server: {workers: 2}")) == [("server.workers", 1)]
    assert places(errors("database_url: sqlite:///x", {}, ServeOptions(workers=2))) == [("--workers", None)]
    refused = errors("{server: {workers: 2}, database_url: 'postgresql+psycopg://db/junto'}")
    assert places(refused) == [("server.workers", 1)]
    assert "several times" in str(refused)
    assert settings("server: {workers: 1}").server.workers == 1


@pytest.mark.parametrize(
    "ref", ["a", "b", "b:latest", "rack/a", "rack/b:latest", "rack/b", "org/c", "rack/org/c", "ollama/x", "builtin/x"]
)
def test_members_that_may_exist_are_accepted(ref: str) -> None:
    """Plain, pinned, with and without the tag that goes without saying."""
    assert settings(f"{LISTED}groups: {{g: {{members: ['{ref}']}}}}").groups


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        ("rak/a", "Did you mean rack?"),
        ("rack/z", "lists no model z"),
        ("other/c", "no backend is called other"),
        ("auto", "no model"),
        ("council/debate", "no model"),
    ],
)
def test_members_and_fallbacks_that_cannot_exist_are_refused(ref: str, words: str) -> None:
    """In every place where a name can stand."""
    text = f"{LISTED}groups:\n  g:\n    members:\n    - '{ref}'\n    fallback: '{ref}'\nfallbacks:\n  a:\n  - '{ref}'\n"
    found = errors(text)
    assert places(found) == [("groups.g.members[0]", 5), ("groups.g.fallback", 6), ("fallbacks.a[0]", 9)]
    assert all(words in error.message for error in found)


def test_a_plain_name_that_no_backend_lists_is_a_warning_when_all_of_them_list_theirs() -> None:
    """And nothing at all when one will tell its models only when asked."""
    rest = "groups: {g: {members: [a, zz]}}\nfallbacks: {a: [yy, g]}\n"
    made = settings(LISTED + rest)
    assert [warning.split(":")[0] for warning in made.warnings] == ["groups.g.members[1]", "fallbacks.a[0]"]
    assert settings(DISCOVERED + rest).warnings == ()


def test_a_group_is_no_member_of_a_group() -> None:
    """It can be the fallback."""
    text = "groups:\n  g: {members: [a], fallback: h}\n  h: {members: [a]}\n"
    assert settings(DISCOVERED + text).groups["g"].fallback == "h"
    found = errors(DISCOVERED + "groups:\n  g: {members: [h]}\n  h: {members: [a]}\n")
    assert places(found) == [("groups.g.members[0]", 3)]
    assert settings(DISCOVERED + "groups: {a: {members: [a]}}").groups, "a group may be called as its model"


def test_circles_of_group_fallbacks_are_refused_once() -> None:
    """Of any length; models may fall back to one another."""
    groups = "groups:\n  g: {members: [a], fallback: h}\n  h: {members: [a], fallback: i}\n  i: {members: [a], fallback: g}\n"
    found = errors(DISCOVERED + groups)
    assert [error.message for error in found] == ["goes round in a circle: g -> h -> i -> g"]
    assert places(errors(DISCOVERED + "groups: {g: {members: [a], fallback: g}}")) == [("groups.g.fallback", 2)]
    tail = "groups: {x: {members: [a], fallback: g}, g: {members: [a], fallback: h}, h: {members: [a], fallback: g}}"
    assert places(errors(DISCOVERED + tail)) == [("groups.g.fallback", 2)]
    assert settings(DISCOVERED + "fallbacks: {a: [b], b: [a]}").fallbacks


def test_a_group_that_hides_a_listed_model_is_worth_a_warning() -> None:
    """The group wins."""
    made = settings(LISTED + "groups: {a: {members: [b]}}")
    assert any("hides the model" in warning for warning in made.warnings)


def test_fast_and_quality_can_be_fallen_back_to_while_no_group_is_configured() -> None:
    """They exist then."""
    assert settings(LISTED + "fallbacks: {a: [fast]}").warnings == ()


def test_names_of_backends_that_are_wrong_otherwise_still_count() -> None:
    """One error does not make a second where there is none."""
    text = "backends: [{name: rack, provider: fake, slots: 0}]\ngroups: {g: {members: [rack/a]}}\n"
    assert places(errors(text)) == [("backends[0].slots", 1)]


def test_the_example_is_sound_and_means_what_the_defaults_mean() -> None:
    """It is the first thing that is copied."""
    text = (Path(__file__).parents[3] / "junto.example.yaml").read_text("utf-8")
    made = settings(text)
    plain = settings()
    for key in ("server", "auth", "routing", "storage", "metrics", "logging", "builtin_model", "data_dir"):
        assert getattr(made, key) == getattr(plain, key), key
    assert made.warnings == ()
