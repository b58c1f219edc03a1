"""The targets of Junto's performance budget, judged from results. Pure; a verdict is never an exit code."""

from typing import Final

from bench.results import Results, Verdict, added_ms, middle, ratio

SLOPE_BYTES: Final = 10.0
"""Growth per request that counts as none: 1 MB in 100,000 requests."""


def judge(results: Results) -> list[Verdict]:
    """Return a verdict for each target."""
    junto, nginx, direct = (results.row(name) for name in ("junto", "nginx", "direct"))
    litellm, portkey, translating = (results.row(name) for name in ("litellm", "portkey", "junto-translating"))
    large = junto.cpu_us("large") if junto else None
    return [
        _most("unary: CPU per request over nginx's", ratio(junto, "unary", nginx), 8, "x"),
        _least("unary: LiteLLM's CPU per request over Junto's", ratio(litellm, "unary", junto), 150, "x"),
        _least("unary: Portkey's CPU per request over Junto's", ratio(portkey, "unary", junto), 12, "x"),
        _most("streaming: CPU per event over nginx's, unbuffered", ratio(junto, "stream", nginx), 2, "x"),
        _most(
            "translated from Anthropic: event over nginx's",
            ratio(translating, "stream-anthropic", nginx, "stream"),
            2.9,
            "x",
        ),
        _most(
            "translated from Ollama: event over nginx's", ratio(translating, "stream-ollama", nginx, "stream"), 2.9, "x"
        ),
        _most("400 kB body: CPU per request", large / 1000 if large else None, 2, " ms"),
        _most("added latency, 1 connection, p50", added_ms(junto, direct, "latency", "p50"), 0.4, " ms"),
        _most("added latency at half of one core's rate, p99", added_ms(junto, direct, "half", "p99"), 3, " ms"),
        _most("cold start to the first good answer", middle(junto.cold_starts_s) if junto else None, 1.5, " s"),
        *_memory(results),
    ]


def _memory(results: Results) -> list[Verdict]:
    junto = results.row("junto")
    memory = junto.memory if junto else None
    requests = f"{results.plan.memory_requests:,}" if results.plan.memory_requests else "100,000"
    last = memory.samples[-1][1] if memory else None
    wanted = f"0 (<= {SLOPE_BYTES:g} B/request at 2 standard errors below the fit)"
    title = "memory: slope over the second half"
    if memory is None:
        growth = Verdict(target=title, wanted=wanted, found="-", met=None)
    else:
        fit = memory.slope
        found = f"{fit.bytes_per_request:.1f} ± {fit.standard_error:.1f} B/request"
        growth = Verdict(target=title, wanted=wanted, found=found, met=fit.lower <= SLOPE_BYTES)
    return [_most(f"memory after {requests} requests", last, 120, " MB"), growth]


def _most(target: str, found: float | None, limit: float, unit: str) -> Verdict:
    return _verdict(target, f"<= {limit:g}{unit}", found, unit, met=None if found is None else found <= limit)


def _least(target: str, found: float | None, limit: float, unit: str) -> Verdict:
    return _verdict(target, f">= {limit:g}{unit}", found, unit, met=None if found is None else found >= limit)


def _verdict(target: str, wanted: str, found: float | None, unit: str, *, met: bool | None) -> Verdict:
    return Verdict(target=target, wanted=wanted, found="-" if found is None else f"{found:.3g}{unit}", met=met)
