import json

import pytest
from datasets import Audio, Dataset, Features, Value, concatenate_datasets, load_dataset

from speechcue_hf.cli import main
from speechcue_hf.corpora.parquet import read_dataset
from speechcue_hf.errors import CorpusError
from tests.cues.measure_clips import as_bytes, voice
from tests.killing import killed


@pytest.fixture
def folder(tmp_path):
    features = Features(
        {
            "dialogue_id": Value("string"),
            "utterance_id": Value("string"),
            "turn": Value("int32"),
            "audio": {"path": Value("string"), "bytes": Value("binary")},
            "start": Value("float64"),
            "end": Value("float64"),
        }
    )
    rows = {
        "dialogue_id": ["a"] * 5,
        "utterance_id": [f"u{i}" for i in range(5)],
        "turn": range(5),
        "audio": [as_bytes(voice(100 + 20 * i, 0.3)) for i in range(4)] + [None],
        "start": [float(i) for i in range(5)],
        "end": [i + 1.1 for i in range(5)],
    }
    dataset = Dataset.from_dict(rows, features=features).cast_column("audio", Audio(decode=False))
    dataset.to_parquet(tmp_path / "in" / "train-00000-of-00001.parquet")
    return tmp_path


def measure(folder, output, *options):
    return main(["measure", str(folder / "in"), "-o", str(folder / output), *options])


def test_shards_equal_the_whole(folder):
    assert measure(folder, "whole") == 0
    for shard in range(3):
        assert measure(folder, "parts", "--shard", str(shard), "--num-shards", "3") == 0
    names = sorted(path.name for path in (folder / "parts").glob("*.parquet"))
    assert names == [f"train-0000{shard}-of-00003.parquet" for shard in range(3)]
    whole, parts = read_dataset(folder / "whole")["train"], read_dataset(folder / "parts")["train"]
    assert parts[:] == whole[:]
    assert parts.features == whole.features
    # The shards begin in the middle of a dialogue, and still know the turn before.
    assert whole["turn_latency_s"][1:] == pytest.approx([-0.1] * 4)
    assert "audio" not in whole.column_names


def test_a_finished_shard_is_kept(folder, capsys):
    measure(folder, "out")
    file = folder / "out" / "train-00000-of-00001.parquet"
    before = file.stat().st_mtime_ns
    assert measure(folder, "out") == 0
    assert "kept, it is complete" in capsys.readouterr().out
    assert file.stat().st_mtime_ns == before


def test_a_shard_of_other_utterances_is_measured_again(folder):
    measure(folder, "out")
    source = folder / "in" / "train-00000-of-00001.parquet"
    rows = load_dataset("parquet", data_files=str(source), split="train")
    concatenate_datasets([rows.select([2, 3])]).to_parquet(source)
    measure(folder, "out")
    assert read_dataset(folder / "out")["train"]["utterance_id"][:] == ["u2", "u3"]


def test_settings_are_written_and_not_mixed(folder, capsys):
    assert measure(folder, "paper", "--preset", "speechcuellm", "--groups", "loudness", "pitch") == 0
    written = json.loads((folder / "paper" / "measurement.json").read_text())
    assert (written["preset"], written["groups"]) == ("speechcuellm", ["loudness", "pitch"])
    assert measure(folder, "paper") == 1
    assert "other settings" in capsys.readouterr().err


def test_shards_of_both_engines_mix(folder):
    pytest.importorskip("numba")
    measure(folder, "whole")
    for shard, engine in enumerate(("fast", "praat")):
        assert measure(folder, "parts", "--shard", str(shard), "--num-shards", "2", "--engine", engine) == 0
    whole, parts = (read_dataset(folder / name)["train"] for name in ("whole", "parts"))
    assert parts["f0_mean_hz"][:4] == pytest.approx(whole["f0_mean_hz"][:4], rel=1e-6)
    assert json.loads((folder / "parts" / "measurement.json").read_text())["engine"] == "fast"


def test_what_was_not_measured_is_printed(folder, capsys):
    measure(folder, "out")
    assert "1 x audio missing" in capsys.readouterr().out


def test_wrong_shard(folder, capsys):
    assert measure(folder, "out", "--shard", "2", "--num-shards", "2") == 1
    assert "--shard must be from 0 to 1, got 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    # Train is measured and test is not; all is measured, and one split is in its place.
    [".unfinished/test-00000-of-00001.parquet", "out/train-00000-of-00001.parquet"],
)
def test_a_killed_measurement_is_not_taken_for_a_whole_one_and_goes_on(folder, capsys, name):
    rows = load_dataset("parquet", data_files=str(folder / "in" / "train-00000-of-00001.parquet"), split="train")
    rows.select([0, 1]).to_parquet(folder / "in" / "test-00000-of-00001.parquet")
    killed("os.rename", name, "measure", folder / "in", "-o", folder / "out")
    assert main(["describe", str(folder / "out"), "-o", str(folder / "described")]) == 1
    error = capsys.readouterr().err
    assert "is not complete" in error and f"`speechcue measure {folder}/in -o {folder}/out`" in error
    assert not (folder / "described").exists()
    assert measure(folder, "out") == 0
    assert "train-00000-of-00001.parquet: kept" in capsys.readouterr().out
    assert {split: len(part) for split, part in read_dataset(folder / "out").items()} == {"train": 5, "test": 2}
    assert measure(folder, "whole") == 0
    for path in (folder / "whole").iterdir():
        assert (folder / "out" / path.name).read_bytes() == path.read_bytes()


def test_a_folder_appears_with_its_last_shard(folder, capsys):
    for shard in (2, 0):
        measure(folder, "parts", "--shard", str(shard), "--num-shards", "3")
        assert "appears with the last shard" in capsys.readouterr().out
    with pytest.raises(CorpusError, match=r"train-00001-of-00003.parquet missing.*--shard N --num-shards 3`"):
        read_dataset(folder / "parts")
    measure(folder, "parts", "--shard", "1", "--num-shards", "3")
    assert len(read_dataset(folder / "parts")["train"]) == 5


def test_rows_of_which_none_was_measured_are_said_and_not_described(folder, capsys):
    source = folder / "in" / "train-00000-of-00001.parquet"
    rows = load_dataset("parquet", data_files=str(source), split="train").select([4]).remove_columns(["start", "end"])
    rows.to_parquet(source)
    assert measure(folder, "out") == 0
    assert "No clip was measured" in (said := capsys.readouterr().out) and "Next:" not in said
    assert main(["describe", str(folder / "out"), "-o", str(folder / "described"), "--baseline", "overall"]) == 1
    assert "no clip was measured (1 x audio missing)" in capsys.readouterr().err
