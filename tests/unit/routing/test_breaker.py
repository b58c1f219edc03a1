"""The breaker: its table, and that no sequence of events breaks its promises."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from junto.core.errors import FailureKind
from junto.routing.breaker import AttemptOutcome, admits, after, before, counts_as_failure, outcome_of, released
from junto.routing.facts import Breaker, BreakerState
from tests.unit.routing.facts import examples

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
SUCCESS, FAILURE, NEUTRAL = AttemptOutcome.SUCCESS, AttemptOutcome.FAILURE, AttemptOutcome.NEUTRAL


@pytest.mark.parametrize(
    ("start", "outcome", "end"),
    [
        (Breaker(), SUCCESS, Breaker()),
        (Breaker(failures=4), SUCCESS, Breaker()),
        (Breaker(failures=3), NEUTRAL, Breaker(failures=3)),
        (Breaker(failures=3), FAILURE, Breaker(failures=4)),
        (Breaker(failures=4), FAILURE, Breaker(OPEN, 5, 130.0, 30.0)),
        (Breaker(OPEN, 5, 120.0, 30.0), FAILURE, Breaker(OPEN, 5, 120.0, 30.0)),
        (Breaker(OPEN, 5, 120.0, 30.0), NEUTRAL, Breaker(OPEN, 5, 120.0, 30.0)),
        (Breaker(OPEN, 5, 120.0, 30.0), SUCCESS, Breaker()),
        (Breaker(HALF_OPEN, 5, 90.0, 30.0, probing=True), FAILURE, Breaker(HALF_OPEN, 5, 90.0, 30.0, probing=True)),
        (Breaker(HALF_OPEN, 5, 90.0, 30.0, probing=True), SUCCESS, Breaker()),
    ],
)
def test_an_ordinary_attempt_moves_the_breaker_by_the_table(
    start: Breaker, outcome: AttemptOutcome, end: Breaker
) -> None:
    assert after(start, outcome, 100.0) == end


@pytest.mark.parametrize(
    ("open_for", "outcome", "end"),
    [
        (30.0, SUCCESS, Breaker()),
        (30.0, NEUTRAL, Breaker(HALF_OPEN, 5, 90.0, 30.0)),
        (30.0, FAILURE, Breaker(OPEN, 6, 160.0, 60.0)),
        (480.0, FAILURE, Breaker(OPEN, 6, 700.0, 600.0)),
        (600.0, FAILURE, Breaker(OPEN, 6, 700.0, 600.0)),
    ],
)
def test_a_probe_decides(open_for: float, outcome: AttemptOutcome, end: Breaker) -> None:
    probe = before(Breaker(OPEN, 5, 90.0, open_for), 100.0)
    assert probe == Breaker(HALF_OPEN, 5, 90.0, open_for, probing=True)
    assert not admits(probe, 100.0)
    assert after(probe, outcome, 100.0, probe=probe) == end


def test_only_an_attempt_that_becomes_the_probe_changes_the_breaker_at_its_start() -> None:
    for unchanged in (
        Breaker(),
        Breaker(failures=4),
        Breaker(OPEN, 5, 101.0, 30.0),
        Breaker(HALF_OPEN, 5, 9.0, 30.0, probing=True),
    ):
        assert before(unchanged, 100.0) is unchanged


def test_a_cancelled_probe_makes_room_for_the_next_and_an_overtaken_one_for_nothing() -> None:
    first = before(Breaker(OPEN, 5, 90.0, 30.0), 100.0)
    free = released(first, first)
    assert admits(free, 100.0)
    second = before(free, 101.0)
    assert released(second, first) is second
    assert released(second, None) is second
    assert after(second, FAILURE, 102.0, probe=first) is second


def test_signs_of_life_are_no_failures() -> None:
    alive = {kind for kind in FailureKind if not counts_as_failure(kind)}
    assert {kind.value for kind in alive} == {
        "throttled",
        "busy",
        "rejected",
        "context_length",
        "queue_full",
        "too_large",
        "not_local",
        "unsupported",
    }


def test_a_wait_that_ran_out_during_a_cold_load_is_no_failure() -> None:
    assert outcome_of(FailureKind.FIRST_TOKEN_TIMEOUT) is FAILURE
    assert outcome_of(FailureKind.FIRST_TOKEN_TIMEOUT, cold=True) is NEUTRAL
    assert outcome_of(FailureKind.HEADERS_TIMEOUT, cold=True) is NEUTRAL
    assert outcome_of(FailureKind.CONNECT, cold=True) is FAILURE
    assert outcome_of(None) is SUCCESS


class BreakerMachine(RuleBasedStateMachine):
    """Attempts start and end in any order, admitted or forced, while time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.breaker = Breaker()
        self.under_way: list[Breaker | None] = []  # the probe's value for a probe, None for any other
        self.failures_in_a_row = 0

    @rule(seconds=st.sampled_from([0.1, 5.0, 30.0, 61.0, 700.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def an_attempt_starts(self) -> None:
        started = before(self.breaker, self.now)
        is_probe = started is not self.breaker
        assert is_probe is (self.breaker.state is not CLOSED and admits(self.breaker, self.now))
        self.breaker = started
        self.under_way.append(started if is_probe else None)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), outcome=st.sampled_from(AttemptOutcome))
    def an_attempt_ends(self, data: st.DataObject, outcome: AttemptOutcome) -> None:
        probe = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        was = self.breaker
        self.breaker = after(self.breaker, outcome, self.now, probe=probe)
        if outcome is SUCCESS:
            self.failures_in_a_row = 0
            assert self.breaker == Breaker()
        elif outcome is FAILURE:
            self.failures_in_a_row += 1
        if was.state is CLOSED and self.breaker.state is OPEN:
            assert self.failures_in_a_row >= 5
            assert self.breaker.open_for == 30.0
        if was.state is HALF_OPEN and self.breaker.state is OPEN:
            assert self.breaker.open_for == min(was.open_for * 2, 600.0)

    @invariant()
    def at_most_one_probe_is_under_way_and_the_breaker_knows(self) -> None:
        current = [probe for probe in self.under_way if probe is self.breaker]
        assert len(current) <= 1
        assert self.breaker.probing is bool(current)

    @invariant()
    def it_is_open_for_thirty_to_six_hundred_seconds(self) -> None:
        if self.breaker.state is OPEN:
            assert 30.0 <= self.breaker.open_for <= 600.0
            assert self.breaker.open_until <= self.now + 600.0
            assert self.breaker.failures >= 5
        if self.breaker.state is CLOSED:
            assert self.breaker.failures < 5


TestBreakerMachine = BreakerMachine.TestCase
TestBreakerMachine.settings = settings(examples(60), stateful_step_count=60)
