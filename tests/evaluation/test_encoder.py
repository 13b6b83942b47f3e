"""``speechcue evaluate``, ``compare`` and ``card`` on encoder classifiers, as users call them."""

import json
import runpy
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, load_dataset

from speechcue_hf.cli import main
from speechcue_hf.corpora.parquet import read_dataset, write_dataset
from speechcue_hf.cues.describe import SpeechDescriber
from speechcue_hf.cues.settings import MeasurementSettings
from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.evaluate import evaluate
from speechcue_hf.inference.loading import load_classifier
from speechcue_hf.models.bioserc.dialogues import collate, dialogue_examples
from speechcue_hf.models.loading import load_encoder
from speechcue_hf.provenance import Provenance
from speechcue_hf.training.arguments import DataSettings, EncoderSettings, EncoderTraining
from speechcue_hf.training.recipes import Recipe, train_recipe
from tests.models.bioserc.tiny_encoders import save_tiny_encoder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dataset_folder(all_splits: DatasetDict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows with a z-score, one of them unlabelled, one not measured."""
    folder = tmp_path_factory.mktemp("dataset") / "described"

    def measure(row: dict[str, Any]) -> dict[str, float | None]:
        first = row["utterance_id"].endswith("0_1")
        return {"f0_mean_hz_z": None if first else row["turn"] - 1.5, "emotion": None if first else row["emotion"]}

    write_dataset(DatasetDict(all_splits).map(measure, features=None), folder)
    return folder


@pytest.fixture(scope="module")
def runs(dataset_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs ``text`` and ``cues``, each with its results; not to be changed."""
    folder = tmp_path_factory.mktemp("runs")
    encoder = save_tiny_encoder("bert", folder / "encoder")
    for name, cues in (("text", "none"), ("cues", "z_scores")):
        shape = EncoderSettings(encoder=str(encoder), num_attention_heads=4, frozen_layers=2, cues=cues)
        training = EncoderTraining(
            output_dir=str(folder / name), num_train_epochs=1, learning_rate=1e-2, disable_tqdm=True
        )
        train_recipe(Recipe("encoder", DataSettings(dataset=str(dataset_folder)), shape, training))
        shutil.rmtree(next((folder / name).glob("checkpoint-*")))
        line = ["evaluate", "--dataset", str(dataset_folder), "--model", str(folder / name), "-o", str(folder / name)]
        assert main(line) == 0
    return folder


def test_predictions_are_the_softmax_of_the_logits(runs: Path, dataset_folder: Path) -> None:
    rows = read_dataset(dataset_folder)["test"]
    model, tokenizer = load_encoder(runs / "cues")
    batch = collate(list(dialogue_examples(rows, tokenizer, model.config, model.token_limit)))
    with torch.inference_mode():
        logits = model(**batch).logits.flatten(0, 1).double().numpy()
    labelled = [row for row, emotion in enumerate(rows["emotion"]) if emotion is not None]
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    table = load_dataset("parquet", data_files=str(runs / "cues" / "predictions.parquet"), split="train")
    assert table["utterance_id"] == [rows["utterance_id"][row] for row in labelled]
    np.testing.assert_allclose(table["probabilities"], shares[labelled], atol=1e-5)
    names = rows.features["emotion"].names
    assert table["label"] == [names[rows["emotion"][row]] for row in labelled]
    assert table["prediction"] == [names[row] for row in shares[labelled].argmax(1)]
    results = json.loads((runs / "cues" / "results.json").read_text())
    assert (results["n"], results["unlabelled"], results["decode"]) == (11, 1, "classify")
    assert (results["sees_future"], results["invalid_rate"]) == (False, 0.0)
    assert (runs / "cues" / "confusion_matrix.png").is_file()


def test_runs_can_be_compared(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(runs / "text"), str(runs / "cues")]) == 0
    assert "11 utterances of 3 dialogues" in capsys.readouterr().out


