"""Runs on four dialogues of the demo corpus, from raw clips on: what a recognizer must do again is done by commands."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

from speechcue_hf.biographies.settings import BiographySettings
from speechcue_hf.biographies.write import write_biographies, written_record
from speechcue_hf.cli import main
from speechcue_hf.corpora.demo import DEMO_FOLDER
from speechcue_hf.corpora.parquet import read_dataset, write_dataset
from speechcue_hf.generation.store import open_store
from speechcue_hf.records import write_record
from tests.generation.scripted import ScriptedGenerator

SPLITS = {"train": 2, "validation": 1, "test": 1}


def write_conversations(folder: Path) -> Path:
    """A folder of conversations, in the layout of ``speechcue/folder``."""
    with (DEMO_FOLDER / "metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = {
        name
        for split, count in SPLITS.items()
        for name in list(dict.fromkeys(row["dialogue_id"] for row in rows if row["split"] == split))[:count]
    }
    folder.mkdir(parents=True)
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, fieldnames=list(rows[0]))
        table.writeheader()
        for row in (row for row in rows if row["dialogue_id"] in chosen):
            table.writerow(row)
            (folder / row["file_name"]).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(DEMO_FOLDER / row["file_name"], folder / row["file_name"])
    return folder


def command(*arguments: object) -> None:
    assert main([str(argument) for argument in arguments]) == 0


def describe_conversations(conversations: Path, folder: Path) -> Path:
    """The dataset folder ``described``, without clips."""
    command("prepare", "folder", "--data-dir", conversations, "-o", folder / "prepared")
    command("measure", folder / "prepared", "-o", folder / "measured", "--groups", "loudness")
    command("describe", folder / "measured", "-o", folder / "described")
    return folder / "described"


def tell_biographies(described: Path, folder: Path) -> Path:
    """The same with biographies, by a writer who says who is asked about."""
    settings = BiographySettings(refresh=2)
    generator = biographer()
    folder.mkdir()
    with open_store(folder / "store.jsonl", generator=generator.identity, prompt=settings.prompt.identity) as store:
        told = write_biographies(read_dataset(described), generator, store, settings)
        record = written_record(told, generator, store, settings)
    write_dataset(told, folder)
    write_record(record, folder)
    shutil.copyfile(described / "describer.json", folder / "describer.json")
    return folder


def biographer(**identity: object) -> ScriptedGenerator:
    return ScriptedGenerator(
        lambda request: f"A speaker who was asked about in {len(request.messages[0]['content'])} letters.", **identity
    )


def train_chat(dataset: Path, output: Path, prompt: str) -> Path:
    from speechcue_hf.training.arguments import FineTuning, ModelSettings, TrainingSettings
    from speechcue_hf.training.recipes import Recipe, train_recipe

    settings = TrainingSettings(output_dir=str(output), max_steps=2, learning_rate=1e-2, seed=1, disable_tqdm=True)
    data = FineTuning(dataset=str(dataset), prompt=prompt)
    run = train_recipe(Recipe("chat", data, ModelSettings(), settings))
    command("evaluate", "--dataset", dataset, "--model", run, "-o", run)
    return run


def train_encoder(dataset: Path, output: Path) -> Path:
    from speechcue_hf.training.arguments import DataSettings, EncoderSettings, EncoderTraining
    from speechcue_hf.training.recipes import Recipe, train_recipe
    from tests.models.bioserc.tiny_encoders import save_tiny_encoder

    save_tiny_encoder("roberta", output.parent / "roberta")
    shape = EncoderSettings(encoder=str(output.parent / "roberta"), num_attention_heads=4, cues="z_scores")
    settings = EncoderTraining(output_dir=str(output), max_steps=2, seed=1, disable_tqdm=True)
    run = train_recipe(Recipe("encoder", DataSettings(dataset=str(dataset)), shape, settings))
    command("evaluate", "--dataset", dataset, "--model", run, "-o", run)
    return run


def train_speech(folder: Path) -> Path:
    from tests.speech_runs import train_stages, write_spoken_corpus

    corpus = write_spoken_corpus(folder / "corpus")
    run = train_stages(corpus, folder / "runs") / "stage3"
    data = ("--dataset", corpus / "described", "--audio", corpus / "clips")
    command("evaluate", *data, "--model", run, "-o", run)
    return folder
