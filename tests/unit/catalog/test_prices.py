"""Dated prices, and the list that is shipped."""

import contextlib
import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.catalog.price_files import read_prices, shipped_prices
from junto.catalog.prices import PriceTable
from junto.core.capability import Capability
from junto.core.document import ConfigErrors

TODAY = dt.date(2026, 11, 21)
TABLE = """
- {provider: acme, model: m, from: 2026-01-01, input: 3, cache_read: 0.3, cache_write: 3.75, output: 15}
- {provider: acme, model: m, from: 2026-06-01, input: 2, output: 10}
- {provider: acme, model: dated-2024-05-13, from: 2026-01-01, input: 9}
- {provider: acme, model: dated, aliases: [nickname], from: 2026-01-01, input: 1}
- {backend: rack, model: "*", from: 2026-01-01, gpu_second: 0.0004}
"""


@pytest.mark.parametrize(
    ("day", "nano"),
    [
        (dt.date(2025, 12, 31), None),
        (dt.date(2026, 1, 1), 3_000_000_000),
        (dt.date(2026, 5, 31), 3_000_000_000),
        (dt.date(2026, 6, 1), 2_000_000_000),
        (TODAY, 2_000_000_000),
    ],
)
def test_the_newest_price_that_has_begun_holds(day: dt.date, nano: int | None) -> None:
    """Before the first day there is none."""
    found = PriceTable.parse(TABLE).lookup("acme", "m", day)
    assert (found and found.price.input) == nano


@pytest.mark.parametrize(
    ("model", "nano"),
    [
        ("dated", 1_000_000_000),
        ("nickname", 1_000_000_000),
        ("dated-2024-08-06", 1_000_000_000),
        ("dated-20250929", 1_000_000_000),
        ("dated-0709", 1_000_000_000),
        ("dated-001", 1_000_000_000),
        ("dated-latest", 1_000_000_000),
        ("dated:latest", 1_000_000_000),
        ("models/dated", 1_000_000_000),
        ("dated-2024-05-13", 9_000_000_000),
        ("dated-mini", None),
        ("other", None),
    ],
)
def test_versions_at_the_end_of_a_name_are_ignored_unless_they_have_their_own_price(
    model: str, nano: int | None
) -> None:
    """`-mini` is another model, not a version."""
    found = PriceTable.parse(TABLE).lookup("acme", model, TODAY)
    assert (found and found.price.input) == nano


def test_classes_that_are_not_mentioned_cost_what_input_costs() -> None:
    """Cached tokens are never free by oversight."""
    found = PriceTable.parse(TABLE).lookup("acme", "m", TODAY)
    assert found is not None
    assert (found.price.cache_read, found.price.cache_write) == (2_000_000_000, 2_000_000_000)


def test_a_backends_own_price_comes_before_its_providers() -> None:
    """And prices any of its models by `*`."""
    table = PriceTable.parse(TABLE)
    found = table.lookup("acme", "m", TODAY, backend="rack")
    assert found is not None
    assert (found.price.gpu_second, found.price.input) == (400_000, 0)
    assert table.lookup("nobody", "m", TODAY) is None


def test_an_operators_list_replaces_the_models_it_names_and_no_others() -> None:
    """Its older shipped prices no longer count."""
    over = PriceTable.parse("- {provider: acme, model: m, from: 2026-09-01, input: 7}")
    table = PriceTable.parse(TABLE).overlaid(over)
    found = table.lookup("acme", "m", TODAY)
    assert found is not None
    assert found.price.input == 7_000_000_000
    assert table.lookup("acme", "m", dt.date(2026, 7, 1)) is None
    assert table.lookup("acme", "dated", TODAY) is not None


