"""What an Ollama server says about its models: `/api/tags`, `/api/ps`, `/api/show` and `/api/version`, read and written.

Also says what a tag proves about where its model runs. Field names are those of the wire; times are RFC 3339 texts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from junto.core.capability import Capability
from junto.core.sensitivity import Locality
from junto.dialects.decoding import decode_answer, decode_body

if TYPE_CHECKING:
    from collections.abc import Iterable

NO_TIME = "0001-01-01T00:00:00Z"  # a time that clients can read and that says "none"

_CAPABILITIES = {
    "completion": Capability.CHAT | Capability.JSON_SCHEMA,  # `format` is enforced by grammar, for every model
    "tools": Capability.TOOLS,
    "vision": Capability.VISION,
    "thinking": Capability.REASONING,
    "embedding": Capability.EMBEDDINGS,
}


class Details(msgspec.Struct, frozen=True, kw_only=True):
    """What a model is made of."""

    parent_model: str = ""
    format: str = ""
    family: str = ""
    families: tuple[str, ...] | None = None
    parameter_size: str = ""
    quantization_level: str = ""


class Tag(msgspec.Struct, frozen=True, kw_only=True):
    """A model that the server has; `remote_host` and `remote_model` are set where another machine answers for it."""

    name: str
    size: int = 0
    digest: str = ""
    modified_at: str = NO_TIME
    details: Details | None = None
    remote_host: str | None = None
    remote_model: str | None = None
    capabilities: tuple[str, ...] | None = None
    context_length: int | None = None


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A model in memory: bytes in all and in the GPU's, and until when."""

    name: str
    size: int = 0
    size_vram: int = 0
    digest: str = ""
    details: Details | None = None
    expires_at: str = NO_TIME
    context_length: int | None = None


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One model in detail. `model_info` has the keys of the model's file, such as `llama.context_length`."""

    details: Details | None = None
    modified_at: str = NO_TIME
    capabilities: tuple[str, ...] | None = None
    template: str = ""
    parameters: str = ""
    license: str = ""
    modelfile: str = ""
    model_info: dict[str, Any] | None = None
    remote_host: str | None = None
    remote_model: str | None = None

    @property
    def context_length(self) -> int | None:
        """The most tokens the model was made for, where its file says so."""
        info = self.model_info or {}
        own = info.get(f"{info.get('general.architecture')}.context_length")
        candidates = (own, *(value for key, value in info.items() if key.endswith(".context_length")))
        return next((value for value in candidates if isinstance(value, int) and value > 0), None)


class _Tags(msgspec.Struct):
    models: tuple[Tag, ...] | None = None


class _Processes(msgspec.Struct):
    models: tuple[Running, ...] | None = None


class _Version(msgspec.Struct):
    version: str


class _Asked(msgspec.Struct):
    model: str | None = None
    name: str | None = None


_TAGS = msgspec.json.Decoder(_Tags)
_PROCESSES = msgspec.json.Decoder(_Processes)
_SHOWN = msgspec.json.Decoder(Shown)
_VERSION = msgspec.json.Decoder(_Version)
_ASKED = msgspec.json.Decoder(_Asked)


def parse_tags(body: bytes) -> tuple[Tag, ...]:
    """Read an answer of `/api/tags`; raises UpstreamFailure(PROTOCOL), like all that read an upstream's answer."""
    return decode_answer(_TAGS, body).models or ()


def parse_ps(body: bytes) -> tuple[Running, ...]:
    """Read an answer of `/api/ps`."""
    return decode_answer(_PROCESSES, body).models or ()


def parse_show(body: bytes) -> Shown:
    """Read an answer of `/api/show`."""
    return decode_answer(_SHOWN, body)


def parse_version(body: bytes) -> str:
    """Read an answer of `/api/version`."""
    return decode_answer(_VERSION, body).version


def parse_show_request(body: bytes) -> str:
    """The model that a body of `/api/show` asks about, "" if none; older clients call the field `name`."""
    asked = decode_body(_ASKED, body)
    return asked.model or asked.name or ""


def attested_locality(tag: Tag) -> Locality | None:
    """CLOUD where the tag itself says that another machine answers; None where it says nothing."""
    name = tag.name.casefold().removesuffix(":latest")
    if tag.remote_host or tag.remote_model or name.endswith(("-cloud", ":cloud")):
        return Locality.CLOUD
    return None


def shown_locality(shown: Shown) -> Locality | None:
    """CLOUD where `/api/show` says that another machine answers; None where it says nothing."""
    return Locality.CLOUD if shown.remote_host or shown.remote_model else None


def capability_of(names: Iterable[str] | None) -> Capability | None:
    """The abilities by Ollama's names for them, None where the server does not tell; unknown names mean nothing."""
    if names is None:
        return None
    able = Capability.NONE
    for name in names:
        able |= _CAPABILITIES.get(name, Capability.NONE)
    return able


def capability_names(capability: Capability) -> tuple[str, ...]:
    """Ollama's names for the abilities."""
    return tuple(name for name, ability in _CAPABILITIES.items() if ability & ~Capability.JSON_SCHEMA in capability)


def render_tags(tags: Iterable[Tag]) -> bytes:
    """Write the answer of `/api/tags`."""
    return msgspec.json.encode({"models": [_with_model(tag) for tag in tags]})


def render_ps(running: Iterable[Running]) -> bytes:
    """Write the answer of `/api/ps`."""
    return msgspec.json.encode({"models": [_with_model(model) for model in running]})


def render_show(shown: Shown) -> bytes:
    """Write the answer of `/api/show`."""
    wire = _said(shown)
    wire["model_info"] = shown.model_info or {}
    wire["capabilities"] = shown.capabilities or ()
    return msgspec.json.encode(wire)


def render_version(version: str) -> bytes:
    """Write the answer of `/api/version`."""
    return msgspec.json.encode({"version": version})


def _with_model(entry: Tag | Running) -> dict[str, Any]:
    return {"name": entry.name, "model": entry.name, **_said(entry)}


def _said(value: Tag | Running | Shown) -> dict[str, Any]:
    """The fields that are set; `details` is always there, since clients look into it."""
    wire = {name: field for name, field in msgspec.structs.asdict(value).items() if field is not None}
    wire["details"] = value.details or Details()
    return wire
