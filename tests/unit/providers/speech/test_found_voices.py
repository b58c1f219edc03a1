"""Which voices are found, without loading any engine."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from junto.providers.speech import hibari, piper

if TYPE_CHECKING:
    from pathlib import Path


def described(folder: Path, name: str, **fields: object) -> None:
    (folder / f"{name}.onnx").write_bytes(b"weights")
    (folder / f"{name}.onnx.json").write_text(json.dumps({"audio": {"sample_rate": 22050}, **fields}), "utf-8")


def test_a_voice_of_piper_is_a_model_with_its_description(tmp_path: Path) -> None:
    described(tmp_path, "de_DE-thorsten-low", language={"code": "de_DE"}, inference={"length_scale": 1.1})
    described(tmp_path, "plain")
    (tmp_path / "other.onnx").write_bytes(b"of something else")
    models = piper.read_models([tmp_path])
    assert list(models) == ["de_DE-thorsten-low", "plain"]
    german = models["de_DE-thorsten-low"]
    assert (german.voice.language, german.voice.sample_rate, german.length_scale) == ("de-DE", 22050, 1.1)


def test_a_description_that_cannot_be_read_hides_only_its_own_voice(tmp_path: Path) -> None:
    described(tmp_path, "good")
    (tmp_path / "bad.onnx").write_bytes(b"weights")
    (tmp_path / "bad.onnx.json").write_text("{", "utf-8")
    assert list(piper.read_models([tmp_path, tmp_path / "missing"])) == ["good"]


def test_of_two_voices_of_one_name_the_first_folder_has_it(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        described(folder, "anna")
    assert piper.read_models([first, second])["anna"].path.parent == first


def test_hibari_has_the_voice_of_its_wheel_and_those_that_lie_in_the_folder(tmp_path: Path) -> None:
    found = hibari.find()
    assert found is not None
    assert [voice.name for voice in found.voices] == ["heart"]
    (tmp_path / "bf_emma.int8.onnx").write_bytes(b"weights")
    more = hibari.find(tmp_path)
    assert more is not None
    assert [(voice.name, voice.language) for voice in more.voices] == [("heart", "en-US"), ("emma", "en-GB")]


def test_finding_voices_loads_no_engine() -> None:
    script = (
        "import sys; from junto.providers.speech import hibari, piper; from junto.speech import encoding; "
        "hibari.find(); piper.find(); encoding.formats(); "
        "print([name for name in ('hibari', 'piper', 'flask', 'numpy', 'onnxruntime', 'lameenc') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.strip() == "[]"
