"""Slack's Events API: one request's JSON to what Junto has to do about it. Pure.

A retry of Slack carries the same message, so its channel and `ts` say which message it is, whatever event told of it. A thread is
a conversation; a message outside of threads begins one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from junto.channels.slack_mrkdwn import plain
from junto.core.errors import MalformedBody

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LONGEST_CHALLENGE: Final = 1_024
MOST_ATTACHMENTS: Final = 20
_LONGEST_NAME = 200
_ID = re.compile(r"[A-Z0-9]{1,32}")
_TS = re.compile(r"([0-9]{1,11})\.([0-9]{1,6})")
_SLACKBOT = "USLACKBOT"
_SPOKEN = frozenset(
    {None, "file_share", "thread_broadcast"}
)  # subtypes of what people say; all others tell of something else


class Place(msgspec.Struct, frozen=True):
    """Where a conversation is held: the workspace, the channel, and the `ts` of the thread's first message."""

    team: str
    channel: str
    thread: str

    @property
    def key(self) -> str:
        """The same as one text; `place_of` reads it."""
        return f"{self.team}/{self.channel}/{self.thread}"


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody speaks to the app. `id` is the message's own within Slack, `files` are names."""

    id: str
    place: Place
    app: str
    user: str
    text: str
    sent_ms: int
    is_direct: bool
    files: tuple[str, ...] = ()


class Challenge(msgspec.Struct, frozen=True):
    """Slack wants to see that the address is ours: the value is to be sent back."""

    value: str


class Ignored(msgspec.Struct, frozen=True):
    """Nothing is to be done, for this reason."""

    reason: str


def parse_event(body: bytes) -> Said | Challenge | Ignored:
    """What a request with a good signature says; raises MalformedBody for what Slack does not send."""
    try:
        envelope = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise MalformedBody("The body is not valid JSON.") from None
    if not isinstance(envelope, dict):
        raise MalformedBody("The body is not a JSON object.")
    match envelope.get("type"):
        case "url_verification":
            return _challenge(envelope)
        case "event_callback":
            event = envelope.get("event")
            return _said(envelope, event) if isinstance(event, dict) else Ignored("no event")
        case "app_rate_limited":
            return Ignored("app_rate_limited")
        case _:
            return Ignored("unknown type")


def place_of(key: str) -> Place | None:
    """The place that a key names; None where it names none."""
    team, _, rest = key.partition("/")
    channel, _, thread = rest.partition("/")
    whole = _ID.fullmatch(team) and _ID.fullmatch(channel) and _TS.fullmatch(thread)
    return Place(team, channel, thread) if whole else None


def _challenge(envelope: Mapping[str, Any]) -> Challenge:
    value = envelope.get("challenge")
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_CHALLENGE:
        raise MalformedBody("There is no challenge.")
    return Challenge(value)


def _said(envelope: Mapping[str, Any], event: Mapping[str, Any]) -> Said | Ignored:
    is_direct = event.get("type") == "message" and event.get("channel_type") == "im"
    if not is_direct and event.get("type") != "app_mention":
        return Ignored("neither a mention nor a direct message")
    reason = _not_a_person(envelope, event)
    if reason:
        return Ignored(reason)
    team, channel, user = envelope.get("team_id"), event.get("channel"), event.get("user")
    at, thread = event.get("ts"), event.get("thread_ts") or event.get("ts")
    if not (_is_id(team) and _is_id(channel) and _is_id(user) and _milliseconds(at) and _milliseconds(thread)):
        return Ignored("incomplete")
    written = event.get("text")
    text = plain(written if isinstance(written, str) else "", bot=_bot_of(envelope))
    files = _files(event.get("files"))
    if not text and not files:
        return Ignored("empty")
    return Said(
        id=f"{team}/{channel}/{at}",
        place=Place(str(team), str(channel), str(thread)),
        app=str(envelope["api_app_id"]) if _is_id(envelope.get("api_app_id")) else "",
        user=str(user),
        text=text,
        sent_ms=_milliseconds(at),
        is_direct=is_direct,
        files=files,
    )


def _not_a_person(envelope: Mapping[str, Any], event: Mapping[str, Any]) -> str:
    """Why this is not something that a person says now; "" where it is."""
    subtype = event.get("subtype")
    if not isinstance(subtype, str | None):
        return "not a message"
    if event.get("bot_id") or event.get("bot_profile") or subtype == "bot_message":
        return "a bot"
    if event.get("user") == _SLACKBOT or (event.get("user") and event.get("user") == _bot_of(envelope)):
        return "a bot"
    if event.get("edited") or subtype in {"message_changed", "message_deleted"}:
        return "an edit"
    if subtype not in _SPOKEN or event.get("hidden"):
        return "not a message"
    return ""


def _bot_of(envelope: Mapping[str, Any]) -> str | None:
    """The user that the app is in this workspace, where Slack tells."""
    authorizations = envelope.get("authorizations")
    for one in authorizations if isinstance(authorizations, list) else ():
        if isinstance(one, dict) and one.get("is_bot") and _is_id(one.get("user_id")):
            return str(one["user_id"])
    return None


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _milliseconds(ts: Any) -> int:
    """A `ts` in milliseconds since the epoch; 0 where it is none."""
    found = _TS.fullmatch(ts) if isinstance(ts, str) else None
    return int(found[1]) * 1000 + int(found[2].ljust(6, "0")) // 1000 if found else 0


def _files(files: Any) -> tuple[str, ...]:
    """The names of what is attached: Junto does not fetch it."""
    listed: Sequence[Any] = files if isinstance(files, list) else ()
    names = (one.get("name") or one.get("title") for one in listed if isinstance(one, dict))
    clean = ("".join(c for c in name if c.isprintable()) for name in names if isinstance(name, str))
    return tuple(name[:_LONGEST_NAME] for name in clean if name)[:MOST_ATTACHMENTS]
