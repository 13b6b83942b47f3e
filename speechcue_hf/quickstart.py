"""A first run: does a model read what is said of the voice? One model, trained three times on the demo corpus.

The sentences of the demo corpus are each said in every emotion, so the words alone tell nothing. The prompt tells the
voice of the turn, nothing of it, or the voice of another turn; all else is the same.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from datasets import DatasetDict, load_dataset

from speechcue_hf.corpora.writing import UNFINISHED
from speechcue_hf.cues.analysis import clip_curves
from speechcue_hf.cues.describe import SpeechDescriber
from speechcue_hf.cues.plots import Turn, plot_distributions, plot_turns
from speechcue_hf.cues.settings import MeasurementSettings
from speechcue_hf.errors import SpeechcueError
from speechcue_hf.hub.card import model_card
from speechcue_hf.hub.publish_dataset import describe_corpus
from speechcue_hf.models.base import TINY_MODEL
from speechcue_hf.models.loading import hub_commit
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

_DESCRIBED = ("speech_description", "speech_impression")
_SETTINGS = MeasurementSettings(groups=("loudness", "pitch", "rhythm"))
"""What a speech synthesiser can be told; its voice quality is that of the synthesiser."""


@dataclass(frozen=True)
class Trial:
    """One of the three trainings.

    Attributes:
        voice: Whose voice the prompt tells.
        folder: Of the run, in the output folder.
        prompt: Preset of the prompt.
    """

    voice: str
    folder: str
    prompt: str


OWN = Trial("the turn's own", ".", "speechcue")
WITHOUT = Trial("none", "without_voice", "speechcue_text")
OTHERS = Trial("another turn's", "other_voices", "speechcue")
TRIALS = (OWN, WITHOUT, OTHERS)

_MADE = (
    *(DATA_FOLDER, WITHOUT.folder, OTHERS.folder, "base_model", "checkpoint-*", CARD_FILE, "*.json", ".*.json.*"),
    *("*.jinja", "*.parquet", ".*.parquet.*", "*.png", "*.safetensors", "training_args.bin"),
    *("vocab.txt", "merges.txt", "*.model", "*.spm"),
)
"""What the steps leave in the output folder."""


def quickstart(output: Path, model: str = TINY_MODEL, seed: int = 1) -> Iterator[str]:
    """Run the main job step by step.

    Args:
        output: Folder for everything that is made; it must not exist, be empty, or hold what a killed quickstart left,
            which is cleared. The run with the voice lies in it, the other two in folders of their own.
        model: ``tiny`` for a chat model of random parameters built on the spot, else a Hub id or a folder.
        seed: Of the model's first parameters, of the order of the rows, and of the exchange of voices.

    Yields:
        What each step made, in one line.

    Raises:
        OSError: If there is no such model.
        SpeechcueError: If the output folder is not empty, or a step fails.
    """
    if model != TINY_MODEL:
        # A model that is not there is said before anything is made.
        hub_commit(model)
    if _clear(output):
        yield f"cleared: what a quickstart that was cut left in {output}"
    begun = output / UNFINISHED
    begun.mkdir(parents=True)
    dataset = load_dataset("speechcue/demo")
    rows = " + ".join(f"{len(part)} {split}" for split, part in dataset.items())
    yield f"corpus: {rows} utterances, {len(dataset['train'].features['emotion'].names)} emotions"
    # Speakers of the test split are unseen, so that everybody is compared with the speakers of a gender.
    described, describer = describe_corpus(
        dataset, output / DATA_FOLDER, 2, settings=_SETTINGS, baseline="gender", command="speechcue quickstart"
    )
    yield f"described: {described['test'][0]['speech_description']!r}"
    _draw(described, describer, output)
    yield f"pictures: {DISTRIBUTIONS_FILE} (each cue with its thresholds), dialogue.png (a dialogue with its cues)"
    described = described.remove_columns("audio")
    for trial in TRIALS:
        told = _exchanged(described, describer, seed) if trial is OTHERS else described
        record = _train(told, output, trial, model, seed)
        results = _evaluate(told, output, trial)
        yield (
            f"trained, voice in the prompt: {trial.voice}: {record.steps} steps of {record.base_model}, weighted F1 "
            f"{100 * record.best['eval_weighted_f1']:.1f} % on validation, {100 * results.weighted_f1:.1f} % on test"
        )
    begun.rmdir()


def scores(output: Path) -> dict[str, ResultsRecord]:
    """Results of the three trainings on the test split, as their folders hold them.

    Args:
        output: Folder of a quickstart that is finished.

    Returns:
        Whose voice the prompt tells → results.

    Raises:
        SpeechcueError: If a file is missing or damaged.
    """
    return {trial.voice: read_record(ResultsRecord, output / trial.folder) for trial in TRIALS}


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


def _exchanged(described: DatasetDict, describer: SpeechDescriber, seed: int) -> DatasetDict:
    """Every utterance with the voice of another one of its split."""
    from speechcue_hf.evaluation.intervention import shuffled

    return DatasetDict({split: shuffled(rows, _DESCRIBED, describer, seed) for split, rows in described.items()})


def _train(rows: DatasetDict, output: Path, trial: Trial, model: str, seed: int) -> TrainingRecord:
    """Fine-tune the model; the record of the run."""
    from speechcue_hf.training.recipes import parse_recipe
    from speechcue_hf.training.sft import fine_tune

    folder = output / trial.folder
    given = [f"output_dir={folder}", f"prompt={trial.prompt}", f"seed={seed}", "logging_strategy=epoch"]
    recipe = parse_recipe(["--config", "quickstart", *given, *_settings(model)])
    fine_tune(rows, recipe.data, recipe.model, recipe.training, provenance=Provenance.of(output / DATA_FOLDER))
    return read_record(TrainingRecord, folder)


def _settings(model: str) -> list[str]:
    """What a pretrained model is trained with in place of the tiny one's settings: an adapter."""
    if model == TINY_MODEL:
        return []
    adapter = ["use_peft=true", "lora_target_modules=[all-linear]", "learning_rate=3e-4", "tokens_per_batch=1024"]
    return [f"model_name_or_path={model}", *adapter, "num_train_epochs=3"]


def _evaluate(rows: DatasetDict, output: Path, trial: Trial) -> ResultsRecord:
    """Score the run of a trial on the test split, and write its report; its card, unless the run is a control."""
    from speechcue_hf.evaluation.evaluate import evaluate
    from speechcue_hf.evaluation.report import write_report
    from speechcue_hf.inference.loading import load_classifier

    data, run = output / DATA_FOLDER, output / trial.folder
    results, predictions = evaluate(load_classifier(run), rows["test"], Provenance.of(data))
    results = replace(results, corpus=read_record(CorpusIdentity, data).metadata, split="test")
    write_report(run, results, predictions)
    if trial is OWN:
        model_card(run).save(run / CARD_FILE)
    return results
