"""The site of these tests: started once, and what a test has broken is whole again when it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance.redis_server import running_redis
from tests.flow.distributed.site import Site, running_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conformance.databases import Postgres


@pytest.fixture(scope="session")
def whole_site(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with running_redis() as redis, running_site(folder, postgres, redis) as site:
        yield site


@pytest.fixture
def site(whole_site: Site) -> Site:
    """Nothing is planned at the backends, and they have received nothing."""
    for script in (whole_site.local, whole_site.cloud):
        script.take_back()
        script.clear()
    return whole_site
