"""`junto version` and `junto --version`: which Junto this is."""

from __future__ import annotations

import platform

import typer

from junto.cli.options import JsonOption
from junto.cli.output import print_json


def version(*, as_json: JsonOption = False) -> None:
    """Print the version, the git commit and the Python that runs it."""
    from junto.bootstrap.version import this_build

    build = this_build()
    python = platform.python_version()
    if as_json:
        print_json({"version": build.version, "git_sha": build.git_sha, "python": python})
    else:
        print(f"junto {build.version} (git {build.git_sha}, Python {python})")


def tell_version(value: bool) -> None:  # noqa: FBT001  an option's callback
    """Print it and end, where the option asks for it."""
    if value:
        version()
        raise typer.Exit
