"""docs/configuration.md names every key, its default, and no key that is not there."""

import re
from pathlib import Path

import pytest

from junto.settings.keys import all_keys, keys_at
from tests.unit.settings.loading import settings

DOCS = Path(__file__).parents[3] / "docs" / "configuration.md"
_KEY_ROW = re.compile(r"^\| `([a-z_\[\]*.]+)` \| (.+?) \|", re.MULTILINE)
FREE = {"backends[].name", "groups.*.members"}


def rows() -> dict[str, str]:
    """Each documented key with its default as written."""
    return dict(_KEY_ROW.findall(DOCS.read_text("utf-8")))


def leaves() -> list[str]:
    """Every key that holds a value rather than further keys."""
    keys = all_keys()
    return [key for key in keys if key in FREE or not any(other.startswith((f"{key}.", f"{key}[")) for other in keys)]


@pytest.mark.parametrize("key", [key for key in leaves() if key != "groups"])
def test_every_key_is_documented(key: str) -> None:
    """A key that is added without a row in the documentation fails here."""
    assert key in rows()


def test_no_key_is_documented_that_does_not_exist() -> None:
    """Rows of the tables are keys of the models; those without a dot are keys of the file or of a price."""
    assert {key for key in rows() if "." in key} <= set(all_keys())


@pytest.mark.parametrize("key", [key for key in leaves() if "[" not in key and "*" not in key and key != "groups"])
def test_documented_defaults_are_the_defaults(key: str) -> None:
    """Where the default is a value."""
    written = re.fullmatch(r"`(.+)`", rows()[key])
    if written is None:
        assert rows()[key].startswith("none")
        return
    value: object = settings()
    for step in key.split("."):
        value = getattr(value, step)
    expected = {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    assert written[1].removeprefix("./") == expected.removesuffix(".0")


def test_every_variable_that_is_read_is_documented() -> None:
    """By its full name."""
    text = DOCS.read_text("utf-8")
    for variable in (
        "JUNTO_CONFIG",
        "JUNTO_DATA_DIR",
        "JUNTO_ADMIN_KEY",
        "JUNTO_SECRETS_KEY",
        "DATABASE_URL",
        "REDIS_URL",
        "OLLAMA_HOST",
        "SLACK_BOT_TOKEN",
        "SLACK_SIGNING_SECRET",
    ):
        assert f"`{variable}`" in text


def test_keys_are_found_at_any_place_in_the_file() -> None:
    """For the near names of a wrong one."""
    assert keys_at(("backends", 3, "timeouts")) == ["connect", "headers", "first_token", "cold_first_token", "idle"]
    assert keys_at(("groups", "any", "members", 0)) == ["model", "weight"]
    assert keys_at(("fallbacks", "any")) == []
    assert keys_at(("nowhere", "at", "all")) == []
