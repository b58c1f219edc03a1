"""Each figure of an answer stands in the record's field of that name: settlement makes records by position."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec

from junto.core.errors import JuntoError
from junto.core.exchange import Attempted, ExchangeRecord, Outcome
from junto.core.money import Price
from junto.core.sensitivity import Locality, Sensitivity
from junto.core.usage import Usage
from junto.dialects import openai
from junto.dialects.wire import Head
from junto.gateway.exchange import Arrival, Exchange
from junto.gateway.settlement import Settlement
from junto.identity.principal import Principal
from junto.telemetry.observers import Observers
from tests.unit.gateway.one_backend import Shelf, StillClock

ATTEMPTED = Attempted(backend="desk", model="big", milliseconds=7)


def test_every_field_of_an_answers_record_is_its_own() -> None:
    """No two values are the same, so that two that were mixed up are seen."""
    exchange = Exchange(
        id="req_9",
        arrival=Arrival(
            id="req_9",
            wire=openai.CHAT,
            body=b"asked",
            principal=Principal(),
            job_id="job_1",
            prompt_version="mail@3",
            purpose="shadow",
            parent_id="req_8",
        ),
        head=Head(model="fast", stream=True),
        principal=Principal(tenant="ten_1", client="alice", client_id="cli_1", key_id="key_1"),
        sensitivity=Sensitivity.PUBLIC,
        task_type="mail",
        started=998.0,
        started_ms=998_001,
        attempts=[ATTEMPTED],
    )
    held: Any = SimpleNamespace(settle=lambda nano: (("rsv_1", nano),))
    exchange.hold = held
    composed: Any = SimpleNamespace(nano=77, usage=Usage(), settle=lambda: None)
    exchange.parts = composed
    facts = SimpleNamespace(
        model="big",
        backend="desk",
        locality=Locality.CLOUD,
        price=Price(input=1_000_000),
        price_date="2026-01-01",
        is_composed=False,
    )
    attempt: Any = SimpleNamespace(target=SimpleNamespace(deployment=facts), milliseconds=7)
    passage: Any = SimpleNamespace(finish_reason="length")
    shelf = Shelf()

    Settlement(recorder=shelf, observer=Observers(), clock=StillClock()).answered(
        exchange,
        attempt,
        passage,
        Usage(input=11, cache_read=12, cache_write=13, output=14, reasoning=5, estimated=True),
        keep="full",
        first=999.5,
        stored=[b"ans", b"wer"],
        truncated=True,
        outcome=Outcome.ERROR,
        error=JuntoError("It broke."),
    )

    assert shelf.records == [
        ExchangeRecord(
            id="req_9",
            started_ms=998_001,
            tenant="ten_1",
            client="alice",
            client_id="cli_1",
            key_id="key_1",
            job_id="job_1",
            wire="openai.chat",
            operation="chat",
            requested_model="fast",
            model="big",
            backend="desk",
            locality="cloud",
            sensitivity="public",
            task_type="mail",
            prompt_version="mail@3",
            purpose="shadow",
            stream=True,
            outcome=Outcome.ERROR,
            status=200,
            error_code=JuntoError.code,
            finish_reason="length",
            input_tokens=11,
            cache_read_tokens=12,
            cache_write_tokens=13,
            output_tokens=14,
            reasoning_tokens=5,
            usage_estimated=True,
            cost_nano=11,
            parts_nano=77,
            paid=(("rsv_1", 11),),
            price_date="2026-01-01",
            ttft_ms=1500,
            duration_ms=2000,
            attempts=(ATTEMPTED,),
            parent_id="req_8",
            keep="full",
            request_body=b"asked",
            answer_wire="openai.chat",
            answer_stream=True,
            answer_body=b"answer",
            truncated=True,
        )
    ]
    empty = msgspec.structs.asdict(ExchangeRecord("", 0, "", "", "", ""))
    silent = [name for name, value in msgspec.structs.asdict(shelf.records[0]).items() if value == empty[name]]
    assert silent == ["status"], "every other field says something here"
