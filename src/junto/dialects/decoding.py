"""JSON bytes to typed values, with the errors that the two sides of Junto want. Knows no dialect's fields.

What a caller sent wrongly is an InvalidRequest that names the field; what an upstream sent wrongly is an UpstreamFailure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from junto.core.errors import FailureKind, InvalidField, MalformedBody, UpstreamFailure

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from msgspec.json import Decoder

_AT_PATH = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(?P<name>[^`]*)`$")
_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<name>.*)`$", re.DOTALL)
_TOP_LEVEL = msgspec.json.Decoder(dict[str, msgspec.Raw])
_SHORT = 16 * 1024
_ANY_FIELDS = msgspec.json.Decoder(dict[str, Any])


def decode_body[T](decoder: Decoder[T], body: bytes) -> T:
    """Read a caller's body; raises MalformedBody where it is no JSON object, InvalidField where a field is wrong."""
    try:
        if not body.isascii():
            body.decode()  # parts that stay raw are not looked into, and must be UTF-8 all the same
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _wrong_field(str(error)) from None
    except UnicodeDecodeError:
        raise MalformedBody("The body is not UTF-8.") from None
    except RecursionError:
        raise MalformedBody("The body is nested too deeply.") from None
    except msgspec.DecodeError:
        raise MalformedBody("The body is not valid JSON.") from None


def decode_part[T](decoder: Decoder[T], part: msgspec.Raw, path: str) -> T:
    """Read a raw part of a caller's body that was left for later; `path` is where it stands, for the error's `param`."""
    try:
        return decoder.decode(part)
    except msgspec.ValidationError as error:
        raise _wrong_field(str(error), path) from None
    except RecursionError:
        raise MalformedBody("The body is nested too deeply.") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise MalformedBody("The body is not valid JSON.") from None


def decode_answer[T](decoder: Decoder[T], body: bytes | msgspec.Raw) -> T:
    """Read what an upstream sent; raises UpstreamFailure(PROTOCOL) where it is not that shape."""
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamFailure(FailureKind.PROTOCOL, f"not the dialect: {error}"[:300]) from None


def fields_of(body: bytes) -> dict[str, msgspec.Raw]:
    """The top-level fields of a caller's body, undecoded and in their order."""
    return decode_body(_TOP_LEVEL, body)


def other_fields(body: bytes, known: Collection[str]) -> dict[str, Any]:
    """The top-level fields of a caller's body that are none of the known ones, decoded; names not in lower case are left out."""
    fields = decode_body(_ANY_FIELDS, body)
    return {name: value for name, value in fields.items() if name not in known and name == name.casefold()}


def is_minimal(body: bytes, fields: Mapping[str, msgspec.Raw]) -> bool:
    """Whether the body is nothing but these fields: repeated keys, escapes in keys or blanks would make it longer.

    Of two keys that are the same, Junto reads the last one and some servers the first, so a body that is not minimal is
    written anew before it goes to an upstream.
    """
    if len(body) < _SHORT:
        return msgspec.json.encode(fields) == body  # a third of the work, as long as there is little to copy
    # Braces, and for each field two quotes, a colon and a comma (but for the last one).
    return len(body) == 1 + 4 * len(fields) + sum(map(len, fields)) + sum(map(len, fields.values()))


def rewritten(body: bytes, model: str) -> bytes:
    """The body with that model, and without fields whose names are not in lower case; the same object if that is so already.

    Many servers match names without regard to case, so `Model` beside `model` would ask for something that was never checked.
    """
    fields = fields_of(body)
    wanted = msgspec.json.encode(model)
    odd = [name for name in fields if name != name.casefold()]
    if not odd and is_minimal(body, fields) and bytes(fields.get("model", b"")) == wanted:
        return body
    for name in odd:
        del fields[name]
    fields["model"] = msgspec.Raw(wanted)
    return msgspec.json.encode(fields)


def labels_of(metadata: Mapping[str, Any] | None) -> dict[str, str]:
    """What a caller's metadata says in texts; a `sensitivity` that is no text is refused, since leaving it out would be a guess."""
    if not metadata:
        return {}
    if not isinstance(metadata.get("sensitivity", ""), str):
        raise InvalidField("The field `metadata.sensitivity` must be text.", param="metadata.sensitivity")
    return {name: value for name, value in metadata.items() if isinstance(value, str)}


def check_model(model: str) -> str:
    """The model's name if there is one, else InvalidField."""
    if not model:
        raise InvalidField("The field `model` must not be empty.", param="model")
    return model


def _wrong_field(message: str, prefix: str = "") -> MalformedBody | InvalidField:
    match = _AT_PATH.match(message)
    what, path = (match["what"], match["path"]) if match else (message, None)
    missing = _MISSING.match(what)
    if missing:
        param = _joined(prefix, _joined(path or "", missing["name"]))
        return InvalidField(f"The field `{param}` is missing.", param=param)
    unknown = _UNKNOWN.match(what)
    if unknown:
        param = _joined(prefix, _joined(path or "", unknown["name"][:100]))
        return InvalidField(f"There is no field `{param}`.", param=param)
    param = _joined(prefix, path or "")
    if not param:
        return MalformedBody("The body is not a JSON object.")
    return InvalidField(f"{what} in `{param}`.", param=param)


def _joined(prefix: str, path: str) -> str:
    if not prefix or not path or path.startswith("["):
        return f"{prefix}{path}"
    return f"{prefix}.{path}"
