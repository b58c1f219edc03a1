"""A workshop without a database: rows in memory, records in a list, files in a folder."""

from __future__ import annotations

from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import msgspec

from junto.core.errors import Overloaded
from junto.core.sensitivity import Sensitivity
from junto.identity.principal import Principal
from junto.ports.jobs import Kind
from junto.speech.attempt import SpeechAttempt, Workshop
from junto.speech.files import OutputFiles
from junto.speech.recording import SpeechRecords
from junto.speech.speaker import SpeechService
from junto.speech.voices import Voices
from tests.unit.jobs.claims import a_claim

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from junto.core.exchange import ExchangeRecord
    from junto.ports.jobs import Claim
    from junto.ports.observer import SpeechEnded
    from junto.ports.outputs import Output
    from junto.speech.order import Order
    from tests.unit.speech.tones import Tones


class Clock:
    """Stands still, but for what a test says."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now

    def wall_ms(self) -> int:
        return int(self.now * 1000)


class Rows:
    """Implements ports.outputs.OutputStore. `stale` turns writes away; `away` so many raise, after they happened."""

    def __init__(self) -> None:
        self.kept: dict[str, Output] = {}
        self.stale = False
        self.away = 0

    async def add(self, claim: Claim, output: Output) -> bool:
        if self.stale:
            return False
        self.kept.setdefault(output.id, output)
        if self.away:
            self.away -= 1
            raise Overloaded("away")
        return True

    async def of_job(self, tenant_id: str, job_id: str) -> Sequence[Output]:
        return [one for one in self.kept.values() if (one.tenant_id, one.job_id) == (tenant_id, job_id)]

    async def find(self, name: str, tenant_id: str | None) -> Output | None:
        found = self.kept.get(name)
        return found if found is None or tenant_id in {None, found.tenant_id} else None

    async def known(self, job_ids: Collection[str]) -> Collection[tuple[str, str]]:
        return {one.file for one in self.kept.values() if one.job_id in job_ids}

    async def delete_old(self, *, older_ms: int, limit: int = 500) -> int:
        return 0


class Journal:
    """Implements ports.stores.Recorder, as an observer too."""

    has_room = True
    has_room_for_bodies = True

    def __init__(self) -> None:
        self.records: list[ExchangeRecord] = []
        self.speech: list[SpeechEnded] = []

    def append(self, record: ExchangeRecord) -> None:
        self.records.append(record)

    def add(self, record: ExchangeRecord) -> None:
        raise AssertionError("speech is written down at once")

    def commit(self) -> None: ...

    def exchange_ended(self, record: ExchangeRecord) -> None: ...

    def attempt_ended(self, **_: Any) -> None: ...

    def breaker_changed(self, **_: Any) -> None: ...

    def speech_ended(self, speech: SpeechEnded) -> None:
        self.speech.append(speech)


class Shop:
    """The parts, and an attempt with them."""

    def __init__(self, folder: Path, engine: Tones) -> None:
        self.rows, self.journal, self.clock, self.engine = Rows(), Journal(), Clock(), engine
        self.folder = folder
        self.records = SpeechRecords(
            self.journal,
            self.journal,
            self.journal,
            clock=self.clock,
            keep_of=lambda tier: "metadata" if tier == "confidential" else "full",
        )
        self.voices, self.files = Voices([engine]), OutputFiles(folder, make_suffix=partial(token_hex, 4))
        self.parts = Workshop(
            voices=self.voices,
            files=self.files,
            outputs=self.rows,
            records=self.records,
            clock=self.clock,
            again=0.001,
        )
        self.steps = 0

    def attempt(self, order: Order, *, fence: int = 1) -> SpeechAttempt:
        claim = a_claim(fence=fence)
        claim = msgspec.structs.replace(claim, job=msgspec.structs.replace(claim.job, kind=Kind.SPEECH, local=False))

        async def stepped() -> None:
            self.steps += 1

        return SpeechAttempt(self.parts, claim, order, Principal(client="one", client_id="cli_1"), "req_1", stepped)

    def service(self, *, most: int = 1000) -> SpeechService:
        return SpeechService(
            self.voices,
            self.records,
            clock=self.clock,
            usual=lambda: "",
            most=lambda: most,
            default_tier=lambda: Sensitivity.INTERNAL,
        )

    @property
    def names(self) -> set[str]:
        """All files there are."""
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}
