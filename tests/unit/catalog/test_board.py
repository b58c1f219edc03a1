"""Live facts survive rebuilds."""

from junto.catalog.board import LiveBoard
from tests.unit.catalog.specs import cloud, group, ollama, probe, snapshot


def test_every_snapshot_sees_the_same_live_facts() -> None:
    """Counters, breakers and slots go on where they were when the configuration changes."""
    board = LiveBoard()
    before = snapshot(cloud("one", "a"), board=board)
    before.by_key["one/a"].live.in_flight = 3
    before.by_key["one/a"].backend_live.in_use = 2
    after = snapshot(cloud("one", "a", "b"), groups={"g": group("a")}, board=board)
    assert after.by_key["one/a"].live is before.by_key["one/a"].live
    assert after.by_key["one/b"].backend_live is before.by_key["one/a"].backend_live
    assert after.resolve("g").stages[0].candidates[0].live.in_flight == 3


def test_slots_are_those_configured_last() -> None:
    """The count in use stays."""
    board = LiveBoard()
    live = snapshot(ollama(slots=1), found={"desk": probe("m")}, board=board).deployments[0].backend_live
    live.in_use = 1
    snapshot(ollama(slots=4), found={"desk": probe("m")}, board=board)
    assert (live.slots, live.in_use) == (4, 1)


def test_idle_deployments_that_are_gone_are_forgotten_and_busy_ones_kept() -> None:
    """A backend that renames its models for ever cannot fill the memory."""
    board = LiveBoard()
    first = snapshot(cloud("one", "idle", "busy"), board=board)
    idle, busy = first.by_key["one/idle"].live, first.by_key["one/busy"].live
    busy.in_flight = 1
    snapshot(cloud("one", "other"), board=board)
    again = snapshot(cloud("one", "idle", "busy"), board=board)
    assert again.by_key["one/busy"].live is busy
    assert again.by_key["one/idle"].live is not idle
