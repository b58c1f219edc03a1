"""The kinds of values that keys may hold, strict where YAML could surprise (`port: yes` is no port).

A value that came out of a variable (`${PORT}`) is text; the number and boolean fields read it, and it alone, as what they hold.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
)

from junto.core.secret import Secret

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HOST_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63}){0,20}")
_KEY = re.compile(r"[!-~]{1,4096}")
_LONGEST_MODEL = 256
_KINDS_OF_NAMES = ("task", "council", "agent")

type Locality = Literal["local", "cloud"]
type StrategyName = Literal["smart", "priority", "round-robin", "latency", "cost"]
type SensitivityName = Literal["public", "internal", "confidential"]
type Keep = Literal["full", "metadata", "none"]


class Interpolated(str):
    """Text that came, whole or in part, out of a variable: shown in no message, readable as a number."""

    __slots__ = ()


def _number(value: Any) -> Any:
    if isinstance(value, Interpolated):
        for read in (int, float):
            try:
                return read(value)
            except ValueError:
                continue
    return value


def _boolean(value: Any) -> Any:
    return {"true": True, "false": False}.get(value.lower(), value) if isinstance(value, Interpolated) else value


def _plain_text(value: Any) -> Any:
    return str.__str__(value) if isinstance(value, Interpolated) else value


def _secret(value: Any) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise ValueError("must be text; put it in quotes")  # noqa: TRY004 - pydantic collects ValueErrors
    return key_of(value.strip() if isinstance(value, Interpolated) else value)


def key_of(text: str) -> Secret:
    """A key or address as a secret; raises ValueError, which does not show it, when it cannot be one."""
    if text and not _KEY.fullmatch(text):
        raise ValueError("holds characters that no key has (spaces, line ends, or letters beyond ASCII)")
    return Secret(str(text))


def is_reserved(name: str) -> bool:
    """Whether the name, as a model's or a group's, would mean something else: a task, a council, an agent, `auto`."""
    return name == "auto" or name.startswith(tuple(f"{kind}/" for kind in _KINDS_OF_NAMES))


def _backend_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("must be up to 64 letters, digits, dots, dashes and underscores, with no slash or space")
    if name in _KINDS_OF_NAMES:
        raise ValueError(f"is reserved: {name}/... names a {name}")
    return name


def _model_name(name: str) -> str:
    if not 0 < len(name) <= _LONGEST_MODEL or not name.isprintable() or " " in name:
        raise ValueError(f"must be a name of up to {_LONGEST_MODEL} characters without spaces")
    return name


def _public_name(name: str) -> str:
    if is_reserved(name):
        raise ValueError("is reserved: auto, task/..., council/... and agent/... mean other things")
    return _model_name(name)


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        whole = False
    if not whole or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be a whole address, like http://127.0.0.1:11434")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user or password; use `api_key`")
    if parts.query or parts.fragment:
        raise ValueError("must end with the path: no ? and no #")
    return text.rstrip("/")


def _outbound_entry(text: str) -> str:
    """A network (`10.1.0.0/16`), an address, or the plain name of a host."""
    try:
        ipaddress.ip_network(text)
    except ValueError as wrong:
        if "/" in text or ":" in text or not _HOST_NAME.fullmatch(text) or text.replace(".", "").isdigit():
            raise ValueError(
                "must be a host's name (no scheme, port or *), an address, or a network like 10.1.0.0/16"
            ) from wrong
    return text.lower()


def _store_url(schemes: tuple[str, ...]) -> Any:
    def check(secret: Secret) -> Secret:
        scheme, found, rest = secret.reveal().partition("://")
        if not found or scheme not in schemes or not rest:
            raise ValueError(f"must begin with one of {', '.join(f'{name}://' for name in schemes)}")
        return secret

    return check


def _redis_address(secret: Secret) -> Secret:
    """Whether it can be taken apart; what it holds is not repeated."""
    try:
        parts = urlsplit(secret.reveal())
        whole = parts.scheme == "unix" or (parts.port is None or parts.port > 0)
    except ValueError:
        whole = False
    if not whole:
        raise ValueError(
            "must be like redis://:PASSWORD@HOST:6379/0; characters such as @ : / # % in a password are percent-encoded"
        )
    return secret


DATABASE_SCHEMES = ("sqlite", "sqlite+aiosqlite", "postgresql", "postgres", "postgresql+psycopg")
REDIS_SCHEMES = ("redis", "rediss", "unix")


def _frozen[K, V](value: Mapping[K, V] | None) -> Mapping[K, V] | None:
    return None if value is None else MappingProxyType(dict(value))


def _section(value: Any) -> Any:
    """A heading with nothing under it (all its keys commented out) is an empty section."""
    return {} if value is None else value


def _listing(value: Any) -> Any:
    return [] if value is None else value


Int = Annotated[StrictInt, BeforeValidator(_number)]
Float = Annotated[StrictFloat, BeforeValidator(_number)]
Bool = Annotated[StrictBool, BeforeValidator(_boolean)]
Text = Annotated[StrictStr, BeforeValidator(_plain_text)]
Seconds = Annotated[Float, Field(gt=0, le=86_400)]
SecretText = Annotated[Secret, PlainValidator(_secret)]
BackendName = Annotated[Text, AfterValidator(_backend_name)]
ModelName = Annotated[Text, AfterValidator(_model_name)]
PublicName = Annotated[Text, AfterValidator(_public_name)]
Url = Annotated[Text, AfterValidator(_url)]
OutboundEntry = Annotated[Text, AfterValidator(_outbound_entry)]
DatabaseUrl = Annotated[SecretText, AfterValidator(_store_url(DATABASE_SCHEMES))]
RedisUrl = Annotated[SecretText, AfterValidator(_store_url(REDIS_SCHEMES)), AfterValidator(_redis_address)]
Section = BeforeValidator(_section)
Listing = BeforeValidator(_listing)
Frozen = AfterValidator(_frozen)
