"""`junto datasets`: scored answers of a running Junto as files for fine-tuning."""

from __future__ import annotations

import contextlib
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from junto.cli.options import DEFAULT_URL, AdminKeyOption, UrlOption

if TYPE_CHECKING:
    from collections.abc import Iterator

app = typer.Typer(name="datasets", help="Export scored answers for fine-tuning.", no_args_is_help=True)


class Shape(StrEnum):
    """What kinds of data sets there are."""

    SFT = "sft"
    PREFERENCES = "preferences"


@app.callback()
def datasets() -> None:
    """Export scored answers for fine-tuning."""


@app.command()
def export(
    context: typer.Context,
    shape: Annotated[Shape, typer.Argument(help="sft: good answers. preferences: pairs, the better one first.")],
    *,
    out: Annotated[Path | None, typer.Option(help="A file; else standard output.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over what --out names.")] = False,
    task: Annotated[str | None, typer.Option("--task", "-t", help="Only this task type.")] = None,
    min_score: Annotated[
        float | None, typer.Option(min=1, max=5, help="The least mean score; for sft 4 unless given.")
    ] = None,
    via: Annotated[str | None, typer.Option(help="Only by admin, client, link, judge or judge-panel.")] = None,
    days: Annotated[int | None, typer.Option(min=1, help="How far back; else 30.")] = None,
    sensitivity: Annotated[str | None, typer.Option(help="Only this tier.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Only this tenant, by its id.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="At most so many rows.")] = None,
    include_confidential: Annotated[
        bool, typer.Option("--include-confidential", help="Where the configuration allows it.")
    ] = False,
    url: UrlOption = DEFAULT_URL,
    key: AdminKeyOption = None,
) -> None:
    """Write a data set as JSON lines, in the shapes that TRL reads. A file is there whole or not at all."""
    from junto.cli.output import console
    from junto.cli.remote import junto_at

    filters = {
        "task_type": task,
        "min_score": min_score,
        "via": via,
        "days": days,
        "sensitivity": sensitivity,
        "tenant": tenant,
        "limit": limit,
        "include_confidential": "true" if include_confidential else None,
    }
    rows = 0
    with (
        _target(out, force=force) as target,
        junto_at(context, url, key) as junto,
        junto.download(f"/datasets/{shape.value}", **filters) as pieces,
    ):
        for piece in pieces:
            target.write(piece)
            rows += piece.count(b"\n")
        target.flush()
    where = f" in {out}" if out is not None else ""
    console(stderr=True).print(f"{rows} row{'' if rows == 1 else 's'}{where}.", soft_wrap=True)


@contextlib.contextmanager
def _target(out: Path | None, *, force: bool) -> Iterator[BinaryIO]:
    """Where the rows go: a file beside the one that is named, which takes its place at the end; nothing is left of a broken one."""
    from junto.cli.output import fail

    if out is None:
        yield sys.stdout.buffer
        return
    if out.exists() and not force:
        fail(f"{out} is there already; --force writes over it.")
    partial = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        with partial.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(out)
    except OSError as error:
        fail(f"{out}: {error.strerror or error}")
    finally:
        partial.unlink(missing_ok=True)
