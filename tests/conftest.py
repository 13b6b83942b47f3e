"""Fixtures that tests of several folders share: a described corpus of twelve tiny dialogues, and models on it."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from speechcue_hf.corpora.parquet import write_dataset
from tests import recognizer_runs
from tests.records import simple_describer

EMOTIONS = ("angry", "happy", "neutral")
SAID = {"angry": "Leave me alone", "happy": "What a day", "neutral": "The bus is here"}


def _split(split: str, lengths: list[int]) -> Dataset:
    rows: list[dict[str, Any]] = []
    for dialogue, length in enumerate(lengths):
        for turn in range(length):
            emotion = EMOTIONS[(dialogue + turn) % 3]
            rows.append(
                {
                    "dialogue_id": f"{split}{dialogue}",
                    "utterance_id": f"{split}{dialogue}_{turn}",
                    "turn": turn,
                    "speaker": "AB"[turn % 2],
                    "text": f"{SAID[emotion]}, {'AB'[1 - turn % 2]}.",
                    "emotion": emotion,
                    "speech_description": f"This turn is spoken as a {emotion} person speaks.",
                }
            )
    text = Value("string")
    features = dict.fromkeys(rows[0], text) | {"turn": Value("int32"), "emotion": ClassLabel(names=list(EMOTIONS))}
    return Dataset.from_list(rows, features=Features(features))


@pytest.fixture(scope="session")
def all_splits() -> DatasetDict:
    return DatasetDict(
        train=_split("train", [4] * 6), validation=_split("validation", [4] * 3), test=_split("test", [4] * 3)
    )


@pytest.fixture
def described_corpus(all_splits: DatasetDict) -> DatasetDict:
    """Splits that a test may replace."""
    return DatasetDict(all_splits)


@pytest.fixture(scope="session")
def described_folder(all_splits: DatasetDict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a dataset folder, with a describer beside it; not to be changed."""
    folder = tmp_path_factory.mktemp("dataset") / "described"
    write_dataset(all_splits, folder)
    simple_describer().save_pretrained(folder)
    return folder


@pytest.fixture
def listener() -> Iterator[tuple[str, list[str]]]:
    """A server on loopback, and every request that it has seen."""
    seen: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.path)
            self.send_error(404)

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", seen
        server.shutdown()


@pytest.fixture(scope="session")
def slow() -> None:
    """What trains asks for this, so that every test that uses it is marked as slow."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that use what trains."""
    for item in items:
        if "slow" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def conversations(tmp_path_factory) -> Path:
    return recognizer_runs.write_conversations(tmp_path_factory.mktemp("raw") / "conversations")


@pytest.fixture(scope="session")
def described_conversations(conversations, tmp_path_factory) -> Path:
    return recognizer_runs.describe_conversations(conversations, tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def told(described_conversations, tmp_path_factory) -> Path:
    return recognizer_runs.tell_biographies(described_conversations, tmp_path_factory.mktemp("told") / "biographies")


@pytest.fixture(scope="session")
def chat(told, tmp_path_factory, slow) -> Path:
    """An adapter that is told descriptions and biographies, with its predictions of the test split."""
    return recognizer_runs.train_chat(told, tmp_path_factory.mktemp("chat") / "run", prompt="speechcue_biography")


@pytest.fixture(scope="session")
def encoder(described_conversations, tmp_path_factory, slow) -> Path:
    """An encoder classifier that reads z-scores, with its predictions of the test split."""
    return recognizer_runs.train_encoder(described_conversations, tmp_path_factory.mktemp("encoder") / "run")


@pytest.fixture(scope="session")
def speech(tmp_path_factory, slow) -> Path:
    """A corpus of buzzes, and a SEmoLLM of three stages with its predictions of the test split."""
    return recognizer_runs.train_speech(tmp_path_factory.mktemp("speech"))