def test_card_tells_of_the_encoder_and_its_example_runs(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "my-run"
    shutil.copytree(runs / "text", folder)
    assert main(["card", str(folder)]) == 0
    card = (folder / "README.md").read_text()
    assert "An encoder classifier in the manner of BiosERC, on `encoder`" in card
    assert "**History only.** It reads the utterance in question and turns before it." in card
    assert "| frozen_layers | 2 |" in card
    assert "pipeline_tag: text-classification" in card
    assert "rompt" not in card.replace("prompts", "") and "None" not in card.split("```")[2]
    assert str(tmp_path) not in card and "\n\n\n" not in card
    example = tmp_path / "example.py"
    example.write_text(card.split("```python\n")[1].split("```")[0])
    monkeypatch.chdir(folder)
    capsys.readouterr()
    runpy.run_path(str(example))
    assert capsys.readouterr().out.startswith("Have you seen my keys anywhere? -> ")


def test_card_of_a_model_that_sees_the_future_says_so_and_its_example_runs(
    dataset_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {"biography": "A waits.", "biography_scope": "dialogue"}
    write_dataset(read_dataset(dataset_folder).map(lambda row: told), tmp_path / "told")
    measured = Dataset.from_dict({"f0_mean_hz": [100.0 + row for row in range(20)]})
    settings = MeasurementSettings(groups=("pitch",))
    SpeechDescriber.fit(measured, baseline="overall", settings=settings).save_pretrained(tmp_path / "told")
    encoder = save_tiny_encoder("roberta", tmp_path / "encoder")
    shape = EncoderSettings(
        encoder=str(encoder),
        num_attention_heads=4,
        biographies="static",
        cues="z_scores",
        context_after=1,
        causal=False,
    )
    training = EncoderTraining(output_dir=str(tmp_path / "run"), max_steps=1, disable_tqdm=True)
    folder = train_recipe(Recipe("encoder", DataSettings(dataset=str(tmp_path / "told")), shape, training))
    assert main(["card", str(folder)]) == 0
    card = (folder / "README.md").read_text()
    assert "**Sees the future.** It reads the whole dialogue" in card
    assert "from a biography of its speaker and from measurements of the voice" in card
    assert "History only" not in card
    example = tmp_path / "example.py"
    example.write_text(card.split("```python\n")[1].split("```")[0])
    monkeypatch.chdir(folder)
    capsys.readouterr()
    runpy.run_path(str(example))
    assert capsys.readouterr().out.startswith("Have you seen my keys anywhere? -> ")


def test_other_labels_and_describers_are_refused(runs: Path, dataset_folder: Path) -> None:
    rows = read_dataset(dataset_folder)["test"]
    classifier = load_classifier(runs / "cues")
    with pytest.raises(EvaluationError, match="worded by describer none, this dataset was worded by abc"):
        evaluate(classifier, rows, Provenance(describer_sha256="abc"))
    turned = rows.cast_column("emotion", ClassLabel(names=["happy", "angry", "neutral"]))
    with pytest.raises(EvaluationError, match="knows the labels angry, happy, neutral, the dataset has happy, angry"):
        evaluate(classifier, turned)


def test_labels_that_are_not_those_of_the_training_are_refused(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "cues", tmp_path / "run")
    record = json.loads((tmp_path / "run" / "training.json").read_text())
    record["labels"]["names"] = ["happy", "angry", "neutral"]
    (tmp_path / "run" / "training.json").write_text(json.dumps(record))
    with pytest.raises(EvaluationError, match=r"labels in config\.json of run: the model was trained with"):
        load_classifier(tmp_path / "run")


def test_a_prompt_for_a_model_without_one_is_refused(
    runs: Path, dataset_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["evaluate", "--dataset", str(dataset_folder), "--model", str(runs / "text"), "-o", str(tmp_path)]
    assert main([*line, "--prompt", "speechcue"]) != 0
    assert "reads no prompt and writes no text" in capsys.readouterr().err
