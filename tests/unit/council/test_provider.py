"""A sitting from its question to its last event, with members that act by a script."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from junto.bootstrap.clock import SystemClock
from junto.core.chat import ChatRequest, Format, Message, Role, Sampling, Text
from junto.core.completion import Folder
from junto.core.errors import AllBackendsDown, BudgetExceeded, InvalidField, NotServable, Unsupported, UpstreamFailure
from junto.core.events import Event, Finish, FinishReason, Progress, TextDelta
from junto.core.sensitivity import Locality, Sensitivity
from junto.council.book import TemplateBook
from junto.council.provider import CouncilProvider, CouncilReply
from junto.council.telling import ANEW
from junto.council.template import parse_template
from junto.dialects import openai
from junto.gateway import egress
from junto.ports.provider import Call, Deadlines
from junto.routing.facts import COUNCIL, BackendLive, DeploymentFacts, Live
from tests.unit.council.acting import ANSWER_NANO, ANSWER_USAGE, Act, Troupe

if TYPE_CHECKING:
    from collections.abc import Callable

    from junto.ports.observer import CouncilEnded

pytestmark = pytest.mark.anyio

THREE: dict[str, Any] = {
    "members": [{"name": name, "persona": f"You are {name}.", "model": name.lower()} for name in ("Ann", "Bob", "Cid")],
    "chair": {"name": "Chair", "model": "chair"},
    "deadline_s": 30,
}
OF_FOUR = ANSWER_USAGE.plus(ANSWER_USAGE).plus(ANSWER_USAGE).plus(ANSWER_USAGE)
QUESTION = (Message(Role.USER, (Text("Tea or coffee?"),)),)


class Figures:
    """Collects what is observed."""

    def __init__(self) -> None:
        self.seen: list[CouncilEnded] = []

    def council_ended(self, council: CouncilEnded) -> None:
        self.seen.append(council)


class House:
    """A provider with one template, and what its council says."""

    def __init__(self, template: dict[str, Any] | None = None, *, quiet: float = 10.0, **troupe: Any) -> None:
        self.troupe = Troupe(**troupe)
        self.figures = Figures()
        book = TemplateBook.of([parse_template({**THREE, **(template or {})}, "three")])
        self.provider = CouncilProvider(lambda: book, clock=SystemClock(), observer=lambda: self.figures, quiet=quiet)

    async def open(self, name: str = "three", **request: Any) -> CouncilReply:
        asked = ChatRequest(model=f"council/{name}", messages=QUESTION, **request)
        facts = DeploymentFacts(
            backend=COUNCIL, model=f"council/{name}", upstream_model=name, provider=COUNCIL, locality=Locality.LOCAL,
            live=Live(), backend_live=BackendLive(),
        )  # fmt: skip
        clearance = egress.clear(Sensitivity.INTERNAL, facts, allow_cloud_for_internal=False)
        call = Call(
            wire=openai.CHAT, body=b"{}", request=lambda: asked, model=name, stream=True, wants_usage=True,
            deadlines=Deadlines(), parts=self.troupe,
        )  # fmt: skip
        return await self.provider.open(clearance, call)

    async def hear(self, **request: Any) -> list[Event]:
        """Every event of a whole sitting."""
        return await events_of(await self.open(**request))


async def events_of(reply: CouncilReply) -> list[Event]:
    heard: list[Event] = []
    while events := await reply.events():
        heard += events
    return heard


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop turn until it does."""
    for _ in range(100):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to that")


def told(events: list[Event]) -> list[dict[str, Any]]:
    """The fields for programs, in order."""
    return [event.data["council"] for event in events if isinstance(event, Progress)]


