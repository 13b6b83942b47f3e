"""A BiosERC recipe, scaled down, from biographies to the card: it says what it saw and refuses what does not fit."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset, DatasetDict

from speechcue_hf.cli import main
from speechcue_hf.corpora.parquet import write_dataset
from speechcue_hf.errors import EvaluationError, PromptError
from speechcue_hf.evaluation.evaluate import evaluate
from speechcue_hf.evaluation.report import write_report
from speechcue_hf.hub.card import model_card
from speechcue_hf.inference.chat import ChatClassifier
from speechcue_hf.inference.loading import load_classifier
from speechcue_hf.models.loading import load_model
from speechcue_hf.prompts.build import build_prompts
from speechcue_hf.prompts.specification import load_prompt
from speechcue_hf.provenance import Provenance
from speechcue_hf.records import BiographiesRecord, find_record, read_record
from speechcue_hf.training.recipes import parse_recipe, train_recipe

pytestmark = pytest.mark.slow

RECIPE = Path(__file__).parents[2] / "speechcue_hf" / "recipes" / "bioserc" / "smollm2-135m" / "qlora_meld.yaml"
SMALL = ["--model_name_or_path", "tiny", "--load_in_4bit", "false", "--num_train_epochs", "1", "--disable_tqdm", "true"]
EMOTIONS = ["angry", "happy", "neutral"]


def record(scope: str) -> dict[str, Any]:
    """As `speechcue biographies` writes it."""
    return {
        "source": "written",
        "scope": scope,
        "sees_future": scope == "dialogue",
        "refresh": None if scope == "dialogue" else 8,
        "word_limit": 250,
        "prompt": {"name": "bioserc", "sha256": "b" * 64},
        "writer": {"model": "some/chat-model", "revision": None, "temperature": 0.0},
        "requests": {"all": 6, "failed": 0},
        "tokens": {"prompt": 600, "completion": 60},
    }


def with_biographies(dataset: Dataset, scope: str) -> Dataset:
    """A biography for every row, but for the first turn where the past is all that may be seen."""
    speakers = zip(dataset["speaker"], dataset["turn"], strict=True)
    texts = [None if turn == 0 and scope == "history" else f"{name} is calm." for name, turn in speakers]
    return dataset.add_column("biography", texts).add_column("biography_scope", [scope] * len(dataset))


@pytest.fixture(scope="module")
def folders(all_splits: DatasetDict, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Dataset folders with biographies of both scopes."""
    made = {}
    for scope in ("dialogue", "history"):
        made[scope] = tmp_path_factory.mktemp(scope) / "data"
        write_dataset(
            DatasetDict({split: with_biographies(it, scope) for split, it in all_splits.items()}), made[scope]
        )
        (made[scope] / "biographies.json").write_text(json.dumps(record(scope)))
    return made


def train(folder: Path, output: Path, *overrides: str) -> Path:
    arguments = ["--config", str(RECIPE), "--dataset", str(folder), "--output_dir", str(output), *SMALL, *overrides]
    return train_recipe(parse_recipe(arguments))


