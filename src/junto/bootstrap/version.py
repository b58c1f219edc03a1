"""Which build this is: the version, and the git commit where it can be known."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from junto import __version__
from junto.web.services import Build


def this_build() -> Build:
    """Version and commit: from JUNTO_GIT_SHA (set when an image is built), else from the checkout that this runs from."""
    return Build(version=__version__, git_sha=os.environ.get("JUNTO_GIT_SHA") or _checkout_sha())


def _checkout_sha() -> str:
    here = Path(__file__).resolve().parent
    root = here.parent.parent.parent
    if not (root / ".git").exists():
        return "unknown"
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"],  # noqa: S607
            cwd=root, capture_output=True, text=True, timeout=2, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip() or "unknown"
