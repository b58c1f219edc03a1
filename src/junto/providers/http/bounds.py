"""The numbers that bound an exchange: how long each wait may last, how much may be open or buffered."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """How long, in seconds, each wait of one exchange may last; `math.inf` switches one off.

    connect: a free connection, name look-up, TCP, proxy and TLS together. headers: from the request's first byte to the
    response's headers. first_byte: the first wait for body bytes. idle: every later wait. Time that the reader spends
    elsewhere counts against none of them.
    """

    connect: float = 5
    headers: float = 30
    first_byte: float = 120
    idle: float = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client may hold open and what one response may make it hold in memory (counts, seconds, bytes).

    high_water: reading from the socket pauses while more body bytes than this wait for the reader, so a slow reader
    costs at most this and one read of the socket (256 KiB). idle_seconds: a pooled connection older than this is closed;
    keep it below the upstream's own keep-alive time.
    """

    max_connections: int = 1000
    max_idle: int = 100
    idle_seconds: float = 50
    max_header_bytes: int = 65_536
    max_header_count: int = 256
    high_water: int = 262_144
