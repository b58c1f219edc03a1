"""Redis is missed once and found once, however many of its uses notice it."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from junto.coordination.redis_connection import Presence

GONE = ConnectionError("refused")


def test_whoever_notices_it_first_says_so_and_nobody_after() -> None:
    with capture_logs() as logged:
        presence = Presence()
        for purpose in ("signals", "limits", "signals", "queue", "limits"):
            presence.lost(purpose, GONE)
    assert [(line["event"], line["purpose"]) for line in logged] == [("redis.away", "signals")]
    assert presence.away


def test_it_is_back_when_it_is_back_for_everyone() -> None:
    presence = Presence()
    presence.lost("signals", GONE)
    presence.lost("limits", GONE)
    with capture_logs() as logged:
        presence.found("limits")
        presence.found("queue")
        assert presence.away
        presence.found("signals")
        presence.found("signals")
    assert [line["event"] for line in logged] == ["redis.back"]
    assert not presence.away


@pytest.mark.parametrize("purpose", ["signals", "limits"])
def test_one_that_works_says_nothing(purpose: str) -> None:
    with capture_logs() as logged:
        Presence().found(purpose)
    assert logged == []
