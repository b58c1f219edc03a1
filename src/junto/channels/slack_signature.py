"""Slack's request signatures, version 0: whether a request comes from Slack, and lately. Pure.

    signature  v0= + hex(HMAC-SHA256(signing secret, "v0:" + timestamp + ":" + raw body))

Looks at the bytes as they came: a body that was parsed and written again signs differently.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from junto.core.secret import Secret

SIGNATURE: Final = b"x-slack-signature"
TIMESTAMP: Final = b"x-slack-request-timestamp"
WINDOW_SECONDS: Final = 300
_SECONDS = re.compile(rb"[0-9]{1,12}")


def signature(secret: Secret, timestamp: bytes, body: bytes) -> bytes:
    """The value of X-Slack-Signature; `timestamp` is that of X-Slack-Request-Timestamp, as it is written."""
    message = b"v0:%b:%b" % (timestamp, body)
    return b"v0=" + hmac.new(secret.reveal().encode(), message, hashlib.sha256).hexdigest().encode("ascii")


def is_signed(secret: Secret, timestamp: bytes | None, claimed: bytes | None, body: bytes, *, now: int) -> bool:
    """Whether Slack has sent this within five minutes of `now` (seconds since the epoch); never with an empty secret."""
    if not secret or timestamp is None or claimed is None or not _SECONDS.fullmatch(timestamp):
        return False
    if abs(now - int(timestamp)) > WINDOW_SECONDS:
        return False
    return hmac.compare_digest(signature(secret, timestamp, body), claimed)