@pytest.fixture(scope="module")
def runs(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The first seed of the paper's prompt, and of past turns only."""
    output = tmp_path_factory.mktemp("runs")
    train(folders["dialogue"], output / "future", "--seeds", "42")
    train(folders["history"], output / "past", "--seeds", "42", "--prompt", "bioserc_history")
    return {"dialogue": output / "future" / "seed-42", "history": output / "past" / "seed-42"}


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def test_the_run_has_the_recipes_settings_and_says_what_it_saw(runs: dict[str, Path], folders: dict[str, Path]) -> None:
    for scope, run in runs.items():
        training = read(run / "training.json")
        assert (training["adapter"]["lora_r"], training["adapter"]["lora_alpha"], training["seed"]) == (32, 128, 42)
        assert (training["settings"]["neftune_noise_alpha"], training["settings"]["max_grad_norm"]) == (5, 0.3)
        assert training["steps"] == 2, "24 rows by 4 x 4"
        assert "eval_weighted_f1" in training["best"]
        sees = scope == "dialogue"
        assert (training["sees_future"], training["future_turns"]) == (sees, 5 if sees else 0)
        assert training["biography_scope"] == scope
        assert (
            training["biographies"]["writer"]["model"] == "some/chat-model" and "tokens" not in training["biographies"]
        )
        beside = (run / "biographies.json").read_bytes()
        assert beside == (folders[scope] / "biographies.json").read_bytes()
        assert training["biographies_sha256"] == read_record(BiographiesRecord, run).fingerprint


def test_the_score_is_that_of_full_forward_passes_over_its_messages(
    runs: dict[str, Path], folders: dict[str, Path], all_splits: DatasetDict
) -> None:
    """Later turns and the system message do not disturb prompts that share what they have in common."""
    test = with_biographies(all_splits["test"], "dialogue")
    model, tokenizer = load_model(runs["dialogue"])
    chat = ChatClassifier(model, tokenizer, load_prompt(runs["dialogue"] / "prompt.json"), tuple(EMOTIONS))
    results, predictions = evaluate(chat, test)
    assert results.sees_future and results.biography_scope == "dialogue"
    for row, found in zip(build_prompts(test, "bioserc"), predictions["probabilities"], strict=True):
        assert [message["role"] for message in row["prompt"]] == ["system", "user"]
        likelihood = []
        for label in EMOTIONS:
            whole = [*row["prompt"], {"role": "assistant", "content": label}]
            text = "".join(f"<|im_start|>{it['role']}\n{it['content']}<|im_end|>\n" for it in whole)
            ids = tokenizer(text.removesuffix("\n"), add_special_tokens=False)["input_ids"]
            answer = len(tokenizer(f"{label}<|im_end|>", add_special_tokens=False)["input_ids"])
            with torch.inference_mode():
                steps = model(torch.tensor([ids])).logits[0].log_softmax(dim=-1)
            likelihood.append(sum(steps[place - 1, ids[place]] for place in range(len(ids) - answer, len(ids))))
        assert found == pytest.approx(torch.stack(likelihood).softmax(dim=0).tolist(), abs=1e-4)


def test_evaluation_card_and_comparison_say_it_too(
    runs: dict[str, Path], folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for scope, run in runs.items():
        shutil.copytree(run, tmp_path / scope, symlinks=True, ignore=shutil.ignore_patterns("checkpoint-*"))
        arguments = ["evaluate", "--dataset", str(folders[scope]), "--model", str(run), "-o", str(tmp_path / scope)]
        assert main(arguments) == 0
        said = "Turns after the one in question were seen" in capsys.readouterr().out
        assert said == (scope == "dialogue")
        results = read(tmp_path / scope / "results.json")
        training = read(run / "training.json")
        for key in ("sees_future", "future_turns", "biography_scope", "biographies", "biographies_sha256"):
            assert results[key] == training[key], key
    future, past = (" ".join(model_card(tmp_path / scope).content.split()) for scope in runs)
    assert "**Sees the future.** Prompts hold up to 5 turns that come after the utterance in question." in future
    assert "were written from whole dialogues, later turns included." in future and "**History only.**" not in future
    assert "from what was said before and after it and from a biography of its speaker." in future
    assert "**History only.**" in past and "**Sees the future.**" not in past
    assert "Biographies of speakers were written from turns before the utterance in question, too." in past
    assert "Written by `some/chat-model` from the turns before each utterance, again every 8 turns" in past
    assert f"asked with the prompt `bioserc` (SHA-256 `{'b' * 64}`)." in future
    comparison = tmp_path / "comparison.json"
    folders_compared = [str(tmp_path / scope) for scope in runs]
    assert main(["compare", *folders_compared, "--draws", "50", "-o", str(comparison)]) == 0
    compared = read(comparison)
    assert compared["sees_future"] == [True, False]
    assert compared["future_warning"] == (
        f"{tmp_path / 'dialogue'} saw later turns of the dialogue, {tmp_path / 'history'} saw none: "
        "the difference is not that of the models alone."
    )
    assert compared["future_warning"] in capsys.readouterr().out
    assert main(["compare", folders_compared[0], folders_compared[0], "--draws", "50", "-o", str(comparison)]) == 0
    assert read(comparison)["future_warning"] is None


def test_a_card_with_results_on_other_biographies_is_refused(
    runs: dict[str, Path], all_splits: DatasetDict, tmp_path: Path
) -> None:
    shutil.copytree(runs["history"], tmp_path / "run", symlinks=True, ignore=shutil.ignore_patterns("checkpoint-*"))
    classifier = replace(load_classifier(runs["history"]), training=None)
    results, table = evaluate(classifier, with_biographies(all_splits["test"], "dialogue"))
    write_report(tmp_path / "run", results, table)
    with pytest.raises(EvaluationError, match=r"scored with biography_scope dialogue, the model .* history"):
        model_card(tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scope": "dialogue"}, "biographies with scope history, those of this dataset have dialogue"),
        ({"writer": {"model": "another/model"}}, "writer .*some/chat-model.*another/model"),
        ({"prompt": {"name": "speechcue", "sha256": "c" * 64}}, "prompt .*bbbb.*cccc"),
        ({"refresh": 4}, "refresh 8, those of this dataset have 4.*biographies.json beside the model"),
        ({"tokens": {"prompt": 1, "completion": 1}, "requests": {}}, None),
        (None, "biographies with prompt .* have None"),
    ],
    ids=["scope", "model", "prompt", "refresh", "only the counts differ", "no record"],
)
def test_biographies_made_otherwise_are_refused(
    runs: dict[str, Path],
    all_splits: DatasetDict,
    tmp_path: Path,
    change: dict[str, Any] | None,
    message: str | None,
) -> None:
    if change is not None:
        (tmp_path / "biographies.json").write_text(json.dumps(record("history") | change))
    made = Provenance(biographies=find_record(BiographiesRecord, tmp_path))
    classifier, test = load_classifier(runs["history"]), with_biographies(all_splits["test"], "history")
    if message is None:
        assert evaluate(classifier, test, made)[0].n == 12
        return
    with pytest.raises(EvaluationError, match=message):
        evaluate(classifier, test, made)


def test_rows_of_another_scope_than_the_record_says_are_refused(
    runs: dict[str, Path], folders: dict[str, Path], all_splits: DatasetDict, tmp_path: Path
) -> None:
    classifier, made = load_classifier(runs["history"]), Provenance.of(folders["history"])
    for scope, error, message in (
        ("dialogue", EvaluationError, "with scope history, those of this dataset have dialogue"),
        ("mixed", PromptError, "some rows have a biography of scope dialogue, some of scope history"),
    ):
        test = with_biographies(all_splits["test"], "dialogue")
        if scope == "mixed":
            test = test.map(lambda row: {"biography_scope": "history"} if row["turn"] == 1 else {})
        with pytest.raises(error, match=message):
            evaluate(classifier, test, made)


def test_training_on_mixed_biographies_is_refused_before_it_starts(all_splits: DatasetDict, tmp_path: Path) -> None:
    scopes = {"train": "history", "validation": "dialogue", "test": "history"}
    write_dataset(DatasetDict({it: with_biographies(all_splits[it], scopes[it]) for it in scopes}), tmp_path / "data")
    with pytest.raises(PromptError, match="write them all with one `speechcue biographies --scope`"):
        train(tmp_path / "data", tmp_path / "run", "--seeds", "42")
