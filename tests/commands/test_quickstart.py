import json

import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from sklearn.metrics import accuracy_score, f1_score

from speechcue_hf.cli import main
from tests.killing import killed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Made where an earlier quickstart was killed."""
    folder = tmp_path_factory.mktemp("quickstart") / "made"
    killed("open", "made/dialogue.png", "quickstart", "-o", folder)
    assert (folder / "data" / "describer.json").is_file()
    (folder / "left.json").write_text("{")
    assert main(["quickstart", "-o", str(folder)]) == 0
    return folder


def test_what_a_killed_quickstart_left_is_cleared(made):
    assert not (made / "left.json").exists() and not (made / ".unfinished").exists()


def test_results_are_those_of_the_predictions(made):
    results = json.loads((made / "results.json").read_text())
    rows = pq.read_table(made / "predictions.parquet").to_pydict()
    assert (results["corpus"]["task"], results["split"], results["n"]) == ("demo-6-erc", "test", 16)
    weighted = f1_score(rows["label"], rows["prediction"], average="weighted", zero_division=0)
    assert results["weighted_f1"] == pytest.approx(weighted)
    assert results["accuracy"] == pytest.approx(accuracy_score(rows["label"], rows["prediction"]))


def test_the_test_utterances_are_those_of_the_demo(made):
    expected = load_dataset("speechcue/demo", split="test")["utterance_id"][:]
    assert pq.read_table(made / "predictions.parquet")["utterance_id"].to_pylist() == expected


def test_the_described_corpus_is_a_dataset_without_audio(made):
    described = load_dataset(str(made / "data"))
    assert {split: len(rows) for split, rows in described.items()} == {"train": 64, "validation": 16, "test": 16}
    assert all(described["train"]["speech_description"]) and "audio" not in described["train"].column_names


@pytest.mark.parametrize("picture", ["confusion_matrix.png", "distributions.png", "dialogue.png"])
def test_pictures_are_png(made, picture):
    assert (made / picture).read_bytes().startswith(b"\x89PNG")


def test_the_card_holds_the_score_and_no_path(made):
    card = (made / "README.md").read_text()
    results = json.loads((made / "results.json").read_text())
    assert f"{100 * results['weighted_f1']:.2f} %" in card
    for file in made.glob("*.json"):
        assert str(made.parent) not in file.read_text(), file.name
    assert str(made.parent) not in card


def test_the_epoch_is_chosen_on_validation(made):
    record = json.loads((made / "training.json").read_text())
    assert "eval_weighted_f1" in record["best"]
    assert record["rows"]["validation"]["all"] == 16 and "test" not in record["rows"]


def test_a_folder_with_files_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("do not touch")
    assert main(["quickstart", "-o", str(tmp_path)]) == 1
    assert "is not empty, it holds thesis.tex" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    # What a killed quickstart left is no licence to clear what somebody else put there.
    (tmp_path / ".unfinished").mkdir()
    (tmp_path / "data").mkdir()
    assert main(["quickstart", "-o", str(tmp_path)]) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [".unfinished", "data", "thesis.tex"]
