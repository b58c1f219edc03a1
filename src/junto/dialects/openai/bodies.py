"""Reading callers' JSON: one decode, and every way it can fail as an error with the field's path.

Owns the mapping from msgspec's messages to InvalidRequest errors. Knows no endpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from junto.core.errors import InvalidField, InvalidRequest, MalformedBody

if TYPE_CHECKING:
    from collections.abc import Callable

_MISSING = "Object missing required field `"
_LONGEST_MESSAGE = 300


def read[T](decode: Callable[[bytes], T], body: bytes) -> T:
    """What `decode` (a msgspec decoder's method) makes of a caller's body; raises MalformedBody or InvalidField."""
    try:
        if not body.isascii():
            body.decode()  # msgspec skips over unknown fields without looking at their encoding
        return decode(body)
    except msgspec.ValidationError as error:
        raise refusal(str(error)) from None
    except UnicodeDecodeError:
        raise MalformedBody("The body is not UTF-8.") from None
    except RecursionError:
        raise MalformedBody("The body is nested too deeply.") from None
    except msgspec.DecodeError as error:
        raise MalformedBody(f"The body is not JSON: {error}."[:_LONGEST_MESSAGE]) from None


def refusal(complaint: str) -> InvalidRequest:
    """The error for msgspec's `complaint`, which ends in the field's path: " - at `$.messages[0].role`"."""
    what, _, at = complaint.partition(" - at `$")
    path = at.rstrip("`").removeprefix(".")
    if what.startswith(_MISSING):
        name = what.removeprefix(_MISSING).rstrip("`")
        path = f"{path}.{name}" if path else name
        what = "it is required"
    if not path:
        return MalformedBody("The body is not a JSON object.")
    return InvalidField(f"{path}: {what[:1].lower()}{what[1:]}."[:_LONGEST_MESSAGE], param=path)
