"""Under whose policy a job runs: its submitter's as it was, and no looser than it is by now."""

from __future__ import annotations

import pytest

from junto.core.errors import Forbidden
from junto.core.sensitivity import Sensitivity
from junto.identity.keyring import KnownKey
from junto.identity.principal import Principal
from junto.jobs.calling import arrival_of
from junto.jobs.request import JobCaller
from tests.unit.jobs.claims import a_claim

PUBLIC, INTERNAL, CONFIDENTIAL = Sensitivity.PUBLIC, Sensitivity.INTERNAL, Sensitivity.CONFIDENTIAL


@pytest.mark.parametrize(
    ("then", "now", "floor"),
    [
        (PUBLIC, CONFIDENTIAL, CONFIDENTIAL),
        (CONFIDENTIAL, PUBLIC, CONFIDENTIAL),
        (INTERNAL, None, INTERNAL),
    ],
)
def test_a_floor_that_was_raised_while_the_job_waited_holds(
    then: Sensitivity, now: Sensitivity | None, floor: Sensitivity
) -> None:
    caller = JobCaller.of(Principal(client="a", client_id="cli_1", min_sensitivity=then))
    policy = None if now is None else Principal(min_sensitivity=now)
    assert caller.principal("ten_1", policy).min_sensitivity is floor


@pytest.mark.parametrize(
    ("then", "now", "may"),
    [(True, True, True), (True, False, False), (False, True, False), (True, None, True)],
)
def test_the_way_to_the_cloud_that_was_closed_while_the_job_waited_is_closed(
    *, then: bool, now: bool | None, may: bool
) -> None:
    caller = JobCaller.of(Principal(client="a", client_id="cli_1", allow_cloud_for_internal=then))
    policy = None if now is None else Principal(allow_cloud_for_internal=now)
    assert caller.principal("ten_1", policy).allow_cloud_for_internal is may


def test_each_attempt_asks_for_the_policy_of_its_jobs_client() -> None:
    asked: list[str] = []

    def policy_of(client_id: str, tenant_id: str) -> KnownKey:
        asked.append(client_id)
        return KnownKey(principal=Principal(min_sensitivity=CONFIDENTIAL))

    claim = a_claim()
    assert arrival_of(claim, "req_1", policy_of).principal.min_sensitivity is CONFIDENTIAL
    assert asked == [claim.job.client_id]


def test_a_job_whose_client_was_disabled_while_it_waited_asks_nobody() -> None:
    disabled = KnownKey(principal=Principal(), refusal="The client of this key is disabled.")
    with pytest.raises(Forbidden, match="disabled"):
        arrival_of(a_claim(), "req_1", lambda *_: disabled)
