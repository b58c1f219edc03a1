"""What a job asks for, as it is stored: the caller it was accepted from, and the chat that its attempts send.

Pure. What a caller may write is web/routes/jobs.py's; how a chat reads on the wire is the dialect's.
"""

from __future__ import annotations

from typing import Any, Self

import msgspec

from junto.core.sensitivity import parse_sensitivity
from junto.dialects import openai
from junto.dialects.wire import Head
from junto.identity.principal import Principal


class JobCaller(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who submitted it and what was allowed then: a job does not lose its floor with its key."""

    client: str
    client_id: str = ""
    key_id: str = ""
    weight: int = 1
    allow_cloud_for_internal: bool = False
    min_sensitivity: str = "public"
    allowed_models: tuple[str, ...] | None = None

    @classmethod
    def of(cls, principal: Principal) -> Self:
        """The caller as it is now."""
        allowed = principal.allowed_models
        return cls(
            client=principal.client,
            client_id=principal.client_id,
            key_id=principal.key_id,
            weight=principal.weight,
            allow_cloud_for_internal=principal.allow_cloud_for_internal,
            min_sensitivity=principal.min_sensitivity.label,
            allowed_models=None if allowed is None else tuple(sorted(allowed)),
        )

    def principal(self, tenant_id: str, now: Principal | None = None) -> Principal:
        """The caller of the job's attempts. Its limits and budgets were asked at submit, and are not asked again.

        `now` is what its client may do by now: a floor that was raised while the job waited holds for it, one that was lowered
        does not.
        """
        floor = parse_sensitivity(self.min_sensitivity)
        return Principal(
            tenant=tenant_id,
            client=self.client,
            client_id=self.client_id,
            key_id=self.key_id,
            weight=self.weight,
            allow_cloud_for_internal=self.allow_cloud_for_internal and (now is None or now.allow_cloud_for_internal),
            min_sensitivity=floor if now is None else max(floor, now.min_sensitivity),
            allowed_models=None if self.allowed_models is None else frozenset(self.allowed_models),
        )


class JobRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The chat of a job. `options` are fields of OpenAI's chat body: tools, the form of the answer, knobs of generation.

    `model` is the one that is meant to answer, `fallback` the one that a failed attempt may turn to; `waits_s` is how long its
    submitter waits for the answer, `held_nano` what was reserved of each of its budgets at submit, 0 where it has none. `order` is what
    a job of another kind is about, in that kind's own words; it has no messages.
    """

    caller: JobCaller
    model: str
    messages: tuple[dict[str, Any], ...] = ()
    options: dict[str, Any] = {}
    fallback: str = ""
    waits_s: float = 0.0
    held_nano: int = 0
    order: msgspec.Raw = msgspec.Raw()

    def encode(self) -> bytes:
        """As it is stored."""
        return msgspec.json.encode(self)

    def body(self, model: str) -> bytes:
        """The body of an attempt in OpenAI's wire. It streams, so that the text can be followed as it grows."""
        chat = {"model": model, "messages": self.messages, **self.options}
        return msgspec.json.encode({**chat, "stream": True, "stream_options": {"include_usage": True}})


def decode_request(stored: bytes) -> JobRequest:
    """The request as it was stored; an empty one of nobody where what was stored cannot be read."""
    if not stored:
        return JobRequest(caller=JobCaller(client=""), model="", messages=())
    return msgspec.json.decode(stored, type=JobRequest)


def checked(body: bytes) -> Head:
    """What routing needs of the chat; raises InvalidRequest where the dialect cannot read it."""
    openai.CHAT.parse_request(body)
    return openai.CHAT.peek(body)
