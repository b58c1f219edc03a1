"""Checks answers to the load generator: every status and ending, and the text of a sample.

Pure. A gateway that answers quickly but wrongly must show as errors, not as speed.
"""

import json
from typing import Final, Literal

SAMPLE: Final = {"unary": 50, "stream": 10}
"""One answer in so many is decoded and compared."""


def fault(kind: Literal["unary", "stream"], status: int, body: bytes, expect: str, *, decode: bool) -> str | None:
    """Return what is wrong with an answer, or None."""
    if status != 200:
        return f"status {status}: {body[:160].decode(errors='replace')}"
    if kind == "stream" and b"data: [DONE]" not in body[-64:]:
        return "stream without [DONE]"
    if kind == "unary" and not body:
        return "empty body"
    if not decode:
        return None
    try:
        text = streamed_text(body) if kind == "stream" else whole_text(body)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        return f"not an OpenAI answer: {type(error).__name__}"
    return None if text == expect else f"wrong text: {text[:60]!r}"


def whole_text(body: bytes) -> str:
    """Return the text of a whole OpenAI answer, which must carry usage."""
    answer = json.loads(body)
    if not answer["usage"]["total_tokens"]:
        raise ValueError("usage is zero")
    return str(answer["choices"][0]["message"]["content"])


def streamed_text(body: bytes) -> str:
    """Return the joined text of a streamed OpenAI answer."""
    pieces: list[str] = []
    for line in body.splitlines():
        if not line.startswith(b"data: {"):
            continue
        pieces += [choice["delta"].get("content") or "" for choice in json.loads(line[6:])["choices"]]
    return "".join(pieces)
