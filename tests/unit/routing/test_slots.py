"""The waiting room: order, bounds, and fairness by property."""

from collections import Counter, defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from junto.routing.lane import Batch, Ticket, WorkClass
from junto.routing.slots import FairQueue, Pace, Refusal, RefusalCause, expected_wait
from tests.unit.routing.facts import examples

INTERACTIVE, JOB, COUNCIL, SHADOW = WorkClass


def ticket(id: int, client: str = "ann", model: str = "m", **fields: Any) -> Ticket:
    return Ticket(id=id, client=client, model=model, **fields)


def filled(*tickets: Ticket, **options: Any) -> FairQueue:
    queue = FairQueue(10_000, **options)
    for each in tickets:
        assert queue.push(each) is None
    return queue


def drained(queue: FairQueue, resident: tuple[str, ...] | None = None) -> list[Ticket]:
    taken = []
    while (each := queue.pop(0.0, resident)) is not None:
        taken.append(each)
    return taken


def ids(tickets: list[Ticket]) -> list[int]:
    return [each.id for each in tickets]


def test_one_client_is_served_in_order_of_arrival() -> None:
    assert ids(drained(filled(ticket(1), ticket(2), ticket(3)))) == [1, 2, 3]


def test_classes_go_in_order_of_precedence() -> None:
    queue = filled(*(ticket(int(work), work=work) for work in reversed(WorkClass)))
    assert ids(drained(queue)) == [0, 1, 2, 3]


def test_clients_take_turns_however_much_one_of_them_has_waiting() -> None:
    queue = filled(*(ticket(n, "flood") for n in range(6)), ticket(10, "bob"), ticket(11, "bob"))
    assert ids(drained(queue)) == [0, 10, 1, 11, 2, 3, 4, 5]


def test_a_client_of_twice_the_weight_gets_twice_the_turns() -> None:
    queue = filled(*(ticket(n, "two", weight=2) for n in range(40)), *(ticket(100 + n, "one") for n in range(20)))
    first = [queue.pop(0.0) for _ in range(30)]
    assert Counter(each.client for each in first if each) == {"two": 20, "one": 10}


def test_long_work_costs_its_client_turns() -> None:
    queue = filled(
        *(ticket(n, "long", cost_tokens=300) for n in range(4)),
        *(ticket(10 + n, "short", cost_tokens=100) for n in range(9)),
    )
    assert "".join(each.client[0] for each in drained(queue)[:8]) in ("lsssslss", "lssslsss", "lsssslss")


def test_what_the_work_really_took_replaces_the_estimate() -> None:
    queue = filled(ticket(1, "ann"), ticket(2, "bob"), ticket(3, "ann"), ticket(4, "bob"))
    first = queue.pop(0.0)
    assert first is not None
    queue.served(first, 5000)
    assert ids(drained(queue)) == [2, 4, 3]


def test_a_pause_earns_no_credit() -> None:
    queue = filled(*(ticket(n, "busy", cost_tokens=100) for n in range(50)))
    for _ in range(40):
        queue.pop(0.0)
    for n in range(10):
        queue.push(ticket(100 + n, "back", cost_tokens=100))
    assert Counter(each.client for each in drained(queue)[:10]) == {"busy": 5, "back": 5}


def test_leaving_an_empty_queue_and_returning_earns_no_credit_either() -> None:
    queue = filled(ticket(1, "busy", cost_tokens=900), ticket(2, "busy", cost_tokens=900))
    drained(queue)
    queue.push(ticket(3, "new", cost_tokens=10))
    queue.push(ticket(4, "busy", cost_tokens=10))
    assert ids(drained(queue)) == [3, 4]
    assert queue.push(ticket(5, "busy")) is None


def test_work_for_the_loaded_model_is_batched_and_the_batch_is_bounded_by_jobs() -> None:
    queue = filled(
        *(ticket(n, "ann", "a") for n in range(9)),
        *(ticket(20 + n, "bob", "b") for n in range(3)),
        batch=Batch(jobs=3),
    )
    models = "".join(each.model for each in drained(queue, ("a",)))
    assert models == "aaabbbaaaaaa"


def test_a_batch_is_bounded_by_seconds() -> None:
    queue = filled(
        *(ticket(n, "ann", "a") for n in range(9)), ticket(20, "bob", "b"), batch=Batch(jobs=100, seconds=30)
    )
    models = [each.model for now in (0.0, 10.0, 29.9, 30.0) if (each := queue.pop(now, ("a",)))]
    assert models == ["a", "a", "a", "b"]


def test_where_residency_is_unknown_the_last_model_taken_counts_as_loaded() -> None:
    queue = filled(*(ticket(n, f"c{n}", "ab"[n % 2]) for n in range(6)), batch=Batch(jobs=8))
    assert "".join(each.model for each in drained(queue)) == "aaabbb"


