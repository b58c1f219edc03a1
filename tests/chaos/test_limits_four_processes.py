"""Four processes over one real Redis are offered four times a limit: together they admit the limit, and not one more.

The full run takes three minutes; JUNTO_CHAOS_SECONDS makes it as long as wanted. The limit is 600 a minute.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import pytest

from tests.chaos.sizes import PATIENCE, size

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conformance.redis_server import RedisServer

NODES = 4
LIMIT = 600
WINDOW = 60.0
SECONDS = float(os.environ.get("JUNTO_CHAOS_SECONDS", size("8", "180")))
_JOIN_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Admitted:
    """One permit: when, by which node, and whether by its static share."""

    at: float
    node: int
    alone: bool


class Node:
    """A process that asks for permits."""

    def __init__(self, redis: RedisServer, number: int, directory: Path, *, seconds: float, times: float) -> None:
        self._number = number
        self._output = directory / f"node-{number}"
        self._seconds = seconds
        per_second = times * LIMIT / WINDOW / NODES
        command = [sys.executable, "-m", "tests.chaos.limit_node", redis.url, f"node-{number}"]
        command += [str(LIMIT), str(per_second), str(seconds), str(self._output)]
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def joined(self) -> None:
        """Wait until it knows the others."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "joined\n"

    def go(self) -> None:
        """Let it begin."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def results(self) -> list[Admitted]:
        """What it admitted, once it has ended."""
        assert self.process.wait(timeout=self._seconds + _JOIN_SECONDS) == 0
        rows = (line.split() for line in self._output.read_text(encoding="ascii").splitlines())
        return [Admitted(float(at), self._number, alone == "1") for at, alone in rows]


def started(stack: ExitStack, redis: RedisServer, directory: Path, *, seconds: float, times: float = 4) -> list[Node]:
    nodes = [
        stack.enter_context(Node(redis, number, directory, seconds=seconds, times=times)) for number in range(NODES)
    ]
    for node in nodes:
        node.joined()
    time.sleep(1.2)  # two beats: each has heard of the last one
    for node in nodes:
        node.go()
    return nodes


def most_in_a_window(admitted: list[Admitted]) -> int:
    times = sorted(each.at for each in admitted)
    first = most = 0
    for index, at in enumerate(times):
        while times[first] <= at - WINDOW:
            first += 1
        most = max(most, index - first + 1)
    return most


@pytest.mark.timeout(PATIENCE)
def test_four_processes_admit_the_limit_and_not_one_more(
    redis: RedisServer, tmp_path: Path, report: Callable[..., None]
) -> None:
    """It is reached in the first seconds of each minute, however long the run is."""
    begun = time.monotonic()
    offered_once = LIMIT / (4 * LIMIT / WINDOW)  # seconds until as much as the limit was offered
    with ExitStack() as stack:
        nodes = started(stack, redis, tmp_path, seconds=SECONDS, times=4 if offered_once < SECONDS / 2 else 16)
        admitted = [each for node in nodes for each in node.results()]
    minutes = int(SECONDS // (WINDOW + 3)) + 1  # what is leased counts from the end of its lease: up to 3 s more
    most = most_in_a_window(admitted)
    report(
        scenario="7. limits, four processes",
        attempted=f"{LIMIT} a minute, offered 4 times as much for {SECONDS:.0f} s by {NODES} processes",
        seconds=time.monotonic() - begun,
        also=f"{len(admitted):,} admitted, {most:,} in 60 s at most: over-admitted {max(0, most - LIMIT)}",
    )
    assert most <= LIMIT
    assert len(admitted) >= minutes * LIMIT * 0.95
    assert not any(each.alone for each in admitted)
    by_node = [sum(each.node == number for each in admitted) for number in range(NODES)]
    assert min(by_node) > 0


@pytest.mark.timeout(PATIENCE)
def test_without_redis_each_process_admits_its_share_and_with_it_they_are_one_again(
    redis: RedisServer, tmp_path: Path
) -> None:
    seconds = max(10.0, SECONDS / 3)
    with ExitStack() as stack:
        nodes = started(stack, redis, tmp_path, seconds=seconds, times=16)
        time.sleep(0.5)
        lost_at = time.monotonic()
        redis.kill()
        time.sleep(2.5)
        back_at = time.monotonic()
        redis.start()
        admitted = [each for node in nodes for each in node.results()]
    before = [each for each in admitted if each.at < lost_at]
    alone = [each for each in admitted if each.alone]
    # Each node's share counts what it admitted before; permits that were leased are finished besides.
    for number in range(NODES):
        assert 0 < sum(each.node == number for each in alone) <= LIMIT // NODES
    assert before
    assert most_in_a_window(admitted) <= LIMIT + len(before)
    assert most_in_a_window([each for each in admitted if each.at > back_at + 2.5]) <= LIMIT
    assert not any(each.alone for each in admitted if each.at > back_at + 5)