def words(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def report(events: list[Event]) -> dict[str, Any]:
    last = events[-1]
    assert isinstance(last, Finish)
    council: dict[str, Any] = last.beside["council"]
    return council


async def test_members_speak_and_the_chair_s_words_are_the_answer() -> None:
    """Everything before them is progress, in the order in which it happens."""
    house = House(acts={"chair": [Act(("Both ", "are good."))]})
    events = await house.hear()
    assert words(events) == "Both are good."
    assert [one["event"] for one in told(events)] == ["convened", "round", "said", "said", "said", "synthesis"]
    assert report(events)["degraded"] is False
    assert report(events)["cost_usd"] == "0.000000028"
    assert events[-1] == Finish(FinishReason.STOP, OF_FOUR, beside={"council": report(events)})


async def test_a_member_that_fails_is_named_and_the_others_go_on() -> None:
    house = House(acts={"bob": [Act(refuses=AllBackendsDown("All providers unavailable"))], "chair": [Act(("Tea.",))]})
    events = await house.hear()
    missed = next(one for one in told(events) if one["event"] == "missed")
    assert (missed["name"], missed["reason"]) == ("Bob", "All providers unavailable")
    assert words(events) == "Tea."
    assert report(events)["degraded"] is True
    assert [one["status"] for one in report(events)["members"]] == ["ok", "failed", "ok"]
    assert report(events)["quorum"] == {"needed": 2, "heard": 2, "met": True}


async def test_a_member_that_breaks_off_counts_as_failed_and_what_it_used_is_counted() -> None:
    house = House(acts={"bob": [Act(("I th",), breaks=True)]})
    events = await house.hear()
    bob = next(one for one in report(events)["members"] if one["name"] == "Bob")
    assert (bob["status"], bob["opinion"]) == ("failed", None)
    assert bob["usage"]["total_tokens"] == ANSWER_USAGE.total


async def test_a_late_member_is_let_go_of_when_the_round_s_time_is_over() -> None:
    house = House({"deadline_s": 1}, acts={"cid": [Act(hangs=True)], "chair": [Act(("Tea.",))]}, quiet=0.1)
    events = await house.hear()
    assert [one["status"] for one in report(events)["members"]] == ["ok", "ok", "late"]
    assert words(events) == "Tea."
    assert all(part.closed for part in house.troupe.parts)
    assert {"event": "waiting", "names": ["Cid"]}.items() <= next(
        one for one in told(events) if one["event"] == "waiting"
    ).items()


async def test_one_survivor_s_answer_is_returned_and_flagged_with_nobody_asked_to_put_together() -> None:
    away = Act(refuses=AllBackendsDown("away"))
    house = House(acts={"ann": [away], "bob": [away], "cid": [Act(("Coffee.",))]})
    events = await house.hear()
    assert words(events) == "Coffee."
    assert (report(events)["kind"], report(events)["degraded"]) == ("single", True)
    assert [ask.request.model for ask in house.troupe.asked] == ["ann", "bob", "cid"]
    assert told(events)[-1]["event"] == "note"


async def test_nobody_answering_is_a_failure_with_every_reason() -> None:
    away = Act(refuses=AllBackendsDown("away"))
    house = House(acts={name: [away] for name in ("ann", "bob", "cid")})
    with pytest.raises(UpstreamFailure) as failed:
        await house.hear()
    assert isinstance(failed.value.refusal, AllBackendsDown)
    assert [reason.split(" ")[0] for reason in failed.value.refusal.reasons] == ["Ann", "Bob", "Cid"]


async def test_where_the_chair_fails_the_next_able_model_writes() -> None:
    house = House(acts={"chair": [Act(refuses=AllBackendsDown("away"))], "ann": [Act(("Tea.",)), Act(("All said.",))]})
    events = await house.hear()
    assert words(events) == "All said."
    assert report(events)["chair"]["failed"][0]["model"] == "chair"
    assert report(events)["degraded"] is True


async def test_a_chair_that_breaks_off_in_the_middle_is_told_before_another_one_begins_anew() -> None:
    house = House(acts={"chair": [Act(("On the one",), breaks=True)], "ann": [Act(("Tea.",)), Act(("All said.",))]})
    assert words(await house.hear()) == f"On the one{ANEW}All said."


async def test_an_answer_with_a_form_is_whole_before_any_of_it_is_told() -> None:
    """Half a JSON object followed by another one would be none."""
    acts = {"chair": [Act(('{"ans',), breaks=True)], "ann": [Act(("Tea.",)), Act(('{"answer":1}',))]}
    house = House(acts=acts)
    assert words(await house.hear(format=Format("json"))) == '{"answer":1}'


async def test_when_every_chair_fails_an_opinion_is_the_answer_and_flagged() -> None:
    away = Act(refuses=AllBackendsDown("away"))
    acts = {"chair": [away], **{name: [Act((f"{name} says",)), away] for name in ("ann", "bob", "cid")}}
    events = await House(acts=acts).hear()
    assert (words(events), report(events)["kind"]) == ("ann says", "best")


async def test_members_that_may_not_be_asked_are_left_out_before_any_call() -> None:
    house = House(unable={"bob": NotServable("No deployment may see confidential content.")})
    events = await house.hear()
    assert [ask.request.model for ask in house.troupe.asked] == ["ann", "cid", "chair"]
    assert next(one for one in report(events)["members"] if one["name"] == "Bob")["status"] == "left_out"


async def test_too_few_able_members_are_refused_with_the_reasons_and_nobody_is_asked() -> None:
    no = NotServable("No deployment may see confidential content.")
    house = House(unable={"bob": no, "cid": no})
    with pytest.raises(NotServable) as refused:
        await house.open()
    assert "Bob: No deployment may see confidential content." in refused.value.reasons
    assert (house.troupe.asked, house.troupe.reserved) == ([], [])


async def test_the_whole_is_reserved_before_the_first_call() -> None:
    """Three opinions and a synthesis; a council that cannot be paid asks nobody."""
    house = House()
    await house.hear()
    assert house.troupe.reserved == [(400, 200)]
    poor = House(refuses_to_reserve=BudgetExceeded("no room"))
    with pytest.raises(BudgetExceeded):
        await poor.open()
    assert poor.troupe.asked == []


async def test_others_have_their_turn_while_a_great_council_is_foreseen() -> None:
    """Its prompts may have megabytes; between any two of them the loop goes on."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    try:
        await House({"rounds": 5}).open()
    finally:
        task.cancel()
    assert turns >= 3 * 5


async def test_the_template_s_own_budget_ends_what_it_has_no_room_for() -> None:
    """Members first, as long as there is room; what is reserved is never more than it."""
    house = House({"budget_usd": 0.00000025})
    events = await house.hear()
    assert house.troupe.reserved == [(250, 200)]
    assert next(one["reason"] for one in told(events) if one["event"] == "missed") == "the council's budget is used up"
    assert house.troupe.nano <= 250


async def test_closing_cancels_every_member() -> None:
    house = House(acts={name: [Act(hangs=True)] for name in ("ann", "bob", "cid")})
    reply = await house.open()
    await reply.events()
    await until(lambda: len(house.troupe.parts) == len(THREE["members"]))
    reply.close()
    await until(lambda: all(part.closed for part in house.troupe.parts))
    assert await reply.events() == ()
    assert house.figures.seen == []


async def test_a_caller_that_closes_before_reading_has_asked_nobody() -> None:
    house = House()
    (await house.open()).close()
    assert house.troupe.asked == []


async def test_a_whole_answer_has_the_opinions_as_its_reasoning_and_the_report_beside_it() -> None:
    house = House(acts={"chair": [Act(("Both.",))]})
    whole = await (await house.open()).whole()
    assert whole.text == "Both."
    assert "### Ann (ann)" in whole.thinking
    assert whole.usage == OF_FOUR
    assert whole.beside["council"]["template"] == "three"


async def test_an_answer_cut_at_its_most_tokens_says_so() -> None:
    house = House(acts={"chair": [Act(("Bo",), reason=FinishReason.LENGTH)]})
    folder = Folder()
    for event in await house.hear(sampling=Sampling(max_tokens=1)):
        folder.add(event)
    assert folder.completion().reason is FinishReason.LENGTH
    assert house.troupe.asked[-1].request.sampling.max_tokens == 1


async def test_a_chair_without_a_model_of_its_own_gets_the_caller_s_too() -> None:
    """Under the caller's own list of models, as the members that do."""
    house = House({"chair": {"name": "Chair"}, "model": "usual"})
    await house.hear(extras={"model": "mine"})
    assert (house.troupe.asked[-1].request.model, house.troupe.asked[-1].by_caller) == ("mine", True)


async def test_a_caller_may_choose_members_rounds_and_the_members_model() -> None:
    house = House({"members": [*THREE["members"][:2], {"name": "Dan", "persona": "You are Dan."}], "model": "usual"})
    await house.hear(extras={"members": ["Ann", "Dan"], "rounds": 2, "model": "mine"})
    asked = [(ask.request.model, ask.by_caller) for ask in house.troupe.asked]
    assert asked == [("ann", False), ("mine", True), ("ann", False), ("mine", True), ("chair", False)]


@pytest.mark.parametrize("wrong", [{"model": "council/debate"}, {"model": 3}, {"rounds": 99}, {"members": ["Nobody"]}])
async def test_what_a_caller_may_not_choose_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidField):
        await House().open(extras=wrong)


