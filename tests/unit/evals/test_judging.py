"""One judgement: who is asked, under what tier, and what becomes of the answers."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from junto.core.errors import AllBackendsDown, InvalidField, NotServable, UnknownModel, UpstreamFailed
from junto.evals.judging import Judged, SameFamily
from junto.evals.jury import check
from junto.evals.rubrics import Rubric
from junto.ports.judging import Mode, Status
from junto.ports.replays import GaveWay, Purpose, Terms
from tests.unit.evals.bench import CUT, ScriptedReplays, case, facts, judging, words

if TYPE_CHECKING:
    from junto.core.chat import ChatRequest

pytestmark = pytest.mark.anyio


def mark(score: int, reason: str = "so") -> str:
    return msgspec.json.encode({"score": score, "reason": reason}).decode()


def pick(winner: str) -> str:
    return msgspec.json.encode({"winner": winner, "reason": "so"}).decode()


def detail(judged: Judged) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(judged.decision.detail)
    return found


async def test_a_judge_marks_an_answer_and_what_it_cost_is_told() -> None:
    replays = ScriptedReplays({"alpha-7b": [mark(4)]})
    judged = await judging(replays).judge(case("alpha-7b"), deadline_s=5)
    decision = judged.decision
    assert (decision.status, decision.score, decision.calls) == (Status.COMPLETE, 4, 1)
    assert (decision.tokens, decision.nano) == (25, 7)
    asked = replays.asked[0]
    assert (asked.purpose, asked.tenant_id, asked.sensitivity, asked.allow_cloud) == (
        Purpose.JUDGE,
        "default",
        "internal",
        True,
    )
    assert (asked.task_type, asked.parent_id) == ("sums", "req_1")
    assert asked.request.sampling.temperature == 0
    assert asked.request.format is not None
    assert "2 + 2?" in words(asked.request)
    assert "acme" not in words(asked.request)


async def test_nonsense_is_asked_for_once_more_and_says_what_was_wrong() -> None:
    replays = ScriptedReplays({"alpha-7b": ["Great answer!", mark(3)]})
    judged = await judging(replays).judge(case("alpha-7b"), deadline_s=5)
    assert (judged.decision.score, judged.decision.calls, judged.decision.nano) == (3, 2, 14)
    again = words(replays.asked[1].request)
    assert "Great answer!" in again
    assert "The answer is no JSON object." in again


async def test_every_question_is_put_under_what_the_client_allows_by_then() -> None:
    replays = ScriptedReplays({"alpha-7b": ["Great answer!", mark(3)]})

    def terms() -> Terms:
        return Terms(sensitivity="internal", allow_cloud=False)

    await judging(replays).judge(msgspec.structs.replace(case("alpha-7b"), terms=terms), deadline_s=5)
    assert [asked.terms for asked in replays.asked] == [terms, terms]


async def test_a_judge_that_answers_nonsense_twice_fails_with_its_reason_and_no_number() -> None:
    replays = ScriptedReplays({"alpha-7b": ['{"score": 9, "reason": ""}']})
    judged = await judging(replays).judge(case("alpha-7b"), deadline_s=5)
    decision = judged.decision
    assert (decision.status, decision.error_code, decision.score, decision.winner) == (
        Status.FAILED,
        "judge_nonsense",
        None,
        "",
    )
    assert decision.error_message == "Judge alpha-7b: The score is no whole number from 1 to 5."
    assert (decision.calls, len(replays.asked), judged.is_busy) == (2, 2, False)


async def test_an_answer_that_was_cut_off_counts_by_what_stands_whole() -> None:
    replays = ScriptedReplays({"alpha-7b": ['{"score": 4, "reason": "and on' + CUT]})
    assert (await judging(replays).judge(case("alpha-7b"), deadline_s=5)).decision.score == 4


async def test_a_judge_that_thinks_aloud_for_too_long_gets_more_room_once() -> None:
    replays = ScriptedReplays({"alpha-7b": ["<think>Well" + CUT, mark(2)]})
    judged = await judging(replays).judge(case("alpha-7b"), deadline_s=5)
    assert (judged.decision.score, judged.decision.calls) == (2, 2)
    first, second = (chat.request for chat in replays.asked)
    assert second.messages == first.messages
    assert (second.sampling.max_tokens or 0) > 2 * (first.sampling.max_tokens or 0)
    never = await judging(ScriptedReplays({"alpha-7b": ["<think>Well" + CUT]})).judge(case("alpha-7b"), deadline_s=5)
    assert never.decision.error_message == "Judge alpha-7b: The answer was cut off before it was whole."


async def test_a_judge_that_cannot_be_asked_fails_the_verdict_with_what_it_cost() -> None:
    replays = ScriptedReplays({"alpha-7b": [UpstreamFailed("The answer broke off.")]})
    judged = await judging(replays).judge(case("alpha-7b"), deadline_s=5)
    assert (judged.decision.error_code, judged.decision.nano, judged.is_busy) == ("upstream_failed", 7, False)
    for error in (GaveWay("Real work came first."), AllBackendsDown("down")):
        busy = await judging(ScriptedReplays({"alpha-7b": [error]})).judge(case("alpha-7b"), deadline_s=5)
        assert busy.is_busy


async def test_a_pair_is_looked_at_twice_and_one_that_wins_from_both_places_has_won() -> None:
    other = facts("req_2", model="other-7b", answer="five")

    def fair(request: ChatRequest) -> str:
        """Prefers what says 4, wherever it stands."""
        first = re.search(r"<<<ANSWER A \w+>>>\n(.*)\n<<<END ANSWER A", words(request))
        assert first is not None
        return pick("A" if first[1] == "4" else "B")

    replays = ScriptedReplays({"alpha-7b": [fair]})
    judged = await judging(replays).judge(case("alpha-7b", mode=Mode.PAIRWISE, other=other), deadline_s=5)
    assert (judged.decision.winner, judged.decision.score, judged.decision.calls) == ("first", None, 2)
    looks = detail(judged)["judges"][0]["looks"]
    assert [(look["order"], look["winner"]) for look in looks] == [("given", "first"), ("swapped", "first")]


async def test_a_judge_that_prefers_a_place_has_a_tie() -> None:
    other = facts("req_2", model="other-7b", answer="five")
    replays = ScriptedReplays({"alpha-7b": [pick("A")]})
    judged = await judging(replays).judge(case("alpha-7b", mode=Mode.PAIRWISE, other=other), deadline_s=5)
    assert judged.decision.winner == "tie"
    looks = detail(judged)["judges"][0]["looks"]
    assert [look["winner"] for look in looks] == ["first", "second"]


async def test_a_pair_of_which_one_look_failed_has_no_winner() -> None:
    other = facts("req_2", model="other-7b", answer="five")
    replays = ScriptedReplays({"alpha-7b": [pick("A"), "hm", "hm"]})
    judged = await judging(replays).judge(case("alpha-7b", mode=Mode.PAIRWISE, other=other), deadline_s=5)
    assert (judged.decision.status, judged.decision.winner) == (Status.FAILED, "")
    assert judged.decision.error_code == "judge_nonsense"
    assert judged.decision.calls == 3


async def test_a_panel_is_the_median_and_says_who_said_what() -> None:
    replays = ScriptedReplays({"alpha-7b": [mark(5)], "beta-7b": [mark(2)], "gamma-7b": ["?"]})
    judged = await judging(replays).judge(case("alpha-7b", "beta-7b", "gamma-7b", mode=Mode.PANEL), deadline_s=5)
    assert judged.decision.score == 3
    told = detail(judged)
    assert told["median"] == 3.5
    assert told["quorum"] == {"needed": 2, "heard": 2, "met": True}
    assert [(one["judge"], one["status"]) for one in told["judges"]] == [
        ("alpha-7b", "heard"),
        ("beta-7b", "heard"),
        ("gamma-7b", "failed"),
    ]
    assert told["reason"] == "alpha-7b: so\nbeta-7b: so"


async def test_a_panel_without_its_quorum_has_no_number() -> None:
    replays = ScriptedReplays({"alpha-7b": [mark(5)], "beta-7b": ["?"], "gamma-7b": ["?"]})
    judged = await judging(replays).judge(case("alpha-7b", "beta-7b", "gamma-7b", mode=Mode.PANEL), deadline_s=5)
    assert (judged.decision.score, judged.decision.error_code) == (None, "no_quorum")
    assert judged.decision.error_message == "1 of 3 judges were heard, 2 are needed."


async def test_a_panel_leaves_out_the_producers_family_and_names_it() -> None:
    replays = ScriptedReplays({"alpha-7b": [mark(5)], "beta-7b": [mark(5)]})
    judged = await judging(replays).judge(case("alpha-7b", "acme-7b", "beta-7b", mode=Mode.PANEL), deadline_s=5)
    assert judged.decision.score == 5
    left_out = detail(judged)["judges"][1]
    assert (left_out["judge"], left_out["status"], left_out["error"]["code"]) == ("acme-7b", "left_out", "same_family")
    assert {chat.request.model for chat in replays.asked} == {"alpha-7b", "beta-7b"}


async def test_a_panel_that_cannot_have_its_quorum_asks_nobody() -> None:
    replays = ScriptedReplays({"alpha-7b": [mark(5)]})
    judged = await judging(replays).judge(case("alpha-7b", "up/acme-7b", mode=Mode.PANEL), deadline_s=5)
    assert judged.decision.error_code == "no_quorum"
    assert [one["error"]["code"] for one in detail(judged)["judges"]] == ["not_asked", "same_family"]
    assert replays.asked == []


async def test_a_group_is_of_every_family_of_its_members() -> None:
    asked = case("both")
    replays = ScriptedReplays({"both": [mark(5)]})
    assert (await judging(replays).judge(asked, deadline_s=5)).decision.score == 5
    kin = msgspec.structs.replace(asked, facts=facts(model="beta-70b"))
    with pytest.raises(SameFamily, match="same family"):
        await judging(replays).judge(kin, deadline_s=5)


async def test_a_single_judge_of_the_family_is_refused_unless_it_is_allowed() -> None:
    replays = ScriptedReplays({"acme-7b": [mark(5)]})
    with pytest.raises(SameFamily):
        await judging(replays).judge(case("acme-7b"), deadline_s=5)
    assert replays.asked == []
    judged = await judging(replays).judge(case("acme-7b", allow_same_family=True), deadline_s=5)
    assert judged.decision.score == 5
    assert detail(judged)["judges"][0]["same_family"] is True


async def test_the_tier_binds_before_anybody_is_asked() -> None:
    barred = {"beta-7b": NotServable("No deployment of 'beta-7b' may see internal content.", reasons=["up/beta-7b: x"])}
    replays = ScriptedReplays({"alpha-7b": [mark(5)], "gamma-7b": [mark(5)]}, barred=barred)
    panel = case("alpha-7b", "beta-7b", "gamma-7b", mode=Mode.PANEL)
    with pytest.raises(NotServable) as caught:
        await judging(replays).judge(panel, deadline_s=5)
    assert caught.value.reasons == ("up/beta-7b: x",)
    with pytest.raises(NotServable):
        judging(replays).check(panel)
    assert replays.asked == []


async def test_a_judgement_that_is_cancelled_stops_all_its_calls() -> None:
    replays = ScriptedReplays(hangs=True)
    task = asyncio.create_task(judging(replays).judge(case("alpha-7b", "beta-7b", mode=Mode.PANEL), deadline_s=5))
    await replays.is_asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("name", ["auto", "task/mail"])
async def test_a_task_is_no_judge(name: str) -> None:
    with pytest.raises(InvalidField):
        judging(ScriptedReplays()).known(name)


async def test_a_judge_that_there_is_not_is_told_of() -> None:
    with pytest.raises(UnknownModel) as caught:
        judging(ScriptedReplays()).known("alpha-8b")
    assert caught.value.param == "judges"


@pytest.mark.parametrize(
    ("asked", "is_pair", "param"),
    [
        (case("a", "b"), False, "judges"),
        (case("a", mode=Mode.PANEL), False, "judges"),
        (case("a", "a", mode=Mode.PANEL), False, "judges"),
        (case(*"abcdefghij", mode=Mode.PANEL), False, "judges"),
        (case("a", "b", mode=Mode.PANEL, quorum=3), False, "quorum"),
        (case("a", quorum=1), False, "quorum"),
        (case("a", mode=Mode.PAIRWISE), False, "pair"),
        (case("a"), True, "pair"),
        (case("a", mode=Mode.PAIRWISE, rubric=Rubric(dimensions={"tone": ""})), True, "rubric"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_its_field(asked: Any, is_pair: bool, param: str) -> None:  # noqa: FBT001
    with pytest.raises(InvalidField) as caught:
        check(asked.asked, is_pair=is_pair)
    assert caught.value.param == param
