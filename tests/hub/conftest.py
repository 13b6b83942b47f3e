from dataclasses import replace
from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value, load_dataset

from speechcue_hf.cli import main
from speechcue_hf.corpora.identity import identify, restore_identity
from speechcue_hf.corpora.parquet import write_dataset
from speechcue_hf.cues.describe import SpeechDescriber
from speechcue_hf.cues.settings import MeasurementSettings

SAID = {"angry": "Leave me alone.", "happy": "What a day!", "neutral": "The bus is here."}


def described_split(split: str) -> Dataset:
    rows = [
        {
            "dialogue_id": f"{split}{dialogue}",
            "utterance_id": f"{split}{dialogue}_{turn}",
            "turn": turn,
            "speaker": "AB"[turn % 2],
            "text": SAID[emotion],
            "emotion": emotion,
            "speech_description": f"spoken as one is who is {emotion}.",
        }
        for dialogue in range(2)
        for turn, emotion in enumerate(SAID)
    ]
    types = dict.fromkeys(rows[0], Value("string")) | {"turn": Value("int32"), "emotion": ClassLabel(names=[*SAID])}
    return Dataset.from_list(rows, features=Features(types))


@pytest.fixture(scope="session")
def dataset_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("described")
    dataset = DatasetDict({split: described_split(split) for split in ("train", "validation", "test")})
    identity = replace(identify(load_dataset("speechcue/demo")), labels=tuple(SAID))
    restore_identity(dataset, identity)
    write_dataset(dataset, folder)
    cues = {"f0_mean_hz": [100.0 + row for row in range(20)], "intensity_mean_db": [60.0 + row for row in range(20)]}
    settings = MeasurementSettings(groups=("loudness", "pitch"))
    train = Dataset.from_dict(cues, split="train")
    SpeechDescriber.fit(train, baseline="overall", settings=settings).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def trained(dataset_folder: Path, tmp_path_factory: pytest.TempPathFactory, slow) -> Path:
    """A run: a tiny adapter after two steps. Copy it to write into it."""
    from speechcue_hf.training.arguments import FineTuning, ModelSettings, TrainingSettings
    from speechcue_hf.training.recipes import Recipe, train_recipe

    output = tmp_path_factory.mktemp("trained") / "my-run"
    settings = TrainingSettings(output_dir=str(output), max_steps=2, seed=3, disable_tqdm=True)
    data = FineTuning(dataset=str(dataset_folder))
    return train_recipe(Recipe("chat", data, ModelSettings(), settings))


@pytest.fixture(scope="session")
def evaluated(trained: Path, dataset_folder: Path) -> Path:
    """Its results on test, in a folder of their own."""
    output = trained.parent / "evaluated"
    arguments = ["evaluate", "--dataset", str(dataset_folder), "--model", str(trained), "-o", str(output)]
    assert main(arguments) == 0
    return output


@pytest.fixture
def run(trained: Path, evaluated: Path, tmp_path: Path) -> Path:
    """A copy of the run with its results."""
    import shutil

    folder = tmp_path / "my-run"
    shutil.copytree(trained, folder, symlinks=True, ignore=shutil.ignore_patterns("checkpoint-*"))
    shutil.copytree(evaluated, folder, dirs_exist_ok=True)
    return folder
