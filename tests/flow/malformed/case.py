"""What a case is: what an upstream of a dialect plays, and what must come of it where only one thing may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.flow.malformed.good import DIALECTS, events, head
from tests.upstreams.raw import LAST_CHUNK, chunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tests.upstreams.raw import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`due` is ANSWER or ERROR, None where either is right."""

    name: str
    dialect: str
    stream: bool
    steps: tuple[Step, ...]
    due: str | None = None

    @property
    def id(self) -> str:
        """Its name in a report."""
        return f"{self.dialect}-{'stream' if self.stream else 'whole'}-{self.name}"


def streamed(dialect: str, pieces: Iterable[bytes]) -> tuple[Step, ...]:
    """A complete chunked stream, one write a piece."""
    return (head(dialect, streamed=True), *(chunk(piece) for piece in pieces if piece), LAST_CHUNK)


def whole(dialect: str, body: bytes) -> tuple[Step, ...]:
    """A complete sized answer."""
    return (head(dialect, streamed=False, framing=f"Content-Length: {len(body)}") + body,)


def in_each_stream(
    name: str, make: Callable[..., Sequence[Step]], due: str | None = None, *given: object
) -> Iterator[Case]:
    """The same trouble with the stream of each dialect; `make` takes the dialect and what is given."""
    for dialect in DIALECTS:
        yield Case(name=name, dialect=dialect, stream=True, steps=tuple(make(dialect, *given)), due=due)


def in_each_whole(
    name: str, make: Callable[..., Sequence[Step]], due: str | None = None, *given: object
) -> Iterator[Case]:
    """The same trouble with the whole answer of each dialect."""
    for dialect in DIALECTS:
        yield Case(name=name, dialect=dialect, stream=False, steps=tuple(make(dialect, *given)), due=due)


def in_both(name: str, make: Callable[..., Sequence[Step]], due: str | None = None, *given: object) -> Iterator[Case]:
    """The same trouble with what is not the body, so it does not matter what was asked for."""
    yield from in_each_stream(name, make, due, *given)
    yield from in_each_whole(name, make, due, *given)


def changed(dialect: str, change: Callable[[bytes], bytes]) -> list[bytes]:
    """The good stream with every event changed."""
    return [change(event) for event in events(dialect)]
