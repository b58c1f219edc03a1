"""`junto worker` with a lease of another length, and sweeps as much more often: for scenarios that have no half minute.

python -m tests.chaos.dispatch.quick_worker --lease SECONDS --config FILE --data-dir DIRECTORY
"""

from __future__ import annotations

import argparse
import asyncio
from functools import partial
from pathlib import Path

from junto.bootstrap.jobs import JobOptions
from junto.bootstrap.worker import work
from junto.cli.configuration import load_or_exit, read
from junto.jobs.leases import LEASE_SECONDS
from junto.jobs.sweeper import SWEEP_SECONDS
from junto.settings.model import ServeOptions


def main() -> None:
    """Work until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lease", type=float)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--data-dir", type=Path)
    told = parser.parse_args()
    options = ServeOptions(data_dir=told.data_dir)
    jobs = JobOptions(lease=told.lease, sweep=told.lease * SWEEP_SECONDS / LEASE_SECONDS)
    asyncio.run(
        work(
            load_or_exit(told.config, options),
            read_settings=partial(read, told.config, options),
            on_ready=lambda node: print(f"Junto works: {node.id}", flush=True),  # noqa: T201
            options=jobs,
        )
    )


if __name__ == "__main__":
    main()
