"""Taps for relayed answers. On the hot path: an event that says nothing of use is passed without being decoded.

A tap passes whole events only, so that an upstream's error text cannot slip out in part. What is looked for by substring
cannot be confused with content: inside a JSON string every quote is preceded by a backslash.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from junto.core.errors import FailureKind
from junto.dialects.openai.chunks import UNREADABLE, Outcome, carried_error, finish_word
from junto.dialects.openai.errors import failure_of
from junto.dialects.openai.usage import parse_usage
from junto.dialects.sse import MOST_BYTES

if TYPE_CHECKING:
    from junto.core.usage import Usage

DONE = b"data: [DONE]\n\n"
_FIELDS = frozenset({b"data", b"event", b"id", b"retry", b""})  # "" is a comment
_BEGINNINGS = _FIELDS | {b"error"}  # which old llama.cpp makes a field of its own: a failure, but no page
_LONGEST_FIELD = 8
_BOM = b"\xef\xbb\xbf"
_FIELD = re.compile(rb"[:\r\n]")
_END_OF_EVENT = re.compile(rb"\r?\n\r?\n")
_SAID = re.compile(rb'"(?:content|reasoning_content|reasoning|text|arguments)": ?"((?:[^"\\]|\\.)*)"')
_TEXT_CHUNK = re.compile(rb'(data: \{[^\n]*?"(?:delta": ?\{"\w+|text)": ?")[^"\n]*("[^\n]*\n\n)')
_MOST_ATTEMPTS = 16
_MOST_KEPT = 256 * 1024


class _Chunk(msgspec.Struct):
    choices: list[Outcome] | None = None
    usage: Any = None
    error: Any = None


class _Whole(msgspec.Struct):
    choices: list[Outcome] | None = None
    data: list[msgspec.Raw] | None = None
    usage: Any = None
    error: Any = None


_decode_chunk = msgspec.json.Decoder(_Chunk).decode
_decode_whole = msgspec.json.Decoder(_Whole).decode


def _is_plain(data: bytes) -> bool:
    """Whether these bytes carry nothing that settlement needs or that must not pass."""
    # find, not in: for bytes, `in` first tries its operand as a number, which costs twice the search.
    return (
        data.find(b'"finish_reason":"') < 0
        and data.find(b'"finish_reason": "') < 0
        and data.find(b'"usage":{') < 0
        and data.find(b'"usage": {') < 0
        and data.find(b'"error"') < 0
        and data.find(b"[DONE]") < 0
    )


def _is_json(payload: bytes) -> bool:
    try:
        _decode_chunk(payload)
    except UNREADABLE:
        return False
    return True


class _Shape:
    """What the chunks of one stream have around their text, which is nearly always all that differs.

    A chunk of a known shape is as plain as the one that it was learnt from: without a quote in between, its text can
    hold no field. Learning is given up where servers make no two chunks alike.
    """

    def __init__(self) -> None:
        self._attempts = _MOST_ATTEMPTS
        self._opening = b""  # until one is known
        self._closing = b""

    def fits(self, data: bytes) -> bool:
        """Whether these bytes are one chunk of the shape."""
        if not self._opening or not data.startswith(self._opening) or not data.endswith(self._closing):
            return False
        start, end = len(self._opening), len(data) - len(self._closing)
        return start <= end and data.find(b'"', start, end) < 0 and data.find(b"\n", start, end) < 0

    def learn(self, plain: bytes) -> None:
        """Remember the shape of a chunk that was found to be plain, if it is one with text."""
        if not self._attempts:
            return
        self._attempts -= 1
        if chunk := _TEXT_CHUNK.fullmatch(plain):
            self._opening, self._closing = chunk.groups()


class StreamTap:
    """Watches a relayed stream of chat or text completion chunks."""

    def __init__(self, wants_usage: bool) -> None:  # noqa: FBT001
        self.finished = False
        self.failure: FailureKind | None = None
        self.usage: Usage | None = None
        self.finish_reason = ""
        self._wants_usage = wants_usage
        self._held = bytearray()  # an event that is not complete yet
        self._begun = False
        self._flowing = False  # begun, not over, and nothing held: what comes next is the start of an event
        self._shape = _Shape()
        self._passed: list[bytes] = []  # the first of what was passed, to estimate output from
        self._passed_bytes = 0

    @property
    def output_characters(self) -> int:
        """Characters of text, reasoning and arguments passed so far; beyond the first 256 KiB, in proportion."""
        kept = b"".join(self._passed)
        said = sum(map(len, _SAID.findall(kept)))
        return said * self._passed_bytes // len(kept) if kept else 0

    def feed(self, data: bytes) -> bytes:
        """The events that these bytes complete, without what must not pass."""
        if self._flowing and self._shape.fits(data):
            return self._pass(data)
        if (
            self._flowing
            and data.endswith(b"}\n\n")
            and data.startswith(b"data: {")
            and data.count(b"\n") == 2 * data.count(b"}\n\ndata: {") + 2
            and _is_plain(data)
        ):
            self._shape.learn(data)
            return self._pass(data)
        return self._sift(data)

    def end(self) -> bytes:
        """What the upstream left out: the blank line of its last event, and [DONE] after a finish reason."""
        if self._is_over():
            return b""
        last = bytes(self._held).strip()
        passed = self._admit_last(last + b"\n\n") if last else b""
        if self._is_over():
            return self._pass(passed)
        if not self.finish_reason:
            self.failure = FailureKind.RESET
            return b""
        self.finished = True
        return self._pass(passed) + DONE

    def _is_over(self) -> bool:
        return self.finished or self.failure is not None

    def _pass(self, data: bytes) -> bytes:
        if self._passed_bytes < _MOST_KEPT:
            self._passed.append(data)
        self._passed_bytes += len(data)
        return data

    def _sift(self, data: bytes) -> bytes:
        """The slow way: event by event."""
        if self._is_over():
            return b""
        searched = max(0, len(self._held) - 3)
        whole = data if not self._held else b""
        self._held += data
        passed: list[bytes] = []
        start = 0
        while not self._is_over() and (end := _END_OF_EVENT.search(self._held, searched)):
            searched = end.end()
            event = bytes(self._held[start:searched])
            start = searched
            passed.append(self._admit(event))
        del self._held[:start]
        if not self._begun and not self._may_begin():
            self.failure = FailureKind.PROTOCOL
        if len(self._held) > MOST_BYTES and not self._is_over():
            self.failure = FailureKind.TOO_LARGE
        self._flowing = self._begun and not self._held and not self._is_over()
        out = b"".join(passed)
        return self._pass(whole if out == whole else out) if out else b""

    def _may_begin(self) -> bool:
        """Whether what is held may still become the first event of an SSE stream."""
        start = bytes(self._held[: 2 * _LONGEST_FIELD])
        if _BOM.startswith(start):
            return True
        start = start.removeprefix(_BOM).lstrip(b"\r\n")
        field = _FIELD.split(start, 1)[0]
        if len(field) < len(start):
            return field in _BEGINNINGS
        return any(known.startswith(field) for known in _BEGINNINGS)

    def _admit(self, event: bytes) -> bytes:
        """What of one event may pass; remembers what it says."""
        self._begun = True
        plain = _is_plain(event)
        if plain and event.startswith(b"data: {") and event.count(b"\n") == 2 and event.endswith(b"}\n\n"):  # noqa: PLR2004
            return event
        payload = self._payload(event)
        if self.failure is not None:
            return b""
        if payload == b"[DONE]":
            self.finished = True
            return DONE
        return self._read(event, payload) if payload else event

    def _admit_last(self, event: bytes) -> bytes:
        """What of an event without its blank line may pass: nothing if it was cut short."""
        fields = {line.partition(b":")[0] for line in event.splitlines()}
        payload = self._payload(event) if fields <= _FIELDS else b""
        if payload == b"[DONE]":
            self.finished = True
            return DONE
        if self.failure is not None or not _is_json(payload):
            return b""
        return self._read(event, payload)

    def _payload(self, event: bytes) -> bytes:
        """An event's data; fails on what is no field of SSE, which could be an error page or a text to hide."""
        data = []
        for line in event.removeprefix(_BOM).splitlines():
            field, _, value = line.partition(b":")
            if field not in _FIELDS:
                self.failure = FailureKind.SERVER if field == b"error" else FailureKind.PROTOCOL
            elif field == b"event" and value.strip() == b"error":
                self.failure = FailureKind.SERVER
            elif field == b"data":
                data.append(value.strip())
        return b"\n".join(data)

    def _read(self, event: bytes, payload: bytes) -> bytes:
        try:
            chunk = _decode_chunk(payload)
        except UNREADABLE:
            self.failure = FailureKind.PROTOCOL
            return b""
        if error := carried_error(chunk.error, chunk.choices):
            self.failure = failure_of({"error": error}).kind
            return b""
        for choice in chunk.choices or ():
            if isinstance(choice.finish_reason, str) and choice.finish_reason:
                self.finish_reason = finish_word(choice.finish_reason)
        self.usage = parse_usage(chunk.usage) or self.usage
        only_usage = not chunk.choices and chunk.usage is not None
        return b"" if only_usage and not self._wants_usage else event


