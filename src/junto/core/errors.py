"""Every error that a caller of Junto can meet, as one tree.

    JuntoError
    ├── InvalidRequest (400)        ├── Unauthenticated (401)      ├── Overloaded (503, Retry-After)
    │   ├── MalformedBody           ├── Forbidden (403)            ├── AllBackendsDown (503, Retry-After)
    │   ├── InvalidField (422)      │   └── NotServable            ├── DeadlinePassed (504)
    │   ├── BodyTooLarge (413)      ├── RateLimited (429)          ├── UpstreamRejected (the upstream's 4xx)
    │   ├── NotFound (404)          └── BudgetExceeded (402)       ├── UpstreamFailed (502)
    │   │   └── UnknownModel
    │   ├── Conflict (409)                                         └── Misconfigured (502)
    │   └── Unsupported (400)

`UpstreamFailure` is not part of it: providers raise it at their seam, routing/fallback.py decides what follows, and
only then does a caller see one of the errors above, in Junto's own words (an upstream's text is never relayed).
How an error looks in a dialect is that dialect's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from junto.core.usage import Usage


class JuntoError(Exception):
    """An error with a status, a machine-readable code and a message for people."""

    status = 500
    type = "server_error"
    code = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        reasons: Sequence[str] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.reasons = tuple(reasons)
        self.retry_after = retry_after


class InvalidRequest(JuntoError):
    """The request cannot be served as it was written."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_request"


class MalformedBody(InvalidRequest):
    """The body is not JSON, or not an object."""

    code = "malformed_json"


class Unsupported(InvalidRequest):
    """The request asks for something that this endpoint does not do."""

    code = "unsupported"


class InvalidField(InvalidRequest):
    """A field has a wrong type or an impossible value; `param` names it."""

    status = 422
    code = "invalid_field"


class BodyTooLarge(InvalidRequest):
    """The body is over the configured limit."""

    status = 413
    code = "body_too_large"


class NotFound(InvalidRequest):
    """There is no such thing, or it is not the caller's."""

    status = 404
    type = "not_found_error"
    code = "not_found"


class UnknownModel(NotFound):
    """No model, group or alias has that name; the message lists near ones."""

    code = "model_not_found"


class Conflict(InvalidRequest):
    """What is asked for does not go with what is there: a name that is taken, a state that does not allow it."""

    status = 409
    type = "conflict_error"
    code = "conflict"


class Unauthenticated(JuntoError):
    """A key is needed and none, or a wrong one, was given."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class Forbidden(JuntoError):
    """The caller is known and may not do this."""

    status = 403
    type = "permission_error"
    code = "forbidden"


class NotServable(Forbidden):
    """No deployment may see content of this sensitivity; nothing was contacted."""

    code = "sensitivity_not_servable"


class BudgetExceeded(JuntoError):
    """A budget has no room for this request."""

    status = 402
    type = "billing_error"
    code = "budget_exceeded"


@dataclass(frozen=True, slots=True)
class UsedUp:
    """A limit a minute as it stands: `kind` is requests or tokens, `reset` the seconds until there is room again."""

    kind: str
    limit: int
    remaining: int
    reset: float


class RateLimited(JuntoError):
    """A limit of the caller's, or every candidate's, is used up for now; `used_up` where it is one a minute."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"
    used_up: UsedUp | None = None


class Overloaded(JuntoError):
    """The queue is full, or the wait would pass the deadline, or the journal is at its limit."""

    status = 503
    type = "overloaded_error"
    code = "overloaded"


class AllBackendsDown(JuntoError):
    """Every candidate failed or is out of service."""

    status = 503
    type = "overloaded_error"
    code = "all_backends_down"


class DeadlinePassed(JuntoError):
    """The caller's deadline passed before an answer began."""

    status = 504
    type = "timeout_error"
    code = "deadline_passed"


class UpstreamFailed(JuntoError):
    """The answer broke off, or was not one."""

    status = 502
    type = "api_error"
    code = "upstream_failed"


class Misconfigured(JuntoError):
    """No candidate can answer until an operator mends something: each refuses Junto's key, or has not the model."""

    status = 502
    type = "api_error"
    code = "backends_misconfigured"


class UpstreamRejected(JuntoError):
    """The chosen upstream refused this request; the status class is its own, the words are Junto's."""

    status = 400
    type = "invalid_request_error"
    code = "upstream_rejected"

    def __init__(self, message: str, *, status: int, reasons: Sequence[str] = ()) -> None:
        super().__init__(message, reasons=reasons)
        self.status = status


class FailureKind(StrEnum):
    """What went wrong with one attempt, as far as routing needs to tell failures apart."""

    CONNECT = "connect"  # refused, unreachable, DNS, TLS or proxy trouble: no byte was sent
    CONNECT_TIMEOUT = "connect_timeout"
    HEADERS_TIMEOUT = "headers_timeout"
    FIRST_TOKEN_TIMEOUT = "first_token_timeout"  # noqa: S105
    IDLE_TIMEOUT = "idle_timeout"
    RESET = "reset"  # the connection broke after bytes were sent
    PROTOCOL = "protocol"  # not HTTP, not JSON, not the dialect
    TOO_LARGE = "too_large"
    THROTTLED = "throttled"  # 429
    BUSY = "busy"  # 503 with "server busy", 529: alive, with no room
    SERVER = "server"  # other 5xx
    CREDENTIALS = "credentials"  # 401, 403: the operator's key is wrong, not the caller's request
    MODEL_MISSING = "model_missing"  # 404 for the model
    REJECTED = "rejected"  # other 4xx: the request itself was refused
    CONTEXT_LENGTH = "context_length"  # refused as too long for this model
    QUEUE_FULL = "queue_full"  # Junto's own queue for the backend had no place
    NOT_LOCAL = "not_local"  # it attested that another machine answers, and the content must stay: nothing was sent
    UNSUPPORTED = "unsupported"  # this backend's wire has no words for what is asked: nothing was sent


class UpstreamFailure(Exception):
    """One attempt failed. Raised by providers only; `detail` is for logs and is never shown to a caller.

    `refusal` is what the caller is told where no candidate takes the request, of those kinds where nothing was sent.
    """

    def __init__(
        self,
        kind: FailureKind,
        detail: str = "",
        *,
        status: int | None = None,
        retry_after: float | None = None,
        usage: Usage | None = None,
        refusal: JuntoError | None = None,
    ) -> None:
        super().__init__(f"{kind}: {detail}" if detail else str(kind))
        self.kind = kind
        self.detail = detail
        self.status = status
        self.retry_after = retry_after
        self.usage = usage
        self.refusal = refusal
