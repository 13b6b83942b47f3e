"""The main job on the demo corpus: clips, measurements, words, prompts, a fine-tuned adapter, its scores and card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets import load_dataset

from speechcue_hf.corpora.parquet import write_dataset
from speechcue_hf.cues.settings import MeasurementSettings
from speechcue_hf.errors import SpeechcueError
from speechcue_hf.models.base import TINY_MODEL
from speechcue_hf.provenance import Provenance
from speechcue_hf.records import (
    CARD_FILE,
    DISTRIBUTIONS_FILE,
    CorpusIdentity,
    ResultsRecord,
    TrainingRecord,
    read_record,
)

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict

    from speechcue_hf.cues.describe import SpeechDescriber

DATA_FOLDER = "data"


def quickstart(output: Path, model: str = TINY_MODEL, seed: int = 1) -> Iterator[str]:
    """Run the main job step by step.

    Args:
        output: Folder for everything that is made; it must not exist, or be empty.
        model: ``tiny`` for a chat model of a million random parameters built on the spot, else a Hub id or a folder.
        seed: Of the model's first parameters and of the order of the rows.

    Yields:
        What each step made, in one line.

    Raises:
        SpeechcueError: If the output folder is not empty, or a step fails.
    """
    if output.exists() and any(output.iterdir()):
        raise SpeechcueError(f"{output} is not empty: remove it, or choose another folder with -o")
    dataset = load_dataset("speechcue/demo")
    yield f"corpus: {_count(dataset)} utterances, {len(dataset['train'].features['emotion'].names)} emotions"
    described, describer = _hear(dataset, output)
    yield f"described: {described['test'][0]['speech_description']!r}"
    _draw(described, describer, output)
    yield f"pictures: {DISTRIBUTIONS_FILE} (each cue with its thresholds), dialogue.png (a dialogue with its cues)"
    record = _train(described, output, model, seed)
    yield f"trained: {record.steps} steps of {record.base_model}, best {_scores(record.best)}"
    results = _evaluate(described["test"], output)
    yield f"scored: weighted F1 {100 * results.weighted_f1:.1f} % on {results.n} test utterances"
    _write_card(output)
    yield f"card: {CARD_FILE}"


def _hear(dataset: DatasetDict, output: Path) -> tuple[DatasetDict, SpeechDescriber]:
    """Measure and describe all splits, and write the described dataset with the describer beside it."""
    from speechcue_hf.cues.describe import SpeechDescriber, describe_dataset
    from speechcue_hf.cues.measure import measure_dataset

    settings = MeasurementSettings()
    measured = measure_dataset(dataset, settings)
    describer = SpeechDescriber.fit(measured["train"], settings=settings)
    described = describe_dataset(measured, describer)
    write_dataset(described.remove_columns("audio"), output / DATA_FOLDER)
    describer.save_pretrained(output / DATA_FOLDER)
    return described, describer


def _draw(described: DatasetDict, describer: SpeechDescriber, output: Path) -> None:
    """Draw the distributions of the cues on train, and the first dialogue of the test split."""
    from speechcue_hf.cues.curves import clip_curves
    from speechcue_hf.cues.plots import Turn, plot_distributions, plot_turns

    plot_distributions(described["train"], describer, output / DISTRIBUTIONS_FILE)
    name = described["test"][0]["dialogue_id"]
    turns = [Turn(row, clip_curves(row["audio"])) for row in described["test"] if row["dialogue_id"] == name]
    plot_turns(turns, output / "dialogue.png", title=f"Dialogue {name}")


def _train(described: DatasetDict, output: Path, model: str, seed: int) -> TrainingRecord:
    """Fine-tune an adapter; the record of the run."""
    from speechcue_hf.training.arguments import FineTuning, ModelSettings, TrainingSettings
    from speechcue_hf.training.sft import fine_tune

    training = TrainingSettings(
        output_dir=str(output),
        learning_rate=5e-3 if model == TINY_MODEL else 3e-4,
        num_train_epochs=3,
        per_device_train_batch_size=8,
        logging_strategy="epoch",
        metric_for_best_model="weighted_f1",
        seed=seed,
    )
    settings = ModelSettings(model_name_or_path=model, lora_target_modules=["all-linear"])
    fine_tune(described, FineTuning(), settings, training, provenance=Provenance.of(output / DATA_FOLDER))
    return read_record(TrainingRecord, output)


def _evaluate(test: Dataset, output: Path) -> ResultsRecord:
    """Score the adapter on the test split and write the report."""
    from speechcue_hf.evaluation.evaluate import evaluate
    from speechcue_hf.evaluation.report import write_report
    from speechcue_hf.inference.loading import load_classifier

    folder = output / DATA_FOLDER
    results, predictions = evaluate(load_classifier(output), test, Provenance.of(folder))
    corpus = read_record(CorpusIdentity, folder).metadata
    results = replace(results, corpus=corpus, split="test")
    write_report(output, results, predictions)
    return results


def _write_card(output: Path) -> None:
    from speechcue_hf.hub.card import model_card

    model_card(output).save(output / CARD_FILE)


def _scores(best: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.removeprefix('eval_')} {value:.4g}" for name, value in best.items())


def _count(dataset: DatasetDict) -> str:
    return " + ".join(f"{len(rows)} {split}" for split, rows in dataset.items())