class WholeTap:
    """Watches a relayed whole answer: completions and embeddings alike."""

    def __init__(self, *, embeddings: bool = False) -> None:
        self._embeddings = embeddings
        self.finished = False
        self.failure: FailureKind | None = None
        self.usage: Usage | None = None
        self.finish_reason = ""
        self._body = b""

    @property
    def output_characters(self) -> int:
        """Characters of text, reasoning and arguments in the answer."""
        return sum(map(len, _SAID.findall(self._body)))

    def feed(self, data: bytes) -> bytes:
        """The whole body, or nothing when it is no answer."""
        try:
            whole = _decode_whole(data)
        except UNREADABLE:
            self.failure = FailureKind.PROTOCOL
            return b""
        if error := carried_error(whole.error, whole.choices):
            self.failure = failure_of({"error": error}).kind
            return b""
        if (whole.data is None) if self._embeddings else not whole.choices:
            self.failure = FailureKind.PROTOCOL
            return b""
        if whole.choices:
            self.finish_reason = finish_word(whole.choices[0].finish_reason)
        self.usage = parse_usage(whole.usage)
        self._body = data
        self.finished = True
        return data

    def end(self) -> bytes:
        """Nothing is missing from a body that came in one piece."""
        if not self.finished and self.failure is None:
            self.failure = FailureKind.RESET
        return b""