def test_a_report_that_is_older_than_the_last_swap_does_not_swap_back() -> None:
    queue = filled(ticket(1, "ann", "b"), batch=Batch(jobs=8))
    drained(queue)
    for n in range(3):
        queue.push(ticket(10 + n, "ann", "a"))
        queue.push(ticket(20 + n, "bob", "b"))
    assert "".join(each.model for each in drained(queue, ("a",))) == "bbbaaa"


def test_a_higher_class_goes_before_a_batch() -> None:
    queue = filled(ticket(1, model="a", work=JOB), ticket(2, model="b", work=INTERACTIVE))
    assert ids(drained(queue, ("a",))) == [2, 1]


def test_a_lower_class_is_served_once_after_it_was_passed_over_often_enough() -> None:
    queue = filled(*(ticket(n) for n in range(12)), ticket(50, work=SHADOW), ticket(51, work=SHADOW), patience=4)
    assert ids(drained(queue)) == [0, 1, 2, 3, 50, 4, 5, 6, 7, 51, 8, 9, 10, 11]


def test_a_full_queue_refuses_at_once() -> None:
    queue = FairQueue(2, client_limit=1)
    assert queue.push(ticket(1, "ann")) is None
    pace = Pace(slots=2, seconds_each=8.0)
    assert queue.push(ticket(2, "ann"), pace=pace) == Refusal(cause=RefusalCause.CLIENT_FULL, retry_after=4.0)
    assert queue.push(ticket(3, "bob")) is None
    assert queue.push(ticket(4, "cem"), pace=pace) == Refusal(cause=RefusalCause.FULL, retry_after=4.0)
    assert len(queue) == 2
    assert 4 not in queue


def test_a_wait_that_would_pass_the_deadline_is_refused_at_once() -> None:
    queue = filled(*(ticket(n) for n in range(3)))
    pace = Pace(slots=1, seconds_each=10.0)
    late = queue.push(ticket(9), pace=pace, remaining=39.0, resident=("m",))
    assert late == Refusal(cause=RefusalCause.DEADLINE, retry_after=1.0)
    assert queue.push(ticket(9), pace=pace, remaining=40.0, resident=("m",)) is None


def test_the_expected_wait_counts_who_goes_before_and_the_swaps() -> None:
    pace = Pace(slots=2, seconds_each=10.0, swap_seconds=4.0)
    assert expected_wait(ahead=0, pace=pace) == 5.0
    assert expected_wait(ahead=3, pace=pace, swaps=2) == 28.0
    queue = filled(ticket(1, "ann", "a"), ticket(2, "ann", "a"), ticket(3, "ann", "b", work=SHADOW))
    assert queue.wait_for(ticket(9, "bob", "b"), pace=pace, resident=("a",)) == 2 * 5.0 + 4.0
    assert queue.wait_for(ticket(9, "ann", "a"), pace=pace, resident=("a",)) == 3 * 5.0
    assert queue.wait_for(ticket(9, "ann", "b", work=SHADOW), pace=pace, resident=("a",)) == 4 * 5.0 + 4.0


def test_the_same_ticket_cannot_wait_twice() -> None:
    queue = filled(ticket(1))
    with pytest.raises(ValueError, match="waits already"):
        queue.push(ticket(1))


def test_a_ticket_that_left_is_neither_served_nor_counted() -> None:
    queue = filled(ticket(1), ticket(2), ticket(3))
    assert queue.remove(2) == ticket(2)
    assert queue.remove(2) is None
    assert queue.position(2) is None
    assert queue.positions() == {1: 1, 3: 2}
    assert ids(drained(queue)) == [1, 3]
    assert queue.pop(0.0) is None


def test_the_memory_of_idle_clients_is_bounded() -> None:
    queue = FairQueue(10)
    for n in range(5000):
        queue.push(ticket(n, f"client {n}"))
        queue.pop(0.0)
    assert len(queue._lanes[INTERACTIVE]._counters) <= 1030


tickets = st.builds(
    Ticket,
    id=st.integers(0, 10**9),
    client=st.sampled_from(["ann", "bob", "cem", "dee"]),
    model=st.sampled_from("ab"),
    weight=st.integers(1, 4),
    work=st.sampled_from(WorkClass),
    cost_tokens=st.integers(0, 50),
)


@examples(60)
@given(waiting=st.lists(tickets, max_size=40, unique_by=lambda each: each.id))
def test_positions_foretell_the_order_of_service_where_nothing_is_batched(waiting: list[Ticket]) -> None:
    queue = filled(*waiting, patience=10**9, batch=Batch(jobs=0))
    foretold = sorted(queue.positions().items(), key=lambda item: item[1])
    assert [id for id, _ in foretold] == ids(drained(queue, ()))


