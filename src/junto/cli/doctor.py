"""`junto doctor`: looks at everything that Junto needs, and says how to mend what is wrong."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from junto.cli.options import ConfigOption, JsonOption
from junto.cli.output import console, harmless, print_json

if TYPE_CHECKING:
    from pathlib import Path

    from junto.cli.checkup.finding import Finding
    from junto.settings.model import Settings

_STYLES = {"ok": "green", "note": "yellow", "wrong": "bold red"}


def doctor(config: ConfigOption = None, *, as_json: JsonOption = False) -> None:
    """Look for what keeps Junto from working; exit with 1 if something is wrong."""
    from junto.cli.checkup.finding import Level

    findings = examine(config)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        _show(findings)
    if any(finding.level is Level.WRONG for finding in findings):
        raise typer.Exit(1)


def examine(config: Path | None) -> list[Finding]:
    """Every finding; without a sound configuration only those that need none."""
    from junto.cli.checkup.finding import ok, wrong
    from junto.cli.checkup.machine import check_python
    from junto.cli.configuration import lines_of, read
    from junto.core.document import ConfigErrors
    from junto.settings.model import ServeOptions

    try:
        settings = read(config, ServeOptions())
    except ConfigErrors as refused:
        fix = "Correct these; `junto config check` lists them again."
        return [check_python(), *(wrong("configuration", line, fix) for line in lines_of(refused))]
    source = settings.config_file or "no file: defaults and environment"
    return [check_python(), ok("configuration", str(source)), *_warnings(settings), *_examine_with(settings)]


def _warnings(settings: Settings) -> list[Finding]:
    from junto.cli.checkup.finding import note
    from junto.cli.configuration import warnings_of

    return [note("configuration", warning) for warning in warnings_of(settings)]


def _examine_with(settings: Settings) -> list[Finding]:
    from junto.bootstrap.fleet import make_provider
    from junto.cli.checkup.backends import check_backends, check_someone_answers
    from junto.cli.checkup.data import check_data
    from junto.cli.checkup.finding import Level
    from junto.cli.checkup.machine import check_builtin, check_engine
    from junto.cli.checkup.place import check_address, check_health, look
    from junto.cli.checkup.slack import check_slack
    from junto.providers.llama_cpp import builtin

    host, port = settings.server.host, settings.server.port
    neighbour = look(host, port) if port else None
    weights = builtin.find()
    needed = settings.builtin_model == "on" or any(one.provider == "llama_cpp" for one in settings.backends)
    engine = check_engine(needed=needed)
    backends = asyncio.run(check_backends(settings, make_provider))
    builtin_answers = weights is not None and engine.level is Level.OK and _wants_builtin(settings)
    return [
        check_address(host, port, neighbour),
        *check_health(neighbour),
        *check_data(
            settings.data_dir,
            is_running=neighbour is not None and neighbour.is_junto,
            has_database=settings.database_url is None,
            secret=settings.secrets_key,
        ),
        *asyncio.run(_shared(settings)),
        engine,
        check_builtin(settings.builtin_model, weights),
        *backends,
        check_someone_answers(backends, builtin=builtin_answers),
        asyncio.run(check_slack(settings.channels.slack)),
        _prices(settings),
    ]


async def _shared(settings: Settings) -> list[Finding]:
    """What is looked at only where it is configured."""
    from junto.cli.checkup.shared import check_database_url, check_redis

    url, secret = settings.database_url, settings.secrets_key
    findings = [] if url is None else await check_database_url(url, secret)
    return [*findings, await check_redis(settings.redis_url)] if settings.redis_url is not None else findings


def _wants_builtin(settings: Settings) -> bool:
    """Whether the built-in model is run when no Ollama server is found: not beside a local backend, unless it is `on`."""
    from junto.providers.registry import VENDORS

    if settings.builtin_model != "auto":
        return settings.builtin_model == "on"
    return not any((one.locality or VENDORS[one.provider].locality) == "local" for one in settings.backends)


def _prices(settings: Settings) -> Finding:
    from junto.catalog.price_files import SHIPPED, read_prices
    from junto.cli.checkup.finding import wrong
    from junto.cli.checkup.prices import check_prices
    from junto.cli.configuration import lines_of
    from junto.core.document import ConfigErrors

    try:
        read_prices(settings.pricing_file)
    except ConfigErrors as refused:
        return wrong("prices", "\n".join(lines_of(refused)), "Correct these.")
    from importlib import resources

    texts = [resources.files("junto.catalog").joinpath(SHIPPED).read_text("utf-8")]
    if settings.pricing_file is not None:
        texts.append(settings.pricing_file.read_text("utf-8"))
    return check_prices(texts, dt.datetime.now(dt.UTC).date())


def _show(findings: list[Finding]) -> None:
    from rich.text import Text

    out = console()
    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        line = Text(f"{finding.level.value:<6}", style=_STYLES[finding.level.value])
        line.append(f"{finding.check:<{width}}  ", style="default not bold")
        line.append(harmless(finding.message), style="default not bold")
        out.print(line, soft_wrap=True)
        if finding.fix:
            out.print(Text(f"{'':<{width + 8}}-> {finding.fix}", style="dim"), soft_wrap=True)
    bad = sum(finding.level.value == "wrong" for finding in findings)
    out.print(f"\n{bad} things are wrong." if bad > 1 else "\nOne thing is wrong." if bad else "\nNothing is wrong.")
