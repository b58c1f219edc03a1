"""Speaking to a running Junto, and telling what goes wrong in words that help.

Owns the HTTP client of the command line. What is asked and how answers are shown is the commands' business.
"""

from __future__ import annotations

import contextlib
import ipaddress
from typing import TYPE_CHECKING, Any

import httpx2

from junto.cli.options import DEFAULT_URL
from junto.cli.output import fail

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import typer

_PAGE = 500
_KEY_CODES = ("invalid_api_key", "forbidden")
_TIMEOUT = httpx2.Timeout(connect=5, read=60, write=60, pool=5)
_ANSWER_TIMEOUT = httpx2.Timeout(connect=5, read=900, write=60, pool=5)  # Junto's own deadlines come first


class RemoteError(Exception):
    """Junto could not be asked, or refused; the message says what to do, `code` is the refusal's."""

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class Junto:
    """A running Junto. Every method raises RemoteError."""

    def __init__(self, url: str, key: str | None, *, transport: httpx2.BaseTransport | None = None) -> None:
        self.url = url.rstrip("/")
        self._client = httpx2.Client(
            headers=credentials(key), timeout=_TIMEOUT, transport=transport, trust_env=may_use_a_proxy(url)
        )

    def get(self, path: str, **params: Any) -> Any:
        """The JSON at a path; parameters that are None are left out."""
        with told_at(self.url):
            response = self._client.get(self.url + path, params=given(**params))
        return json_of(response, self.url)

    def post(self, path: str, body: Mapping[str, Any], *, waits: bool = False) -> Any:
        """The JSON that answers a JSON body; `waits` for as long as a model may take."""
        with told_at(self.url):
            timeout = _ANSWER_TIMEOUT if waits else _TIMEOUT
            response = self._client.post(self.url + path, json=body, timeout=timeout)
        return json_of(response, self.url)

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """The JSON that answers a change."""
        with told_at(self.url):
            response = self._client.patch(self.url + path, json=body)
        return json_of(response, self.url)

    def put(self, path: str, body: Mapping[str, Any], **params: Any) -> Any:
        """The JSON that answers a body which is the whole of a thing; parameters that are None are left out."""
        with told_at(self.url):
            response = self._client.put(self.url + path, json=body, params=given(**params))
        return json_of(response, self.url)

    def delete(self, path: str, **params: Any) -> Any:
        """The JSON that answers a deletion; parameters that are None are left out."""
        with told_at(self.url):
            response = self._client.delete(self.url + path, params=given(**params))
        return json_of(response, self.url)

    @contextlib.contextmanager
    def download(self, path: str, **params: Any) -> Iterator[Iterator[bytes]]:
        """What is at a path, piece by piece; parameters that are None are left out."""
        with self._begun("GET", path, params=given(**params)) as response:
            yield response.iter_bytes()

    @contextlib.contextmanager
    def stream(self, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> Iterator[httpx2.Response]:
        """An answer that has begun; leaving the block closes the connection, which stops the model."""
        with self._begun("POST", path, json=body, headers=headers) as response:
            yield response

    @contextlib.contextmanager
    def _begun(self, method: str, path: str, **asked: Any) -> Iterator[httpx2.Response]:
        with (
            told_at(self.url),
            self._client.stream(method, self.url + path, timeout=_ANSWER_TIMEOUT, **asked) as response,
        ):
            if response.status_code != httpx2.codes.OK:
                response.read()
                raise refusal_of(response, self.url)
            yield response


@contextlib.contextmanager
def told_at(url: str) -> Iterator[None]:
    """What goes wrong on the way to that address, as RemoteError."""
    try:
        yield
    except httpx2.ConnectError:
        raise RemoteError(f"Junto is not running at {url}: start it with `junto serve`.") from None
    except httpx2.TimeoutException:
        raise RemoteError(f"Junto at {url} did not answer in time.") from None
    except httpx2.HTTPError as error:
        raise RemoteError(f"The connection to Junto at {url} broke: {error}") from None


def json_of(response: httpx2.Response, url: str) -> Any:
    """The JSON of an answer; raises RemoteError for a refusal, and for an answer that is not Junto's."""
    if not response.is_success:
        raise refusal_of(response, url)
    try:
        return response.json()
    except ValueError:
        raise _stranger(url) from None


def refusal_of(response: httpx2.Response, url: str) -> RemoteError:
    """What Junto says when it refuses."""
    try:
        error = response.json()["error"]
    except (ValueError, KeyError, TypeError):
        return _stranger(url)
    return RemoteError(told(error), code=str(error.get("code", "")) if isinstance(error, dict) else "")


def _stranger(url: str) -> RemoteError:
    return RemoteError(f"What answers at {url} is not Junto; --url or JUNTO_URL names where Junto is.")


def told(error: Any) -> str:
    """An error as Junto says it, in any of its dialects, with a word about keys where one is missing or wrong."""
    if not isinstance(error, dict):
        return str(error)
    lines = [str(error.get("message") or error)]
    lines += [f"  {reason}" for reason in error.get("reasons") or ()]
    if error.get("code") in _KEY_CODES:
        lines.append(
            "  Give the key with --key, in JUNTO_ADMIN_KEY or, for `chat`, `council`, `models` and `eval run`, in JUNTO_API_KEY; "
            "`junto serve` showed the admin key at its first start."
        )
    return "\n".join(lines)


@contextlib.contextmanager
def junto_at(context: typer.Context, url: str, key: str | None) -> Iterator[Junto]:
    """The Junto that a command speaks to; what goes wrong ends the command with a message.

    The context's object is the transport to use instead of the network: tests set it, nobody else does.
    """
    try:
        yield Junto(url, key, transport=context.obj)
    except RemoteError as error:
        fail(str(error))


def credentials(key: str | None) -> dict[str, str]:
    """The header of a key, where there is one."""
    return {"authorization": f"Bearer {key}"} if key else {}


def may_use_a_proxy(url: str) -> bool:
    """Whether the environment's proxy may lead to that address: it is no way to this machine. Raises RemoteError for no address."""
    return not _is_here(_host(url))


def _host(url: str) -> str:
    """The host of an address; raises RemoteError when it is none."""
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        parsed = httpx2.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise RemoteError(f"{url!r} is no address; --url takes one like {DEFAULT_URL}.")
    return parsed.host


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def given(**values: Any) -> dict[str, Any]:
    """A body of the values that are there."""
    return {name: value for name, value in values.items() if value is not None}


def all_pages(junto: Junto, path: str, what: str, **query: Any) -> list[dict[str, Any]]:
    """Everything that a paged list has."""
    found: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        page = junto.get(path, limit=_PAGE, after=after, **query)
        found += page[what]
        after = page["next"]
        if after is None:
            return found
