import csv
import json

import pytest
import soundfile
from openpyxl import load_workbook

from speechcue_hf.cli import main
from speechcue_hf.models.tiny import build_tiny_model
from tests import recognizer_runs
from tests.inference.label_server import serving
from tests.transcription.spoken import RATE, agree, recording
from tests.transcription.tiny_whisper import tiny_whisper

pytestmark = pytest.mark.slow


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


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A chat model, its tokenizer, and the folder of both."""
    folder = tmp_path_factory.mktemp("tiny")
    model, tokenizer = build_tiny_model(["Which emotion? angry happy neutral"], vocabulary=300)
    for part in (model, tokenizer):
        part.save_pretrained(folder)
    return model, tokenizer, folder


def test_a_chat_model_behind_a_server_tells_what_it_tells_here(call, tiny, tmp_path, capsys):
    *parts, folder = tiny
    (tmp_path / "turns.csv").write_text(
        "start,end,speaker,channel,text\n1.0,3.1,Ann,0,Hello?\n3.9,6.7,Ben,1,It is me\n"
    )
    line = ["--turns", tmp_path / "turns.csv", "--labels", "angry", "happy", "neutral"]
    assert analyse(call, "no recognizer", *line, "--model", folder, "-o", tmp_path / "here.jsonl") == 0
    with serving(*parts, ["prompt_logprobs"]) as server:
        asked = ["--server", server.base_url, "--model", "tiny", "--tokenizer", folder]
        for _ in range(2):
            assert analyse(call, "no recognizer", *line, *asked, "-o", tmp_path / "there.jsonl") == 0
        # One counted tokens; of the second run nothing is asked.
        assert len(server.bodies) == 3
    here, there = (
        [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]
        for name in ("here", "there")
    )
    for one, other in zip(here, there, strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-3)
        assert {**one, "probabilities": None} == {**other, "probabilities": None}
        assert one["description"] and sum(one["probabilities"].values()) == pytest.approx(1)
    assert "2 turns written" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--server", "http://localhost:1/v1", "--model", "tiny"], "--labels is missing"),
        (["--server", "http://localhost:1/v1", "--labels", "meld"], "--model is missing"),
        (["--labels", "happy", "sad"], "--model is missing"),
    ],
)
def test_what_a_chat_model_lacks_is_said_before_anything_is_heard(call, options, said, capsys):
    assert analyse(call, "no recognizer", *options) == 1
    assert said in capsys.readouterr().err


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


def test_a_recording_that_is_not_there_is_said_before_anything_is_loaded(tmp_path, capsys):
    assert analyse(tmp_path / "missing.wav", "no recognizer") == 1
    assert "missing.wav is no file" in capsys.readouterr().err
