"""Exchange records for the tests of storage: a plain one, and a strategy for any."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

from junto.core.exchange import Attempted, ExchangeRecord, Outcome

REQUEST = b'{"model":"llama3.2:3b","messages":[{"role":"user","content":"What is the capital of France?"}]}'
ANSWER = b'{"choices":[{"message":{"role":"assistant","content":"Paris."},"finish_reason":"stop"}]}'


def record(number: int, **changes: Any) -> ExchangeRecord:
    """The exchange with that number: it began that many milliseconds after the epoch."""
    plain = ExchangeRecord(
        id=f"req_{number:011x}{'0' * 13}",
        started_ms=number,
        wire="openai.chat",
        operation="chat",
        requested_model="fast",
        model="llama3.2:3b",
        backend="desk",
        locality="local",
        sensitivity="internal",
        finish_reason="stop",
        input_tokens=12,
        output_tokens=3,
        attempts=(Attempted(backend="desk", model="llama3.2:3b", milliseconds=40),),
        keep="full",
        request_body=REQUEST,
        answer_wire="openai.chat",
        answer_body=ANSWER,
    )
    return msgspec.structs.replace(plain, **changes)


def records(*numbers: int, **changes: Any) -> list[ExchangeRecord]:
    """Those exchanges."""
    return [record(number, **changes) for number in numbers]


_text = st.text(max_size=40)
_count = st.integers(0, 2**63 - 1)
_attempts = st.builds(Attempted, backend=_text, model=_text, failure=_text, milliseconds=_count)

any_record = st.builds(
    ExchangeRecord,
    id=_text,
    started_ms=_count,
    tenant=_text,
    client=_text,
    wire=_text,
    operation=_text,
    requested_model=_text,
    model=_text,
    backend=_text,
    locality=_text,
    sensitivity=_text,
    task_type=_text,
    stream=st.booleans(),
    outcome=st.sampled_from(Outcome),
    status=st.integers(100, 599),
    error_code=_text,
    finish_reason=_text,
    input_tokens=_count,
    cache_read_tokens=_count,
    cache_write_tokens=_count,
    output_tokens=_count,
    reasoning_tokens=_count,
    usage_estimated=st.booleans(),
    cost_nano=_count,
    price_date=_text,
    ttft_ms=_count,
    duration_ms=_count,
    attempts=st.lists(_attempts, max_size=3).map(tuple),
    parent_id=_text,
    keep=st.just("full"),
    request_body=st.binary(max_size=200),
    answer_wire=_text,
    answer_stream=st.booleans(),
    answer_body=st.binary(max_size=200),
    truncated=st.booleans(),
)
