"""Signatures of webhooks: what a receiver checks to know that Junto sent it, to whom, and when. Pure.

    key        whsec_ + base64url(HMAC-SHA256(server secret, "junto webhook v1" NUL tenant id NUL client id))
    signature  v1= + hex(HMAC-SHA256(key as text, timestamp + "." + body))

The key is derived, so it is stored nowhere, and every client of every tenant has its own.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING

from junto.core.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

EVENT_ID = "X-Junto-Event-Id"
TIMESTAMP = "X-Junto-Timestamp"
SIGNATURE = "X-Junto-Signature"
_LABEL = b"junto webhook v1"
TOLERANCE_SECONDS = 300


def client_key(server_secret: Secret, tenant_id: str, client_id: str) -> Secret:
    """The key that one client's webhooks are signed with."""
    message = b"\0".join((_LABEL, tenant_id.encode(), client_id.encode()))
    digest = hmac.new(server_secret.reveal().encode(), message, hashlib.sha256).digest()
    return Secret(f"whsec_{base64.urlsafe_b64encode(digest).rstrip(b'=').decode('ascii')}")


def signature(key: Secret, timestamp: int, body: bytes) -> str:
    """The value of X-Junto-Signature; `timestamp` is seconds since the epoch."""
    message = b"%d.%b" % (timestamp, body)
    return f"v1={hmac.new(key.reveal().encode(), message, hashlib.sha256).hexdigest()}"


def signed_headers(key: Secret, *, event_id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """The headers that make a body a signed event."""
    return {
        EVENT_ID: event_id,
        TIMESTAMP: str(timestamp),
        SIGNATURE: signature(key, timestamp, body),
    }


def verify(key: Secret, headers: Mapping[str, str], body: bytes, *, now: int) -> bool:
    """Whether a receiver should believe it: signed with the key, and not older or newer than five minutes."""
    timestamp = headers.get(TIMESTAMP, "")
    if not timestamp.isascii() or not timestamp.isdigit() or abs(now - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    return hmac.compare_digest(signature(key, int(timestamp), body).encode(), headers.get(SIGNATURE, "").encode())
