"""Whatever an upstream sends: never a hang, never a 500, nothing left behind, and none of its own words in an error.

Each case is played to callers of all four dialects, so each is relayed once and translated three times.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.flow.malformed.good import DIALECTS, SECRET
from tests.flow.malformed.heads import HEADS
from tests.flow.malformed.streams import STREAMS
from tests.flow.malformed.verdict import PATHS, question, verdict
from tests.flow.running import RunningJunto
from tests.upstreams import RawServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.flow.malformed.case import Case

CALLERS = tuple(PATHS)
TIMEOUTS = {"connect": 5, "headers": 5, "first_token": 5, "cold_first_token": 5, "idle": 5}


class Ground:
    """One Junto, an upstream of each dialect that plays what it is told, and an address where nobody may go."""

    def __init__(
        self, stack: ExitStack, junto: RunningJunto, upstreams: dict[str, RawServer], elsewhere: RawServer
    ) -> None:
        self.junto = junto
        self.upstreams = upstreams
        self.elsewhere = elsewhere
        self.client = stack.enter_context(httpx2.Client(base_url=junto.url, timeout=20))

    def ask(self, caller: str, dialect: str, *, stream: bool) -> httpx2.Response:
        """One question to that dialect's model; a hang ends it with an error."""
        path, body = question(caller, f"{dialect}-model", stream=stream)
        return self.client.post(path, json=body)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with ExitStack() as stack:
        upstreams = {dialect: stack.enter_context(RawServer()) for dialect in DIALECTS}
        elsewhere = stack.enter_context(RawServer())
        backends = [
            {
                "name": f"the-{dialect}",
                "provider": dialect,
                "url": f"{server.url}/v1" if dialect == "openai" else server.url,
                "models": {f"{dialect}-model": "m"},
                "timeouts": TIMEOUTS,
            }
            for dialect, server in upstreams.items()
        ]
        config = {"backends": backends, "routing": {"max_attempts": 1}}
        junto = stack.enter_context(RunningJunto(tmp_path_factory.mktemp("data"), config, beat=False))
        yield Ground(stack, junto, upstreams, elsewhere)


def test_there_are_more_than_a_hundred_and_fifty_cases_and_no_two_alike() -> None:
    cases = (*STREAMS, *HEADS)
    assert len(cases) > 150
    assert len({case.id for case in cases}) == len(cases)


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("case", [*STREAMS, *HEADS], ids=lambda case: case.id)
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