def test_every_error_is_listed_with_its_line() -> None:
    """One reading of the list is enough to mend the file."""
    text = """
- {provider: acme, modell: m, from: 2026-01-01, input: 3}
- {provider: acme, model: m, from: yesterday, input: -3}
- {provider: acme, backend: b, model: m, from: 2026-01-01, input: true}
- {provider: acme, model: n, from: 2026-01-01, output: .inf, context: 0}
- {provider: acme, model: o, from: 2026-01-01}
- {provider: acme, model: p, from: 2026-01-01, input: 1, capabilities: [fly]}
- {provider: acme, model: q, from: 2026-01-01, input: 1}
- {provider: acme, model: q, from: 2026-01-01, input: 2}
- acme
- {provider: 1, model: r, from: 2026-01-01, input: 2, aliases: r}
"""
    with pytest.raises(ConfigErrors) as caught:
        PriceTable.parse(text, "mine.yaml")
    lines = [error.line for error in caught.value.errors]
    assert sorted(set(lines), key=lambda line: line or 0) == [2, 3, 4, 5, 6, 7, 9, 10, 11]
    said = str(caught.value)
    assert "Did you mean model?" in said
    assert "mine.yaml: line 3: [1].from" in said
    assert "already, on line 8" in said
    assert "no capability 'fly'" in said


@pytest.mark.parametrize("text", ["a: 1", "- [", "just words", "- {a: 1, a: 2}"])
def test_what_is_no_list_of_prices_is_refused(text: str) -> None:
    """With an error, not an exception of the parser's."""
    with pytest.raises(ConfigErrors):
        PriceTable.parse(text)


@given(st.text(max_size=200))
def test_any_text_is_a_table_or_a_list_of_errors(text: str) -> None:
    """Nothing else can come of reading it."""
    with contextlib.suppress(ConfigErrors):
        assert PriceTable.parse(text).lookup("nobody", "nothing", TODAY) is None


@given(st.decimals(min_value=0, max_value=1000, places=4))
def test_prices_are_exact(dollars: object) -> None:
    """What is written in decimals is not rounded by a float on the way."""
    table = PriceTable.parse(f"- {{provider: p, model: m, from: 2026-01-01, input: {dollars}}}")
    found = table.lookup("p", "m", TODAY)
    assert found is not None
    assert found.price.input * 10_000 == int(str(dollars).replace(".", "")) * 10**9


def test_the_shipped_list_prices_the_big_vendors_current_models() -> None:
    """A few by heart, so that a slip in the file shows."""
    table = shipped_prices()
    for vendor in ("anthropic", "openai", "gemini", "mistral", "groq", "deepseek", "xai", "together"):
        assert table.knows(vendor), vendor
    sonnet = table.lookup("anthropic", "claude-sonnet-4-5-20250929", TODAY)
    assert sonnet is not None
    assert sonnet.price.input == 3 * 10**9
    assert sonnet.price.cache_read == 3 * 10**8
    assert sonnet.price.cache_write == 375 * 10**7
    assert sonnet.price.output == 15 * 10**9
    assert sonnet.context == 200_000
    assert sonnet.capabilities is not None
    assert Capability.CHAT | Capability.TOOLS in sonnet.capabilities
    mini = table.lookup("openai", "gpt-4o-mini", TODAY)
    assert mini is not None
    assert (mini.price.input, mini.price.output) == (150_000_000, 600_000_000)


def test_an_announced_price_begins_on_its_day() -> None:
    """The list holds prices of the future."""
    table = shipped_prices()
    before, after = (table.lookup("gemini", "gemini-4-argon", day) for day in (TODAY, dt.date(2026, 12, 1)))
    assert before is not None
    assert after is not None
    assert (before.price.output, after.price.output) == (10 * 10**9, 20 * 10**9)


def test_an_operators_file_is_read_over_the_shipped_list(tmp_path: Path) -> None:
    """And one that cannot be read is an error that names it."""
    own = tmp_path / "pricing.yaml"
    own.write_text("- {provider: openai, model: gpt-4o, from: 2020-01-01, input: 1}")
    found = read_prices(own).lookup("openai", "gpt-4o", TODAY)
    assert found is not None
    assert found.price.input == 10**9
    assert read_prices(own).lookup("openai", "gpt-4o-mini", TODAY) is not None
    own.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigErrors, match="UTF-8"):
        read_prices(own)
    with pytest.raises(ConfigErrors, match="cannot be read"):
        read_prices(tmp_path / "missing.yaml")
