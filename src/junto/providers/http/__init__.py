"""Junto's own HTTP/1.1 client for the data path: keep-alive, exact cancellation, four deadlines, backpressure.

Owns bytes between Junto and one origin. Knows nothing of models, dialects, tenants or retries of a whole request,
and imports nothing but the standard library and httptools.
"""

from junto.providers.http.bounds import Deadlines, Limits
from junto.providers.http.client import HttpClient
from junto.providers.http.errors import TransportFailure, TransportFailureKind
from junto.providers.http.origin import Origin, prepare_head
from junto.providers.http.response import Response

__all__ = [
    "Deadlines",
    "HttpClient",
    "Limits",
    "Origin",
    "Response",
    "TransportFailure",
    "TransportFailureKind",
    "prepare_head",
]
