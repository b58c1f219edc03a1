"""What a prompt template is: plain text, whose it is, and which version of it. Values and checks, nothing is looked up here."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from junto.core.errors import InvalidField

LONGEST: Final = 65_536  # bytes of a template as UTF-8


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """A template as requests get it. `label` names it for people: `shared:email_classification@3`, `cli_1:bio@2`."""

    body: str
    label: str
    git_hash: str = ""

    @property
    def recorded(self) -> str:
        """What is written down with a request: the label, and the blob that git knows the file by when it came from one."""
        return f"{self.label}#{self.git_hash}" if self.git_hash else self.label


def check_body(body: str) -> str:
    """The text if it may be a template; raises InvalidField."""
    if not body.strip():
        raise InvalidField("A prompt template has words in it.", param="body")
    if "\0" in body:
        raise InvalidField("A prompt template is text: it has a NUL in it.", param="body")
    if len(body) > LONGEST or len(body.encode("utf-8", "surrogatepass")) > LONGEST:
        raise InvalidField(f"A prompt template has {LONGEST} bytes at most.", param="body")
    return body


def blob_hash(data: bytes) -> str:
    """What git calls a file with these bytes (`git hash-object`): it names a version, and secures nothing."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def label_of(client_id: str, task_type: str, version: int) -> str:
    """How a version of a template is named."""
    return f"{client_id or 'shared'}:{task_type}@{version}"
