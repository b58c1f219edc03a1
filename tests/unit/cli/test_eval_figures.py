"""What a run of cases comes to: counts, percentiles, matches, and which columns are shown."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.cli.eval_figures import Outcome, document_of, figures_of, percentile, table_of


def answer(model: str = "a", text: str = "x", **more: object) -> Outcome:
    return Outcome(case_id="1", model=model, text=text, **more)  # type: ignore[arg-type]


@given(st.lists(st.integers(0, 10**6), min_size=1), st.integers(1, 100))
def test_a_percentile_is_the_least_value_that_enough_do_not_exceed(values: list[int], percent: int) -> None:
    values.sort()
    found = percentile(values, percent)
    assert found is not None
    assert sum(one <= found for one in values) * 100 >= percent * len(values)
    assert sum(one < found for one in values) * 100 < percent * len(values)


def test_nothing_has_no_percentile() -> None:
    assert percentile([], 50) is None


def test_failures_count_but_have_no_latency_no_tokens_and_no_cost() -> None:
    failed = Outcome(case_id="2", model="a", failure="no", latency_ms=9, tokens_in=9, cost_usd=Decimal(9))
    [figures] = figures_of(["a"], [answer(latency_ms=10, tokens_in=3, cost_usd=Decimal("0.5")), failed])
    assert (figures.count, figures.failures, figures.latency_ms_avg, figures.tokens_in) == (2, 1, 10, 3)
    assert figures.cost_usd == Decimal("0.5")


def test_models_stand_in_the_order_in_which_they_were_named_also_those_without_outcomes() -> None:
    figures = figures_of(["b", "a"], [answer("a")])
    assert [(one.model, one.count) for one in figures] == [("b", 0), ("a", 1)]
    assert figures[0].latency_ms_avg is None


@pytest.mark.parametrize(
    ("text", "matches"), [(" Spam\n", (True, True)), ("it is spam", (False, True)), ("ham", (False, False))]
)
def test_exact_is_the_same_text_and_contains_minds_no_capitals(text: str, matches: tuple[bool, bool]) -> None:
    outcome = answer(text=text, expected="Spam")
    assert (outcome.is_exact, outcome.has_expected) == matches


def test_matches_are_shares_of_those_of_which_something_was_expected() -> None:
    figures = figures_of(["a"], [answer(text="x", expected="x"), answer(text="y", expected="x"), answer(text="z")])
    columns, [row] = table_of(figures)
    assert dict(zip(columns, row, strict=True))["exact"] == "1/2"


def test_columns_that_nothing_was_asked_for_are_left_out() -> None:
    columns, _ = table_of(figures_of(["a"], [answer()]))
    assert columns == ("model", "cases", "failed", "avg ms", "p50", "p95", "in", "out", "usd")


def test_a_judge_s_score_is_the_mean_of_its_numbers_and_says_of_how_many() -> None:
    outcomes = [answer(score=5.0), answer(score=2.0, judge_cost_usd=Decimal("0.01")), answer(judge_failure="nonsense")]
    [figures] = figures_of(["a"], outcomes)
    columns, [row] = table_of([figures])
    shown = dict(zip(columns, row, strict=True))
    assert (shown["judge"], shown["judge usd"], figures.judge_failures) == ("3.50 of 2", "0.01", 1)


def test_as_json_amounts_are_text_and_an_answer_says_whether_it_matches() -> None:
    told = document_of(answer(text="x", expected="x", cost_usd=Decimal("0.000100")))
    assert (told["cost_usd"], told["exact"], told["contains"]) == ("0.0001", True, True)
    assert "exact" not in document_of(answer())
