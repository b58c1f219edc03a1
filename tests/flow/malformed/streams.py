"""Streams that are spoilt in their framing, their order or their end, in each dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.flow.malformed.case import Case, changed, in_each_stream, streamed
from tests.flow.malformed.good import DIALECTS, ERRORS, OLLAMA, SECRET, chunk, dumps, event, events, head, stream
from tests.flow.malformed.verdict import ANSWER, ERROR
from tests.upstreams.raw import LAST_CHUNK, Reset
from tests.upstreams.raw import chunk as framed

if TYPE_CHECKING:
    from collections.abc import Iterator

SSE = ("openai", "anthropic")


def _one(name: str, dialect: str, *pieces: bytes, due: str | None = None) -> Case:
    return Case(name=name, dialect=dialect, stream=True, steps=streamed(dialect, pieces), due=due)


def splits() -> Iterator[Case]:
    """However the bytes are cut, the answer is the same; characters of two and of four bytes are cut at every place."""
    yield from in_each_stream("in one piece", lambda one: streamed(one, [stream(one)]), ANSWER)
    yield from in_each_stream("byte by byte", lambda one: streamed(one, [b"%c" % b for b in stream(one)]), ANSWER)
    yield from in_each_stream("in two halves of each event", lambda one: streamed(one, _halves(one)), ANSWER)
    for dialect in DIALECTS:
        data = stream(dialect)
        for letter in ("ü", "🌍"):
            start = data.index(letter.encode())
            for within in range(len(letter.encode()) + 1):
                cut = start + within
                yield _one(f"cut at byte {within} of {letter!a}", dialect, data[:cut], data[cut:], due=ANSWER)


def _halves(dialect: str) -> list[bytes]:
    return [half for one in events(dialect) for half in (one[: len(one) // 2], one[len(one) // 2 :])]


def lines() -> Iterator[Case]:
    """Ends of lines, blank lines, comments, fields that nobody uses, and a mark at the beginning."""
    yield from in_each_stream("CRLF", lambda one: streamed(one, changed(one, _crlf)), ANSWER)
    yield from in_each_stream(
        "CRLF cut in two", lambda one: streamed(one, _crlf(stream(one)).split(b"(?<=\r)")), ANSWER
    )
    yield from in_each_stream(
        "blank lines between", lambda one: streamed(one, changed(one, lambda e: b"\n\n" + e)), ANSWER
    )
    yield from in_each_stream("no last line end", lambda one: streamed(one, [stream(one).rstrip(b"\n")]), ANSWER)
    for dialect in SSE:
        yield _one("CR alone", dialect, stream(dialect).replace(b"\n", b"\r"))
        yield _one("mixed line ends", dialect, *(_mixed(n, e) for n, e in enumerate(events(dialect))))
        yield _one(
            "byte order mark", dialect, b"\xef\xbb\xbf" + stream(dialect), due=ANSWER if dialect == "openai" else None
        )
        yield _one("comments", dialect, *changed(dialect, lambda e: b": waiting\n\n" + e), due=ANSWER)
        yield _one("comments inside events", dialect, *changed(dialect, lambda e: b": x\n" + e), due=ANSWER)
        yield _one("ids and retries", dialect, *changed(dialect, lambda e: b"id: 7\nretry: 9\n" + e), due=ANSWER)
        yield _one("no blank after the colon", dialect, stream(dialect).replace(b"data: ", b"data:"), due=ANSWER)
        yield _one("data in two lines", dialect, stream(dialect).replace(b',"', b',\ndata: "', 1))
        yield _one("an unknown field", dialect, b"secret: " + SECRET.encode() + b"\n\n" + stream(dialect))
        yield _one("an event without data", dialect, b"event: nothing\n\n" + stream(dialect))
        yield _one("text instead of events", dialect, SECRET.encode() + b"\n\n" + stream(dialect))
        yield _one("text between events", dialect, *_with(dialect, 2, SECRET.encode() + b"\n\n"))
    yield _one("byte order mark", "ollama", b"\xef\xbb\xbf" + stream("ollama"))
    yield _one("text between lines", "ollama", *_with("ollama", 1, SECRET.encode() + b"\n"), due=ERROR)
    yield _one("two objects on a line", "ollama", stream("ollama").replace(b"\n", b"", 1))


def _crlf(data: bytes) -> bytes:
    return data.replace(b"\n", b"\r\n")


def _mixed(number: int, data: bytes) -> bytes:
    return data.replace(b"\n", (b"\n", b"\r\n", b"\r")[number % 3])


def _with(dialect: str, place: int, more: bytes) -> list[bytes]:
    good = events(dialect)
    return [*good[:place], more, *good[place:]]


def sizes() -> Iterator[Case]:
    """A long event is one; one over the limit is refused, with or without its end."""
    long, huge = b"a" * 1_000_000, b"a" * (9 * 1024 * 1024)
    for dialect in DIALECTS:
        good = stream(dialect)
        yield _one("a long event", dialect, good.replace("🌍".encode(), long), due=ANSWER)
        yield _one("a huge event", dialect, good.replace("🌍".encode(), huge))
        yield _one("a huge line without an end", dialect, events(dialect)[0], b'data: {"a": "' + huge, due=ERROR)
        yield _one("many empty lines", dialect, b"\n" * 300_000 + good)


def endings() -> Iterator[Case]:
    """What ends the stream is missing, doubled, early, or followed by more."""
    for dialect in DIALECTS:
        *before, last = events(dialect)
        yield _one("no terminal event", dialect, *before, due=ANSWER if dialect == "openai" else ERROR)
        yield _one("terminal event twice", dialect, *before, last, last, due=ANSWER)
        yield _one("an error after the end", dialect, *before, last, event(dialect, ERRORS[dialect]), due=ANSWER)
        yield _one("text after the end", dialect, *before, last + SECRET.encode(), due=ANSWER)
        yield _one("nothing but the terminal event", dialect, last)
        yield _one("half of the events", dialect, *events(dialect)[: len(before) // 2], due=ERROR)
        yield _one(
            "an event cut in the middle",
            dialect,
            stream(dialect)[:-40] if dialect != "openai" else stream(dialect)[:200],
            due=ERROR,
        )
        yield _one("the same events once more", dialect, stream(dialect), stream(dialect), due=ANSWER)
    yield _one("no [DONE] and no finish reason", "openai", *events("openai")[:3], due=ERROR)
    yield _one("[DONE] before anything", "openai", b"data: [DONE]\n\n", stream("openai"))
    yield _one(
        "[DONE] among blanks", "openai", stream("openai").replace(b"data: [DONE]", b"data:   [DONE]  "), due=ANSWER
    )
    yield _one("[DONE] in another case", "openai", stream("openai").replace(b"[DONE]", b"[done]"))
    yield _one(
        "usage before the finish reason", "openai", *(events("openai")[at] for at in (0, 1, 4, 3, 5)), due=ANSWER
    )
    yield _one("done as text", "ollama", stream("ollama").replace(b'"done":true', b'"done":"true"'), due=ERROR)
    yield _one("two last lines", "ollama", event("ollama", OLLAMA[-1]) * 2, due=ANSWER)
    for order in ((7,), (3, 4, 5, 6, 7), (0, 7), (0, 3, 3, 7), (0, 1, 1, 3, 5, 5, 6, 6, 7), (6, 0, 7)):
        yield _one(f"events {order}", "anthropic", *(events("anthropic")[at] for at in order))


def errors() -> Iterator[Case]:
    """An error where an answer was meant to be, in every form that servers have for it."""
    for dialect in DIALECTS:
        good, error = events(dialect), event(dialect, ERRORS[dialect])
        yield _one("an error first", dialect, error, due=ERROR)
        yield (
            _one("an error after text", dialect, *good[:-3], error, due=ERROR)
            if dialect != "ollama"
            else _one("an error after text", dialect, good[0], error, due=ERROR)
        )
        yield _one("an error, then the rest", dialect, *_with(dialect, 1, error), due=ERROR)
        yield _one("an error in the same piece", dialect, good[0] + error, due=ERROR)
        yield _one("an error object in a plain body", dialect, dumps(ERRORS[dialect]), due=ERROR)
        yield _one("a web page", dialect, _page(), due=ERROR)
        yield _one("an array", dialect, b"[]", due=ERROR)
    for name, value in _openai_errors().items():
        yield _one(name, "openai", event("openai", chunk({"content": "a"})), event("openai", value), due=ERROR)
    yield _one(
        "an error that is null",
        "openai",
        event("openai", chunk({"content": "a"}, error=None)),
        *events("openai")[3:],
        due=ANSWER,
    )
    for kind in (
        b"event: error\ndata: " + SECRET.encode(),
        b"event: error\ndata: {}",
        b"event: error",
        b"error: " + dumps(ERRORS["openai"]["error"]),
    ):
        yield _one(f"named {kind[:16]!r} {len(kind)}", "openai", events("openai")[1], kind + b"\n\n", due=ERROR)
    for value in ({"type": "error"}, {"type": "error", "error": SECRET}, {"type": "error", "error": {"message": 5}}):
        yield _one(
            f"error {str(value)[:30]}", "anthropic", events("anthropic")[0], event("anthropic", value), due=ERROR
        )
    for said in ({"message": SECRET}, 5, [SECRET], True):
        yield _one(
            f"error as {type(said).__name__}",
            "ollama",
            events("ollama")[0],
            event("ollama", {"error": said}),
            due=ERROR,
        )


def _openai_errors() -> dict[str, dict[str, Any]]:
    spoilt = chunk()
    spoilt["choices"][0]["error"] = {"message": SECRET, "code": 502}
    return {
        "an error as text": {"error": SECRET},
        "an error as a number": {"error": 500},
        "an error beside choices": {**chunk({"content": "b"}), "error": {"message": SECRET}},
        "an error in a choice": spoilt,
        "a finish reason of error": chunk(finish="error"),
        "a detail instead of an error": {"object": "error", "message": SECRET, "error": {"detail": SECRET}},
    }


def _page() -> bytes:
    return b"<!doctype html><html><body><h1>" + SECRET.encode() + b"</h1></body></html>"


def encodings() -> Iterator[Case]:
    """Bytes that are no UTF-8, no JSON, or JSON that few expect."""
    for dialect in DIALECTS:
        good = stream(dialect)
        globe = "🌍".encode()
        yield _one("half a character", dialect, good.replace(globe, globe[:2]))
        yield _one("latin-1", dialect, good.replace("ü".encode(), b"\xfc"))
        yield _one("a NUL in a text", dialect, good.replace(globe, b"\\u0000"), due=ANSWER)
        yield _one("a bare NUL", dialect, good.replace(globe, b"\0"))
        yield _one("NULs between events", dialect, *_with(dialect, 1, b"\0\0\0\0\n\n"))
        yield _one("half a surrogate pair", dialect, good.replace(globe, b"\\ud83c"))
        yield _one("separators of Unicode", dialect, good.replace(globe, "\u2028\u2029\u0085".encode()))
        yield _one("UTF-16", dialect, good.decode().encode("utf-16"), due=ERROR)
        yield _one("random bytes", dialect, bytes(range(256)) * 8, due=ERROR)
        yield _one("deep nesting", dialect, event(dialect, b'{"a":' * 20_000), due=ERROR)
        yield _one("cut JSON", dialect, events(dialect)[0], event(dialect, b'{"choices":[{"delta"'), due=ERROR)
        yield _one("a number as event", dialect, event(dialect, b"7"), *events(dialect))
        yield _one("null as event", dialect, event(dialect, b"null"), *events(dialect))
        yield _one("an empty object", dialect, event(dialect, b"{}"), *events(dialect))
        yield _one("a text as event", dialect, event(dialect, dumps(SECRET)), *events(dialect))


def broken_off() -> Iterator[Case]:
    """The connection ends at each stage, properly or not."""
    for how, steps in (("closed", ()), ("reset", (Reset(),))):
        for dialect in DIALECTS:
            good = events(dialect)
            begun = head(dialect, streamed=True)
            stages: dict[str, tuple[bytes, ...]] = {
                "at once": (),
                "in the status line": (b"HTTP/1.1 2",),
                "in the head": (begun[:40],),
                "after the head": (begun,),
                "in the size of a chunk": (begun, b"1"),
                "in a chunk": (begun, framed(good[0])[:20]),
                "after an event": (begun, framed(good[0])),
                "before the last event": (begun, framed(b"".join(good[:-2]))),
            }
            for stage, sent in stages.items():
                name = f"{how} {stage}"
                yield Case(name=name, dialect=dialect, stream=True, steps=(*sent, *steps), due=ERROR)
            # Everything was said, and only the end of the body is missing: nothing is lost.
            ended = (begun, framed(stream(dialect)), *steps)
            yield Case(name=f"{how} after the last event", dialect=dialect, stream=True, steps=ended)
            late = (begun, framed(stream(dialect)), LAST_CHUNK, *steps)
            yield Case(name=f"{how} after the end", dialect=dialect, stream=True, steps=late, due=ANSWER)


STREAMS = (*splits(), *lines(), *sizes(), *endings(), *errors(), *encodings(), *broken_off())
