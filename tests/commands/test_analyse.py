import csv
import json

import pytest
import soundfile
from openpyxl import load_workbook

from speechcue_hf.cli import main
from tests import recognizer_runs
from tests.transcription.spoken import RATE, agree, recording
from tests.transcription.tiny_whisper import tiny_whisper


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    return tiny_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def call(tmp_path_factory):
    path = tmp_path_factory.mktemp("call") / "call.wav"
    soundfile.write(path, recording([0.8, -0.3], 2)[0], RATE)
    return path


class Turn:
    def __init__(self, row):
        self.start, self.end = float(row["start"]), float(row["end"])


def analyse(call, whisper, *options):
    return main(["analyse", str(call), "--recognizer", str(whisper), "--language", "en", *map(str, options)])


def test_without_a_model_turns_are_described(call, whisper, tmp_path, capsys):
    assert analyse(call, whisper, "-o", tmp_path / "call.csv") == 0
    with (tmp_path / "call.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert agree([Turn(row) for row in rows], recording([0.8, -0.3], 2)[1])
    assert "emotion" not in rows[0]
    for row in rows:
        assert row["description"].startswith("This turn is spoken")
        assert float(row["duration_s"]) == pytest.approx(float(row["end"]) - float(row["start"]), abs=0.01)
    assert float(rows[2]["overlap_s"]) == pytest.approx(0.3, abs=0.3)
    printed = capsys.readouterr().out
    assert "call channel 1" in printed
    assert f"3 turns written to {tmp_path / 'call.csv'}" in printed


@pytest.fixture(scope="module")
def model(request, tmp_path_factory):
    """A run of each kind."""
    if request.param == "chat":
        described = request.getfixturevalue("described_conversations")
        return recognizer_runs.train_chat(described, tmp_path_factory.mktemp("chat") / "run", prompt="speechcue")
    made = request.getfixturevalue(request.param)
    return made / "runs" / "stage3" if request.param == "speech" else made


@pytest.mark.parametrize("model", ["chat", "encoder", "speech"], indirect=True)
def test_a_model_of_any_kind_tells_emotions(call, model, whisper, tmp_path):
    assert analyse(call, whisper, "--model", model, "-o", tmp_path / "call.jsonl") == 0
    rows = [json.loads(line) for line in (tmp_path / "call.jsonl").read_text(encoding="utf-8").splitlines()]
    for row in rows:
        assert row["emotion"] == max(row["probabilities"], key=row["probabilities"].get)
        assert sum(row["probabilities"].values()) == pytest.approx(1.0)
        assert row["description"]


def test_turns_with_texts_need_no_recognizer(call, tmp_path):
    said = ["start,end,speaker,channel,text", "1.0,3.1,Ann,0,=Hello?", "3.9,6.7,Ben,1,It is me"]
    (tmp_path / "turns.csv").write_text("\n".join(said))
    options = ["--turns", tmp_path / "turns.csv", "-o", tmp_path / "call.xlsx"]
    assert analyse(call, tmp_path / "there is none", *options) == 0
    lines = list(load_workbook(tmp_path / "call.xlsx").active.iter_rows(values_only=True))
    rows = [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]
    assert [(row["speaker"], row["text"], row["start"]) for row in rows] == [
        ("Ann", "=Hello?", 1.0), ("Ben", "It is me", 3.9)
    ]  # fmt: skip


def test_a_table_of_no_known_kind_is_refused_first(call, tmp_path, capsys):
    assert analyse(call, tmp_path / "no model", "-o", tmp_path / "call.doc") == 1
    assert ".csv, .xlsx, .jsonl, .parquet" in capsys.readouterr().err


def test_a_recording_without_speech_says_so(whisper, tmp_path, capsys):
    soundfile.write(tmp_path / "silence.wav", [0.0] * 3 * RATE, RATE)
    assert analyse(tmp_path / "silence.wav", whisper) == 1
    assert "silence.wav: no speech was found" in capsys.readouterr().err
