"""Junto's own dialect: one question, one answer, in two wires whose path says whether the answer streams.

Callers speak it; Junto speaks it to another Junto only.
"""

from __future__ import annotations

from functools import partial

from junto.core.chat import Operation
from junto.dialects.native import errors, requests, responses
from junto.dialects.native.events import NativeParser, NativeRenderer
from junto.dialects.native.taps import LineTap, WholeTap
from junto.dialects.wire import Wire

__all__ = ["COMPLETE", "COMPLETE_STREAM"]

_JSON = "application/json"
_NDJSON = "application/x-ndjson"


def _wire(name: str, path: str, *, stream: bool) -> Wire:
    return Wire(
        name=name,
        dialect=requests.DIALECT,
        operation=Operation.CHAT,
        path=path,
        whole_type=_JSON,
        stream_type=_NDJSON,
        peek=partial(requests.peek, stream=stream),
        parse_request=partial(requests.parse_request, stream=stream),
        render_request=requests.render_request,
        relay_request=requests.relay_request,
        parse_response=responses.parse_response,
        render_response=responses.render_response,
        event_parser=NativeParser,
        event_renderer=NativeRenderer,
        stream_tap=LineTap,
        whole_tap=WholeTap,
        render_error=errors.render_error,
        parse_error=errors.parse_error,
        amend=requests.amend,
    )


COMPLETE = _wire("native.complete", "/complete", stream=False)
COMPLETE_STREAM = _wire("native.complete_stream", "/complete/stream", stream=True)