@examples(60)
@given(waiting=st.lists(tickets, min_size=1, max_size=40, unique_by=lambda each: each.id))
def test_a_position_is_one_more_than_those_who_were_counted_ahead(waiting: list[Ticket]) -> None:
    *others, last = waiting
    queue = filled(*others)
    wait = queue.wait_for(last, pace=Pace(seconds_each=1.0))
    queue.push(last)
    assert wait == queue.position(last.id)


@examples(60)
@given(
    weights=st.lists(st.integers(1, 5), min_size=2, max_size=4),
    costs=st.lists(st.integers(1, 100), min_size=200, max_size=200),
    rounds=st.integers(20, 150),
)
def test_clients_that_always_wait_are_served_by_weight_within_two_tickets(
    weights: list[int], costs: list[int], rounds: int
) -> None:
    queue = FairQueue(10_000)
    for n, cost in enumerate(costs):
        for client, weight in enumerate(weights):
            queue.push(ticket(n * 10 + client, str(client), weight=weight, cost_tokens=cost))
    got: dict[str, float] = defaultdict(float)
    for _ in range(rounds):
        taken = queue.pop(0.0)
        assert taken is not None
        got[taken.client] += taken.cost_tokens / taken.weight
    shares = [got[str(client)] for client in range(len(weights))]
    assert max(shares) - min(shares) <= 2 * max(costs)


@examples(60)
@given(
    victim=tickets,
    arrivals=st.lists(tickets, min_size=1, max_size=20, unique_by=lambda each: each.id),
    resident=st.sampled_from([("a",), ("b",), ("a", "b"), (), None]),
)
def test_whoever_waits_is_served_after_a_bounded_number_of_others_though_they_never_stop_coming(
    victim: Ticket, arrivals: list[Ticket], resident: tuple[str, ...] | None
) -> None:
    queue = FairQueue(10_000, batch=Batch(jobs=4), patience=8)
    victim = ticket(-1, "victim", victim.model, work=victim.work, weight=victim.weight, cost_tokens=victim.cost_tokens)
    queue.push(victim)
    number = 0
    for _ in range(3000):
        for each in arrivals[:2]:
            number += 1
            queue.push(ticket(number, each.client, each.model, work=each.work, weight=each.weight))
        arrivals = arrivals[1:] + arrivals[:1]
        taken = queue.pop(0.0, resident)
        if taken is victim:
            break
    assert victim.id not in queue


class QueueMachine(RuleBasedStateMachine):
    """Tickets come, go and are served in any order; nothing is lost, doubled or held up for longer than a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = FairQueue(12, client_limit=6, batch=Batch(jobs=3, seconds=30.0))
        self.waiting: dict[int, Ticket] = {}
        self.taken: list[Ticket] = []
        self.number = 0
        self.now = 0.0
        self.loaded = ""
        self.passed_over = dict.fromkeys(WorkClass, 0)

    @rule(each=tickets)
    def a_ticket_comes(self, each: Ticket) -> None:
        self.number += 1
        new = ticket(
            self.number, each.client, each.model, weight=each.weight, work=each.work, cost_tokens=each.cost_tokens
        )
        refusal = self.queue.push(new)
        own = sum(other.client == new.client for other in self.waiting.values())
        assert (refusal is not None) is (len(self.waiting) >= 12 or own >= 6)
        if refusal is None:
            self.waiting[new.id] = new

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def a_ticket_leaves(self, data: st.DataObject) -> None:
        id = data.draw(st.sampled_from(sorted(self.waiting)))
        assert self.queue.remove(id) == self.waiting.pop(id)

    @rule(resident=st.sampled_from(["a", "b"]), seconds=st.sampled_from([0.0, 1.0, 31.0]))
    def a_slot_is_free(self, resident: str, seconds: float) -> None:
        self.now += seconds
        taken = self.queue.pop(self.now, (resident,))
        assert (taken is None) is (not self.waiting)
        if taken is None:
            return
        loaded = self.loaded or resident
        self.loaded = taken.model
        others = [each for each in self.waiting.values() if each.work is taken.work and each.model != loaded]
        if taken.model == loaded and others:
            self.passed_over[taken.work] += 1
        else:
            self.passed_over[taken.work] = 0
        assert self.passed_over[taken.work] <= 3
        assert self.waiting.pop(taken.id) is taken
        self.taken.append(taken)

    @precondition(lambda self: self.taken)
    @rule(tokens=st.integers(0, 500))
    def a_served_ticket_is_settled(self, tokens: int) -> None:
        self.queue.served(self.taken.pop(), tokens)

    @invariant()
    def who_waits_is_known(self) -> None:
        assert len(self.queue) == len(self.waiting)
        assert sorted(self.queue.positions().values()) == list(range(1, len(self.waiting) + 1))
        assert set(self.queue.positions()) == set(self.waiting)


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(examples(50), stateful_step_count=50)
