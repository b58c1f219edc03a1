"""docs/webhooks.md: the snippet for receivers believes what Junto signs, and its vectors are right."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from junto.core.secret import Secret
from junto.jobs.signing import signature, signed_headers

TEXT = (Path(__file__).parents[3] / "docs" / "webhooks.md").read_text("utf-8")


def snippet() -> Any:
    [code] = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, "docs/webhooks.md", "exec"), names)
    return names["is_from_junto"]


def test_the_snippet_believes_what_was_signed_and_nothing_else() -> None:
    is_from_junto = snippet()
    body, now = b'{"job_id":"job_1"}', int(time.time())
    headers = dict(signed_headers(Secret("whsec_x"), event_id="evt_1", timestamp=now, body=body))
    assert is_from_junto("whsec_x", headers, body)
    assert not is_from_junto("whsec_y", headers, body)
    assert not is_from_junto("whsec_x", headers, body + b" ")
    old = dict(signed_headers(Secret("whsec_x"), event_id="evt_1", timestamp=now - 400, body=body))
    assert not is_from_junto("whsec_x", old, body)
    assert not is_from_junto("whsec_x", {}, body)


def test_the_vectors_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\d+)` \| (?:`(.+?)`|\(empty\)) \| `(v1=\w+)` \|$", TEXT, re.MULTILINE)
    assert len(rows) == 2
    for key, timestamp, body, expected in rows:
        assert signature(Secret(key), int(timestamp), body.encode()) == expected
