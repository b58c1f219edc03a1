"""Whatever an upstream sends: never a hang, never a 500, nothing left behind, and none of its own words in an error.

Each case is played to callers of all four dialects, so each is relayed once and translated three times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.flow.malformed.case import streamed, whole
from tests.flow.malformed.good import DIALECTS, OBJECTS, SECRET, WHOLES, dumps, event, events
from tests.flow.malformed.ground import Ground, prepared
from tests.flow.malformed.heads import HEADS
from tests.flow.malformed.streams import STREAMS
from tests.flow.malformed.values import COUNTS, paths, replaced, spoilt
from tests.flow.malformed.verdict import PATHS, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.flow.malformed.case import Case

CALLERS = tuple(PATHS)
CASES = [*STREAMS, *HEADS]
COUNTED = ("tokens", "count", "duration", "usage", "details")  # in the names of fields that hold counts


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with prepared(tmp_path_factory.mktemp("data"), 5.0) as ground:
        yield ground


def test_there_are_more_than_a_hundred_and_fifty_cases_and_no_two_alike() -> None:
    assert len(CASES) > 150
    assert len({case.id for case in CASES}) == len(CASES)


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_caller_gets_an_answer_or_an_error_in_its_dialect(ground: Ground, case: Case, caller: str) -> None:
    elsewhere = ground.elsewhere.url.encode()
    steps = [step.replace(b"{elsewhere}", elsewhere) if isinstance(step, bytes) else step for step in case.steps]
    ground.upstreams[case.dialect].always(*steps)
    response = ground.ask(caller, case.dialect, stream=case.stream)
    came = verdict(caller, response.status_code, response.content, stream=case.stream)
    assert case.due in {None, came}, response.content[:500]
    assert SECRET not in response.text
    assert SECRET not in str(response.headers)
    assert response.headers["x-junto-request-id"]
    assert ground.junto.falls_idle()
    assert ground.elsewhere.requests == []


def test_the_cases_are_spoilt_versions_of_what_is_answered_well(ground: Ground) -> None:
    """Without a spoilt byte every caller gets an answer from every upstream: the cases fail for no other reason."""
    for dialect in DIALECTS:
        for caller in CALLERS:
            ground.upstreams[dialect].always(*whole(dialect, dumps(WHOLES[dialect])))
            response = ground.ask(caller, dialect, stream=False)
            assert verdict(caller, response.status_code, response.content, stream=False) == "answer"
            ground.upstreams[dialect].always(*streamed(dialect, events(dialect)))
            response = ground.ask(caller, dialect, stream=True)
            assert verdict(caller, response.status_code, response.content, stream=True) == "answer"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_field_of_an_answer_can_do_harm(ground: Ground, dialect: str) -> None:
    """Each field of a whole answer is taken away and replaced in turn."""
    for name, value in spoilt(WHOLES[dialect]):
        ground.upstreams[dialect].always(*whole(dialect, dumps(value)))
        for caller in callers_of(dialect, name):
            response = ground.ask(caller, dialect, stream=False)
            judged(caller, name, response.status_code, response.content, stream=False)
    assert ground.junto.falls_idle()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_field_of_a_stream_can_do_harm(ground: Ground, dialect: str) -> None:
    """Each field of each event of a stream is taken away and replaced in turn."""
    good = events(dialect)
    for place, value in enumerate(OBJECTS[dialect]):
        for name, changed in spoilt(value):
            sent = named(dialect, str(value.get("type", "")), changed)
            ground.upstreams[dialect].always(*streamed(dialect, [*good[:place], sent, *good[place + 1 :]]))
            for caller in callers_of(dialect, name):
                response = ground.ask(caller, dialect, stream=True)
                judged(caller, f"{place}.{name}", response.status_code, response.content, stream=True)
    assert ground.junto.falls_idle()


def callers_of(dialect: str, name: str) -> tuple[str, str]:
    """Who asks in one case: the one who is relayed, and one of those who are translated, each in its turn."""
    others = [caller for caller in CALLERS if caller != dialect]
    return dialect, others[sum(map(ord, name)) % len(others)]


def named(dialect: str, kind: str, value: Any) -> bytes:
    """An event with its good name, whatever its object says of itself."""
    if dialect != "anthropic":
        return event(dialect, dumps(value))
    return f"event: {kind}\ndata: ".encode() + dumps(value) + b"\n\n"


def judged(caller: str, name: str, status: int, body: bytes, *, stream: bool) -> None:
    """The verdict, with the case in what is said when there is none."""
    try:
        verdict(caller, status, body, stream=stream)
    except (AssertionError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise AssertionError(f"{caller}, {name}: {status} {body[:300]!r}") from error


@pytest.mark.parametrize("dialect", DIALECTS)
def test_counts_that_make_no_sense_cost_nothing_that_makes_none(ground: Ground, dialect: str) -> None:
    """Negative, huge, broken or textual counts: what is stored is within reason, and so is the cost."""
    asked = []
    for path in paths(WHOLES[dialect]):
        if not any(word in str(path[-1]) for word in COUNTED):
            continue
        for wrong in COUNTS:
            ground.upstreams[dialect].always(*whole(dialect, dumps(replaced(WHOLES[dialect], path, wrong))))
            for caller in callers_of(dialect, f"{path} {wrong}"):
                response = ground.ask(caller, dialect, stream=False)
                judged(caller, f"{path}={wrong}", response.status_code, response.content, stream=False)
                asked.append(response.headers["x-junto-request-id"])
    stored = {id: ground.stored(id) for id in asked}
    for one in stored.values():
        counts = [count for name, count in one["usage"].items() if name != "estimated"]
        assert all(0 <= count <= 1_000_000_000 for count in counts), one
        assert 0 <= float(one["cost_usd"]) <= 5000, one
    assert any(float(one["cost_usd"]) for one in stored.values())