async def test_without_a_way_to_ask_there_is_no_council() -> None:
    """A part of a council cannot convene another one."""
    house = House()
    house.troupe = None  # type: ignore[assignment]
    with pytest.raises(Unsupported):
        await house.open()


async def test_what_a_sitting_came_to_is_observed_once() -> None:
    house = House(acts={"bob": [Act(breaks=True)]})
    await house.hear()
    await asyncio.sleep(0)
    [seen] = house.figures.seen
    assert (seen.template, seen.kind, seen.degraded, seen.members, seen.missing) == ("three", "synthesis", True, 3, 1)
    assert (seen.tokens, seen.cost_nano) == (4 * ANSWER_USAGE.total, 4 * ANSWER_NANO)


async def test_the_caller_s_deadline_bounds_the_sitting() -> None:
    """Its own is longer: the members get what the caller's leaves."""
    house = House(acts={name: [Act(hangs=True)] for name in ("ann", "bob", "cid")}, seconds_left=0.2)
    with pytest.raises(UpstreamFailure) as failed:
        await house.hear()
    assert failed.value.refusal is not None
    assert failed.value.refusal.code == "deadline_passed"


def test_reports_are_plain_json() -> None:
    """So that any dialect can carry them."""

    async def hear() -> list[Event]:
        return await House({"ranking": {}, "rounds": 2}).hear()

    assert msgspec.json.encode(report(asyncio.run(hear())))


@pytest.mark.parametrize(("window", "briefly"), [(None, False), (4_096, True), (8_192, False)])
async def test_models_with_a_narrow_window_are_asked_in_few_words(window: int | None, briefly: bool) -> None:  # noqa: FBT001
    """Everybody in a council on such a model; where the window is not known, nobody."""
    house = House(window=window)
    await house.hear()
    for ask in house.troupe.asked:
        assert ("<<<QUESTION" in ask.request.messages[1].text) is not briefly
        assert ((ask.request.sampling.max_tokens or 0) <= 300) is briefly
