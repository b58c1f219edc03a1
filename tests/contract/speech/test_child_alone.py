"""hibari's child on its own: what it may not do, and what it makes of nonsense."""

from __future__ import annotations

import subprocess
import sys

import pytest

_TRY = (
    "import sys; from junto.providers.speech.hibari_child import _refuse; sys.addaudithook(_refuse)\n"
    "try:\n    {deed}\nexcept PermissionError:\n    print('refused')\n"
)
_DEEDS = [
    "import socket; socket.create_connection(('127.0.0.1', 9))",
    "import socket; socket.getaddrinfo('localhost', 80)",
    "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))",
    "import subprocess; subprocess.run(['true'])",
    "import os; os.system('true')",
]


@pytest.mark.parametrize("deed", _DEEDS)
def test_it_reaches_nobody_and_starts_nothing(deed: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _TRY.format(deed=deed)], capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.strip() == "refused"


def test_it_ends_when_its_input_ends() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "junto.providers.speech.hibari_child"],
        input=b"",
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert ran.stdout == b""


def test_nonsense_ends_it_with_an_error() -> None:
    child = [sys.executable, "-m", "junto.providers.speech.hibari_child"]
    with subprocess.Popen(child, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdin is not None
        process.stdin.write(b"no JSON\n")
        process.stdin.flush()
        assert process.wait(60) != 0
