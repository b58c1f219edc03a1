"""A Postgres for the benchmark: the tests' own server, with its defaults, so with fsync."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.conformance.databases import make_template, running_postgres

from bench.machine import pinned
from bench.subjects.subject import Unavailable


@contextmanager
def postgres(core: int) -> Iterator[str]:
    """Run a server meanwhile, on the core of the load, and give the URL of a migrated database; raise Unavailable without one."""
    with pinned(core), ExitStack() as stack:
        try:
            server = stack.enter_context(running_postgres())
        except ImportError as error:
            raise Unavailable(f"Postgres is not installed ({error})") from error
        make_template(server)
        yield server.fresh()
