"""An exchange record for the tests of telemetry."""

from __future__ import annotations

from typing import Any

import msgspec

from junto.core.exchange import Attempted, ExchangeRecord


def attempt(backend: str, failure: str = "") -> Attempted:
    """One try at `llama3.2:3b` there."""
    return Attempted(backend=backend, model="llama3.2:3b", failure=failure, milliseconds=40)


def record(**changes: Any) -> ExchangeRecord:
    """A streamed answer by the backend `desk`: 120 ms to the first token, 800 ms in all."""
    plain = ExchangeRecord(
        id="req_1",
        started_ms=1_763_697_565_123,
        wire="openai.chat",
        operation="chat",
        requested_model="fast",
        model="llama3.2:3b",
        backend="desk",
        locality="local",
        sensitivity="internal",
        stream=True,
        input_tokens=12,
        cache_read_tokens=7,
        cache_write_tokens=5,
        output_tokens=3,
        cost_nano=1_250_000,
        ttft_ms=120,
        duration_ms=800,
        attempts=(attempt("desk"),),
        keep="full",
        request_body=b"WHAT THE CALLER ASKED",
        answer_body=b"WHAT THE MODEL SAID",
    )
    return msgspec.structs.replace(plain, **changes)


REFUSED: dict[str, Any] = {
    "model": "",
    "backend": "",
    "outcome": "error",
    "status": 503,
    "error_code": "no_deployment",
    "input_tokens": 0,
    "cache_read_tokens": 0,
    "cache_write_tokens": 0,
    "output_tokens": 0,
    "cost_nano": 0,
    "ttft_ms": 0,
}
"""What is different about an exchange that nobody answered."""
