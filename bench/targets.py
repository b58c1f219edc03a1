"""The targets of Junto's performance budget, judged from results. Pure; a verdict is never an exit code."""

from typing import Final

from bench.jobs import table
from bench.results import Results, added_ms, middle, ratio
from bench.verdicts import Verdict, at_least, at_most

SLOPE_BYTES: Final = 10.0
"""Growth per request that counts as none: 1 MB in 100,000 requests."""


def judge(results: Results) -> list[Verdict]:
    """Return a verdict for each target of what was run."""
    return [*(_gateways(results) if results.rows else ()), *table.judge(results.jobs)]


def _gateways(results: Results) -> list[Verdict]:
    junto, nginx, direct = (results.row(name) for name in ("junto", "nginx", "direct"))
    litellm, portkey, translating = (results.row(name) for name in ("litellm", "portkey", "junto-translating"))
    keyed = results.row("junto-keyed")
    large = junto.cpu_us("large") if junto else None
    return [
        at_most("unary: CPU per request over nginx's", ratio(junto, "unary", nginx), 8, "x"),
        at_most("unary with key, limits and budget: the same", ratio(keyed, "unary", nginx), 8, "x"),
        at_least("unary: LiteLLM's CPU per request over Junto's", ratio(litellm, "unary", junto), 150, "x"),
        at_least("unary: Portkey's CPU per request over Junto's", ratio(portkey, "unary", junto), 12, "x"),
        at_most("streaming: CPU per event over nginx's, unbuffered", ratio(junto, "stream", nginx), 2, "x"),
        at_most(
            "translated from Anthropic: event over nginx's",
            ratio(translating, "stream-anthropic", nginx, "stream"),
            2.9,
            "x",
        ),
        at_most(
            "translated from Ollama: event over nginx's", ratio(translating, "stream-ollama", nginx, "stream"), 2.9, "x"
        ),
        at_most("400 kB body: CPU per request", large / 1000 if large else None, 2, " ms"),
        at_most("added latency, 1 connection, p50", added_ms(junto, direct, "latency", "p50"), 0.4, " ms"),
        at_most("added latency at half of one core's rate, p99", added_ms(junto, direct, "half", "p99"), 3, " ms"),
        at_most("cold start to the first good answer", middle(junto.cold_starts_s) if junto else None, 1.5, " s"),
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
    return [at_most(f"memory after {requests} requests", last, 120, " MB"), growth]
