"""Every example in the documentation runs; a few names are given to all of them."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest
from datasets import load_dataset

import speechcue_hf
from speechcue_hf import MeasurementSettings, SpeechDescriber, describe_dataset, measure_dataset, measure_speech
from speechcue_hf.corpora import catalogue
from speechcue_hf.cues import table
from speechcue_hf.generation.request import GenerationRequest, request_key
from speechcue_hf.generation.store import generate_missing, open_store
from speechcue_hf.models.tiny import build_tiny_model
from speechcue_hf.prompts.specification import load_prompt
from tests.corpora import trees
from tests.demo_slice import demo_slice
from tests.generation.scripted import ScriptedGenerator

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def examples() -> list[doctest.DocTest]:
    found = []
    for module in pkgutil.walk_packages(speechcue_hf.__path__, "speechcue_hf."):
        imported = importlib.import_module(module.name)
        found += [test for test in doctest.DocTestFinder().find(imported, module.name) if test.examples]
    return found


EXAMPLES = examples()


@pytest.fixture(scope="module")
def shared() -> dict[str, object]:
    """Names that examples may use: a described slice of the demo corpus, a tiny chat model, a scripted generator."""
    settings = MeasurementSettings(groups=("loudness",))
    measured = measure_dataset(demo_slice(), settings)
    described = describe_dataset(measured, SpeechDescriber.fit(measured["train"], settings=settings)).remove_columns(
        "audio"
    )
    told = {"biography": "Somebody.", "biography_note": None, "biography_scope": "dialogue"}
    model, tokenizer = build_tiny_model(["Which emotion? happy sad"], vocabulary=300)
    messages = ({"role": "user", "content": "Who is Ann?"},)
    return {
        "Path": Path,
        "load_dataset": load_dataset,
        "measured": measured,
        "described": described,
        "paper": described.map(lambda row: told),
        "model": model,
        "tokenizer": tokenizer,
        "generator": ScriptedGenerator(lambda request: "Somebody who is asked about."),
        "request": GenerationRequest(request_key(messages), messages, "dialogue"),
        "open_store": open_store,
        "generate_missing": generate_missing,
        "load_prompt": load_prompt,
        "measure_speech": measure_speech,
        "MeasurementSettings": MeasurementSettings,
    }


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name.removeprefix("speechcue_hf."))
def test_example(example: doctest.DocTest, shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for registry in (catalogue, table):
        monkeypatch.setattr(registry, "_added", {})
    (tmp_path / "clip.wav").write_bytes(trees.wav(1.0))
    example.globs = {**shared, **example.globs}
    said: list[str] = []
    failed, _ = doctest.DocTestRunner(optionflags=FLAGS).run(example, out=said.append, clear_globs=False)
    assert not failed, "".join(said)


def test_most_examples_run() -> None:
    """Those that are skipped need a Hub, a server or a GPU, or would train."""
    skipped = [test.name for test in EXAMPLES if all(it.options.get(doctest.SKIP) for it in test.examples)]
    assert len(skipped) <= 10, skipped
