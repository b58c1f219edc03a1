"""Quirks of model families, as data, applied when a request is translated. Of a relayed one only the bound's spelling is."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from junto.core.chat import ChatRequest, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What a family wants otherwise than the rest."""

    prefixes: tuple[str, ...]
    max_tokens_field: str = "max_tokens"
    takes_temperature: bool = True


PROFILES = (
    Profile(prefixes=("o1", "o3", "o4", "gpt-5"), max_tokens_field="max_completion_tokens", takes_temperature=False),
)

_RESPELLING = tuple(
    prefix for profile in PROFILES if profile.max_tokens_field != "max_tokens" for prefix in profile.prefixes
)


def adapt(request: Request, model: str) -> Request:
    """The request as this model's family wants it."""
    if not isinstance(request, ChatRequest):
        return request
    bare = model.rsplit("/", 1)[-1]
    for profile in PROFILES:
        if bare.startswith(profile.prefixes):
            return _apply(profile, request)
    return request


def respells_limit(model: str) -> bool:
    """Whether models of this family refuse the usual spelling of the bound of their answers."""
    return model.rsplit("/", 1)[-1].startswith(_RESPELLING)


def _apply(profile: Profile, request: ChatRequest) -> ChatRequest:
    sampling = request.sampling
    extras = dict(request.extras) if request.extras_of == "openai" else {}
    if profile.max_tokens_field != "max_tokens" and sampling.max_tokens is not None:
        extras[profile.max_tokens_field] = sampling.max_tokens
        sampling = msgspec.structs.replace(sampling, max_tokens=None)
    if not profile.takes_temperature:
        sampling = msgspec.structs.replace(sampling, temperature=None, top_p=None)
    return msgspec.structs.replace(request, sampling=sampling, extras=extras, extras_of="openai")
