"""Checks answers to the load generator: every status and ending, and the text of a sample.

Pure. A gateway that answers quickly but wrongly must show as errors, not as speed.
"""

import json
from collections.abc import Callable
from typing import Final, Literal

type Kind = Literal["unary", "stream", "job", "accepted"]
"""`job`: one at its end; `accepted`: one that was queued."""

SAMPLE: Final[dict[Kind, int]] = {"unary": 50, "stream": 10, "job": 50, "accepted": 50}
"""One answer in so many is decoded and compared."""


def fault(kind: Kind, status: int, body: bytes, expect: str, *, decode: bool) -> str | None:
    """Return what is wrong with an answer, or None."""
    if status != (202 if kind == "accepted" else 200):
        return f"status {status}: {body[:160].decode(errors='replace')}"
    if kind == "stream" and b"data: [DONE]" not in body[-64:]:
        return "stream without [DONE]"
    if kind != "stream" and not body:
        return "empty body"
    if not decode:
        return None
    try:
        text = _TEXTS[kind](body)
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


def job_text(body: bytes) -> str:
    """Return the text of a job that is complete, which must carry usage."""
    job = json.loads(body)
    if job["status"] != "complete" or not job["tokens_out"]:
        raise ValueError("not complete")
    return str(job["response"])


def accepted_status(body: bytes) -> str:
    """Return the status of a job that was accepted, which must have an id."""
    job = json.loads(body)
    return str(job["status"]) if job["job_id"] else ""


_TEXTS: Final[dict[Kind, Callable[[bytes], str]]] = {
    "unary": whole_text,
    "stream": streamed_text,
    "job": job_text,
    "accepted": accepted_status,
}
