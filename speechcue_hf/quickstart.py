"""The main job on the demo corpus: clips, measurements, words, prompts, a fine-tuned adapter, its scores and card."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from datasets import Dataset, DatasetDict, load_dataset

from speechcue_hf.corpora.writing import UNFINISHED
from speechcue_hf.cues.analysis import clip_curves
from speechcue_hf.cues.describe import SpeechDescriber
from speechcue_hf.cues.plots import Turn, plot_distributions, plot_turns
from speechcue_hf.errors import SpeechcueError
from speechcue_hf.hub.card import model_card
from speechcue_hf.hub.publish_dataset import describe_corpus
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

DATA_FOLDER = "data"

_MADE = (
    *("data", "base_model", "checkpoint-*", CARD_FILE, "*.json", ".*.json.*", "*.jinja", "*.parquet", ".*.parquet.*"),
    *("*.png", "*.safetensors", "training_args.bin", "vocab.txt", "merges.txt", "*.model", "*.spm"),
)
"""What the steps leave in the output folder."""


def quickstart(output: Path, model: str = TINY_MODEL, seed: int = 1) -> Iterator[str]:
    """Run the main job step by step.

    Args:
        output: Folder for everything that is made; it must not exist, be empty, or hold what a killed quickstart left,
            which is cleared.
        model: ``tiny`` for a chat model of a million random parameters built on the spot, else a Hub id or a folder.
        seed: Of the model's first parameters and of the order of the rows.

    Yields:
        What each step made, in one line.

    Raises:
        SpeechcueError: If the output folder is not empty, or a step fails.
    """
    if _clear(output):
        yield f"cleared: what a quickstart that was cut left in {output}"
    begun = output / UNFINISHED
    begun.mkdir(parents=True)
    dataset = load_dataset("speechcue/demo")
    rows = " + ".join(f"{len(part)} {split}" for split, part in dataset.items())
    yield f"corpus: {rows} utterances, {len(dataset['train'].features['emotion'].names)} emotions"
    described, describer = describe_corpus(dataset, output / DATA_FOLDER, command="speechcue quickstart")
    yield f"described: {described['test'][0]['speech_description']!r}"
    _draw(described, describer, output)
    yield f"pictures: {DISTRIBUTIONS_FILE} (each cue with its thresholds), dialogue.png (a dialogue with its cues)"
    record = _train(described, output, model, seed)
    best = ", ".join(f"{name.removeprefix('eval_')} {value:.4g}" for name, value in record.best.items())
    yield f"trained: {record.steps} steps of {record.base_model}, best {best}"
    results = _evaluate(described["test"], output)
    yield f"scored: weighted F1 {100 * results.weighted_f1:.1f} % on {results.n} test utterances"
    model_card(output).save(output / CARD_FILE)
    begun.rmdir()
    yield f"card: {CARD_FILE}"


def _clear(output: Path) -> bool:
    """Take away what a killed quickstart left, and nothing else; whether there was anything.

    Raises:
        SpeechcueError: If the folder holds anything else.
    """
    begun = output / UNFINISHED
    left = [path for name in _MADE for path in output.glob(name)] if begun.is_dir() else []
    if output.exists() and (other := sorted({*output.iterdir()} - {*left, begun})):
        raise SpeechcueError(
            f"{output} is not empty, it holds {other[0].name}: remove it, or choose another folder with -o"
        )
    for path in left:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    if output.exists() and begun.is_dir():
        begun.rmdir()
        return True
    return False


def _draw(described: DatasetDict, describer: SpeechDescriber, output: Path) -> None:
    """Draw the distributions of the cues on train, and the first dialogue of the test split."""
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
    results = replace(results, corpus=read_record(CorpusIdentity, folder).metadata, split="test")
    write_report(output, results, predictions)
    return results
