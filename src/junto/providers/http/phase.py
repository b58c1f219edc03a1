"""Where a connection stands, and what arriving bytes or a closing peer do to it there.

phase        means                               bytes arrive        peer closes
READY        leased, no request written          poisoned            CLOSED
POOLED       idle in the pool                    poisoned            CLOSED, left the pool
AWAITING     request written, no final headers   parsed              RESET
BODY         headers in, body not complete       parsed              complete if delimited by close, else RESET
DONE         response complete, reader not done  poisoned            not reusable
CLOSED       nothing more will happen            -                   -
"""

from enum import Enum


class Phase(Enum):
    """Where a connection stands."""

    READY = "ready"
    POOLED = "pooled"
    AWAITING = "awaiting"
    BODY = "body"
    DONE = "done"
    CLOSED = "closed"
