"""What is scored and judged: a job, an exchange or a shadow with its answer, read the same way whatever it is.

Values and the Protocol of the reader. Whoever asks says whose it is (`Subject.tenant_id`), or is the operator; who may ask is
evals/scoring.py's to decide.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class SubjectKind(StrEnum):
    """What kinds of answers there are."""

    JOB = "job"
    EXCHANGE = "exchange"
    SHADOW = "shadow"


class Kind(StrEnum):
    """Whether a caller got the answer."""

    PRODUCTION = "production"
    SHADOW = "shadow"


class Subject(msgspec.Struct, frozen=True):
    """One answer, by its tenant, its kind and its id."""

    tenant_id: str
    kind: SubjectKind
    id: str


class Said(msgspec.Struct, frozen=True):
    """One turn in plain words; `role` is system, user, assistant or tool."""

    role: str
    text: str


class SubjectFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a subject. `model` is the one that answered, `client_id` whose it is ("" is nobody's in the database).

    `answered`: it ended with an answer. `messages` and `answer` are there where texts were asked for and are kept and readable
    (`has_text`); `is_plain` says that they are all there is: no pictures, no tools. `source` is what a shadow is a shadow of; `job_id` the job that an exchange
    was made for: that one is scored in its place.
    """

    subject: Subject
    task_type: str
    model: str
    client_id: str
    sensitivity: str
    started_ms: int
    answered: bool
    backend: str = ""
    prompt_version: str = ""
    source: Subject | None = None
    job_id: str = ""
    has_text: bool = False
    is_plain: bool = True
    messages: tuple[Said, ...] = ()
    answer: str = ""

    @property
    def kind(self) -> Kind:
        """Whether a caller got the answer."""
        return kind_of(self.subject.kind)

    @property
    def prompt(self) -> str:
        """What was asked, for people and judges: a single user's text as it is, several turns each after its role."""
        if len(self.messages) == 1:
            return self.messages[0].text
        return "\n\n".join(f"[{said.role}]\n{said.text}" for said in self.messages)


def kind_of(kind: SubjectKind) -> Kind:
    """Whether a caller got answers of that kind."""
    return Kind.SHADOW if kind is SubjectKind.SHADOW else Kind.PRODUCTION


class SubjectStore(Protocol):
    """Reads subjects. All raise core.errors.Overloaded while the database is away."""

    async def find(self, subject: Subject, *, texts: bool = True) -> SubjectFacts | None:
        """The subject within its tenant; None where that has none such. Without `texts` no body is read."""

    async def find_anywhere(self, kind: SubjectKind, subject_id: str, *, texts: bool = True) -> SubjectFacts | None:
        """The subject of whatever tenant: for the operator."""

    async def find_many(self, subjects: Sequence[Subject], *, texts: bool = True) -> Mapping[Subject, SubjectFacts]:
        """Those of them that are there, in a few reads: for the operator, for at most some hundreds at a time."""
