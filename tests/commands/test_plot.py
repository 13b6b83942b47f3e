from pathlib import Path

import pytest
from datasets import Audio, Dataset, DatasetDict
from matplotlib.image import imread

from speechcue_hf.cli import main
from speechcue_hf.corpora.parquet import write_dataset
from speechcue_hf.cues.describe import SpeechDescriber, describe_dataset
from speechcue_hf.cues.measure import measure_speech
from speechcue_hf.cues.settings import MeasurementSettings
from tests.cues.test_describe import rows

CLIPS = sorted((Path(__file__).parents[2] / "speechcue_hf/corpora/demo_data/audio").glob("*.ogg"))[:3]


@pytest.fixture
def folders(tmp_path):
    """A described folder without audio, and one with three clips in dialogue d0."""
    describer = SpeechDescriber.fit(rows(), settings=MeasurementSettings(), baseline="running")
    described = describe_dataset(rows(16, utterance_id=[f"u{i}" for i in range(16)]), describer)
    write_dataset(DatasetDict(train=described), tmp_path / "described")
    describer.save_pretrained(tmp_path / "described")
    heard = rows(3).select_columns(["dialogue_id", "turn", "speaker", "gender"])
    heard = heard.add_column("utterance_id", ["u0", "u1", "u2"])
    heard = heard.add_column("audio", [{"path": str(clip), "bytes": None} for clip in CLIPS])
    write_dataset(DatasetDict(test=heard.cast_column("audio", Audio(decode=False))), tmp_path / "heard")
    return tmp_path


def drawn(folder: Path, *arguments: str) -> int:
    """Height of the picture in pixels."""
    assert main(["plot", *arguments, "-o", str(folder / "picture.png")]) == 0
    return imread(folder / "picture.png").shape[0]


def test_clip(folders, capsys):
    plain = drawn(folders, str(CLIPS[0]))
    worded = drawn(folders, str(CLIPS[0]), "--describer", str(folders / "described"))
    assert worded > plain
    assert f"shows 1 turn of {CLIPS[0].name}" in capsys.readouterr().out


def test_folder(folders, capsys):
    describer = ["--describer", str(folders / "described")]
    levels_only = drawn(folders, str(folders / "described"), "--dialogue", "d1")
    assert "shows 8 turns of d1" in capsys.readouterr().out
    heard = drawn(folders, str(folders / "heard"), "--dialogue", "d0", *describer)
    assert "shows 3 turns of d0" in capsys.readouterr().out
    assert heard > levels_only
    drawn(folders, str(folders / "heard"), "--utterance", "u2", *describer)
    assert "shows 1 turn of u2" in capsys.readouterr().out


def test_describe_clip_measures_as_the_training_clips_were(folders):
    describer = SpeechDescriber.from_pretrained(folders / "described")
    described = describer.describe_clip(CLIPS[0], gender="female")
    measured = measure_speech({"audio": {"path": str(CLIPS[0]), "bytes": None}}, MeasurementSettings())
    assert {column: described[column] for column in measured} == measured
    gender = describer.groups["gender: female"].cues["articulation_rate_per_s"]
    expected = (measured["articulation_rate_per_s"] - gender.mean) / gender.sd
    assert described["articulation_rate_per_s_z"] == pytest.approx(expected)
    assert described["speech_description"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["heard"], "--dialogue ID or --utterance ID"),
        (["heard", "--dialogue", "d9"], "no row with dialogue_id 'd9'"),
        (["missing.wav"], "missing.wav"),
        (["other", "--dialogue", "d0"], "other has no column dialogue_id"),
        (["heard/none.wav", "--dialogue", "d0"], "no dataset folder"),
    ],
)
def test_errors(folders, capsys, arguments, message):
    write_dataset(DatasetDict(train=Dataset.from_dict({"words": ["hello"]})), folders / "other")
    assert main(["plot", str(folders / arguments[0]), *arguments[1:], "-o", str(folders / "a.png")]) == 1
    assert message in capsys.readouterr().err
