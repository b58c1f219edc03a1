"""An upstream is not believed what cannot be true, so that no report of usage can bill without bound."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from junto.core.errors import FailureKind, UpstreamFailure
from junto.core.money import Price, cost
from junto.core.usage import MOST_TOKENS, Usage
from junto.dialects.wire import Head
from junto.gateway.plausibility import BELIEVED, believable, most_hidden, most_prompt
from junto.providers.fake import Fake, Step, saying
from tests.unit.gateway.one_backend import OneBackend

PRICING = "- {backend: desk, model: '*', from: 2025-01-01, input: 10, output: 100}"
ABSURD = 10**12
counts = st.integers(-10, ABSURD) | st.integers(0, 300_000)
usages = st.builds(Usage.checked, input=counts, cache_read=counts, cache_write=counts, output=counts, reasoning=counts)
heads = st.builds(
    Head,
    model=st.just("m"),
    prompt_tokens=st.integers(0, 100_000),
    max_tokens=st.none() | st.integers(1, 200_000),
    answers=st.integers(1, 4),
)


@given(usages, heads, st.integers(0, 400_000), st.none() | st.integers(1, 2_000_000), st.integers(0, 100_000))
def test_what_is_charged_is_bounded_by_what_was_sent_and_seen(
    usage: Usage, head: Head, body: int, context: int | None, seen: int
) -> None:
    found = believable(usage, head, body_bytes=body, context=context, characters=lambda: seen)
    bound = Usage(
        input=max(most_prompt(body, context), head.prompt_tokens, BELIEVED),
        output=max(most_hidden(head) + 4 * seen, BELIEVED),
    )
    assert 0 <= found.prompt <= bound.input
    assert 0 <= found.output <= bound.output
    assert 0 <= found.reasoning <= found.output
    price = Price(input=2_000_000_000, cache_read=1, cache_write=2_000_000_000, output=9_000_000_000)
    assert 0 <= cost(found, price) <= cost(bound, price)
    assert (found == usage) is not found.estimated


@given(usages, heads)
def test_each_side_is_judged_by_itself(usage: Usage, head: Head) -> None:
    found = believable(usage, head, body_bytes=10, context=1_000, characters=lambda: 8)
    assert (found.prompt, found.input) in {(usage.prompt, usage.input), (head.prompt_tokens, head.prompt_tokens)}
    assert found.output in {usage.output, 2}


@given(st.integers(-10, 10**30))
def test_a_count_beyond_all_measure_stands_as_the_most_and_is_never_believed(count: int) -> None:
    usage = Usage.checked(input=count, output=count)
    assert 0 <= usage.input == usage.output <= MOST_TOKENS
    if count > MOST_TOKENS:
        head = Head(model="m", prompt_tokens=3)
        found = believable(usage, head, body_bytes=1_000, context=128_000, characters=lambda: 40)
        assert found == Usage(input=3, output=10, estimated=True)


def test_the_answer_is_not_read_again_where_nothing_is_in_doubt() -> None:
    def asked() -> int:
        raise AssertionError

    usage = Usage(input=100_000, output=60_000, reasoning=50_000)
    head = Head(model="m", max_tokens=1_000)
    assert believable(usage, head, body_bytes=400_000, context=128_000, characters=asked) is usage


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [False, True])
async def test_an_absurd_report_is_charged_as_junto_counts_and_flagged(*, stream: bool) -> None:
    lie = Usage(input=900_000_000, output=900_000_000)
    gateway = OneBackend(Fake("desk", script=[Step(events=saying("four and more words", usage=lie))]), pricing=PRICING)
    await gateway.ask(stream=stream, max_tokens=100)
    (record,) = gateway.shelf.records
    assert record.usage_estimated
    assert (record.input_tokens, record.output_tokens) == (record.input_tokens % 100, 5)
    assert record.cost_nano < 10_000_000  # a cent
    assert gateway.deployment.live.rate < 1_000_000


@pytest.mark.anyio
async def test_a_failed_attempt_that_reports_nonsense_is_not_charged_for_it() -> None:
    lie = UpstreamFailure(FailureKind.SERVER, usage=Usage(input=900_000_000, output=900_000_000))
    gateway = OneBackend(Fake("desk", script=[Step(failure=lie)]), pricing=PRICING)
    with pytest.raises(Exception, match="unavailable"):
        await gateway.ask()
    (record,) = gateway.shelf.records
    assert record.usage_estimated
    assert (record.output_tokens, record.cost_nano < 10_000_000) == (0, True)
