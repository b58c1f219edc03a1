"""What a chat page and Junto say to each other over a WebSocket, as values. Pure.

in   {"type": "resume", "last_event": n, "log": id}     what to begin with: 0 and "" for everything there is
     {"type": "message", "id": id, "text": text}        the same id again is the same message
out  {"event": n, "type": "ready" | "accepted" | "typing" | "delta" | "reply" | "error" | "ping", ...}
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from junto.core.errors import MalformedBody

if TYPE_CHECKING:
    from junto.channels.webchat_log import Event
    from junto.core.errors import JuntoError

LARGEST_FRAME: Final = 32 * 1024  # bytes
_LARGEST_NUMBER = 2**53


class Resume(msgspec.Struct, frozen=True, tag="resume", forbid_unknown_fields=True):
    """Go on after an event of a log; the first frame of a connection."""

    last_event: Annotated[int, msgspec.Meta(ge=0, le=_LARGEST_NUMBER)] = 0
    log: Annotated[str, msgspec.Meta(max_length=64)] = ""


class Said(msgspec.Struct, frozen=True, tag="message", forbid_unknown_fields=True):
    """What the person says."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]
    text: str


_decode: Final = msgspec.json.Decoder(Resume | Said)


def parse_frame(text: str) -> Resume | Said:
    """A frame as it came; raises MalformedBody."""
    try:
        frame: Resume | Said = _decode.decode(text)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        raise MalformedBody("This frame is neither a message nor a resume.") from None
    return frame


def rendered(event: Event) -> str:
    """An event as a frame."""
    return _text(event.number, event.type, event.fields)


def ready(number: int, log: str, agent: dict[str, str], messages: list[dict[str, Any]] | None) -> str:
    """The first frame out. Without messages the conversation goes on where it was; with them they are all of it that is shown."""
    return _text(number, "ready", {"log": log, "agent": agent, "resumed": messages is None, "messages": messages or []})


def ping(number: int) -> str:
    """Says that the connection lives."""
    return _text(number, "ping", {})


def refused(number: int, id: str, error: JuntoError) -> str:
    """A message that was not accepted. With `retry_after`, the same one may come again after so many seconds."""
    fields: dict[str, Any] = {"id": id, "code": error.code, "message": error.message}
    if error.retry_after is not None:
        fields["retry_after"] = error.retry_after
    return _text(number, "error", fields)


def _text(number: int, type: str, fields: dict[str, Any]) -> str:
    return msgspec.json.encode({"event": number, "type": type, **fields}).decode()
