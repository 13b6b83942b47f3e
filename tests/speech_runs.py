"""A described corpus of buzzes, and a SEmoLLM trained on its captions, one step in each stage."""

from __future__ import annotations

from pathlib import Path

from datasets import DatasetDict, load_dataset

from speechcue_hf.captions.build import caption_dataset, caption_record
from speechcue_hf.captions.tasks import caption_task
from speechcue_hf.corpora.identity import identify, restore_identity
from speechcue_hf.corpora.parquet import write_dataset
from speechcue_hf.records import write_record
from speechcue_hf.training.arguments import DataSettings, StageSettings, StageTraining
from speechcue_hf.training.recipes import Recipe, train_recipe
from tests.speech_models import describe, spoken_rows

SMALL = {"num_query_tokens": 4, "classifier_proj_size": 16}
SPLITS = {"train": range(6), "validation": range(6, 8), "test": range(3)}


def write_spoken_corpus(folder: Path) -> Path:
    """Folders ``clips``, ``described`` and ``captions`` of the demo corpus by name, with three emotions."""
    rows = spoken_rows(folder / "audio")
    describer, described = describe(rows)
    tasks = [caption_task(name) for name in ("emotion", "explanation")]
    captions = caption_dataset(described, tasks, describer.levels)
    places = {split: [place * len(tasks) + it for place in SPLITS[split] for it in range(2)] for split in SPLITS}
    for name, table, chosen in (
        ("clips", rows, SPLITS),
        ("described", described, SPLITS),
        ("captions", captions, places),
    ):
        dataset = DatasetDict({split: _named(table.select(list(chosen[split])), split) for split in SPLITS})
        restore_identity(dataset, identify(load_dataset("speechcue/demo")))
        write_dataset(dataset, folder / name)
        describer.save_pretrained(folder / name)
    record = caption_record(
        DatasetDict(train=captions), tasks, describer_sha256=describer.fingerprint, baseline="overall", generator=None
    )
    write_record(record, folder / "captions")
    return folder


def _named(table, split):
    return table.map(lambda row: {"utterance_id": f"{split}-{row['utterance_id']}"})


def train_stages(corpus: Path, folder: Path) -> Path:
    """Folders ``stage1`` to ``stage3``."""
    for stage in (1, 2, 3):
        start = None if stage == 1 else str(folder / f"stage{stage - 1}")
        model = StageSettings(stage=stage, captions=str(corpus / "captions"), start_from=start, **SMALL)
        training = StageTraining(output_dir=str(folder / f"stage{stage}"), max_steps=1, seed=3, disable_tqdm=True)
        train_recipe(Recipe("speech", DataSettings(dataset=str(corpus / "clips")), model, training))
    return folder
