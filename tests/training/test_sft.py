import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from trl import SFTTrainer

from speechcue_hf.errors import TrainingError
from speechcue_hf.evaluation.selection import judge
from speechcue_hf.models.loading import load_model
from speechcue_hf.models.tiny import build_tiny_model
from speechcue_hf.prompts.build import build_prompts
from speechcue_hf.prompts.specification import load_prompt
from speechcue_hf.training.arguments import FineTuning, ModelSettings, TrainingSettings
from speechcue_hf.training.sft import encode_rows, fine_tune, train_recipe

EMOTIONS = ("angry", "happy", "neutral")


def settings(output: Path, **changes: object) -> TrainingSettings:
    values = {"num_train_epochs": 2, "learning_rate": 5e-3, "logging_steps": 1, "disable_tqdm": True, "seed": 3}
    return TrainingSettings(output_dir=str(output), **{**values, **changes})


def mean_loss(folder: Path, dataset: DatasetDict, split: str) -> float:
    """Loss on label and end token, from one full forward pass for each row."""
    model, tokenizer = load_model(folder)
    losses = []
    for row in encode_rows(build_prompts(dataset[split], folder / "prompt.json"), tokenizer):
        ids, labels = (torch.tensor([row[name]]) for name in ("input_ids", "labels"))
        with torch.inference_mode():
            logits = model(ids).logits[0, :-1]
        losses.append(torch.nn.functional.cross_entropy(logits, labels[0, 1:], ignore_index=-100))
    return float(torch.stack(losses).mean())


def test_a_run_leaves_all_that_is_needed_to_use_and_judge_it(
    described_folder: Path, described_corpus: DatasetDict, tmp_path: Path
) -> None:
    output = tmp_path / "run"
    assert train_recipe(FineTuning(dataset=str(described_folder)), ModelSettings(), settings(output)) == output

    record = json.loads((output / "training.json").read_text())
    prompt = load_prompt("speechcue")
    assert record["prompt"] == {"name": "speechcue", "sha256": prompt.fingerprint}
    assert load_prompt(output / "prompt.json").fingerprint == prompt.fingerprint
    assert record["labels"] == {"names": ["angry", "happy", "neutral"], "words": ["angry", "happy", "neutral"]}
    assert record["rows"]["train"] == {"all": 24, "unlabelled": 0, "shortened": 0}
    assert record["rows"]["validation"]["all"] == 12
    assert (record["base_model"], record["seed"], record["adapter"]["lora_r"]) == ("tiny", 3, 16)
    assert record["describer_sha256"] == hashlib.sha256((described_folder / "describer.json").read_bytes()).hexdigest()
    assert (output / "describer.json").read_text() == (described_folder / "describer.json").read_text()
    evaluated = [line["eval_loss"] for line in record["log"] if "eval_loss" in line]
    assert record["best"]["eval_loss"] == min(evaluated)
    assert mean_loss(output, described_corpus, "validation") == pytest.approx(min(evaluated), rel=1e-3)
    assert 0 < record["parameters"]["trained"] < record["parameters"]["all"] / 10

    assert not list(output.rglob("README.md")), "the card is written from the scores, later"
    public = [path for path in output.iterdir() if path.is_file()]
    assert not {path.suffix for path in public} - {".json", ".jinja", ".safetensors"}
    assert not [path.name for path in public if str(tmp_path).encode() in path.read_bytes()]


def test_loss_is_on_label_and_end_token_of_every_row(described_corpus: DatasetDict) -> None:
    _, tokenizer = build_tiny_model(["Leave me alone"])
    rows = build_prompts(described_corpus["train"])
    encoded = encode_rows(rows, tokenizer)
    assert len(encoded) == len(rows)
    for row, tokens in zip(rows, encoded, strict=True):
        trained = [token for token in tokens["labels"] if token != -100]
        assert tokens["input_ids"][-len(trained) :] == trained
        assert tokenizer.decode(trained) == EMOTIONS[row["emotion"]] + "<|im_end|>"
        asked = tokenizer.decode(tokens["input_ids"][: -len(trained)])
        assert asked == f"<|im_start|>user\n{row['prompt'][0]['content']}<|im_end|>\n<|im_start|>assistant\n"


def test_a_trainer_that_leaves_rows_out_is_refused(
    described_corpus: DatasetDict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare = SFTTrainer._prepare_dataset
    monkeypatch.setattr(
        SFTTrainer, "_prepare_dataset", lambda self, dataset, *more: prepare(self, dataset, *more).select(range(5))
    )
    with pytest.raises(TrainingError, match="the trainer took 5 of 24 rows of train"):
        fine_tune(described_corpus, FineTuning(), ModelSettings(), settings(tmp_path))


def test_learning_lowers_the_loss_and_a_seed_repeats_it(described_corpus: DatasetDict, tmp_path: Path) -> None:
    runs = [
        fine_tune(described_corpus, FineTuning(), ModelSettings(), settings(tmp_path / name)) for name in ("a", "b")
    ]
    losses = [
        [line["loss"] for line in json.loads((run / "training.json").read_text())["log"] if "loss" in line]
        for run in runs
    ]
    assert losses[0] == losses[1]
    assert losses[0][-1] < losses[0][0] - 0.5


def test_interrupted_run_goes_on_to_the_same_end(described_corpus: DatasetDict, tmp_path: Path) -> None:
    whole = fine_tune(described_corpus, FineTuning(), ModelSettings(), settings(tmp_path / "whole"))
    cut = settings(tmp_path / "cut", save_total_limit=None)
    fine_tune(described_corpus, FineTuning(), ModelSettings(), cut)
    shutil.rmtree(tmp_path / "cut" / "checkpoint-6")
    (tmp_path / "cut" / "training.json").unlink()
    with pytest.raises(TrainingError, match=r"cut already holds checkpoint-3.*resume_from_checkpoint true"):
        fine_tune(described_corpus, FineTuning(), ModelSettings(), settings(tmp_path / "cut"))
    resumed = settings(tmp_path / "cut", resume_from_checkpoint="true")
    fine_tune(described_corpus, FineTuning(), ModelSettings(), resumed)
    assert mean_loss(tmp_path / "cut", described_corpus, "test") == pytest.approx(
        mean_loss(whole, described_corpus, "test"), rel=1e-6
    )


def test_adapter_on_a_local_model_names_no_path(described_corpus: DatasetDict, tmp_path: Path) -> None:
    fine_tune(described_corpus, FineTuning(), ModelSettings(), settings(tmp_path / "first", num_train_epochs=1))
    base = tmp_path / "first" / "base_model"
    output = fine_tune(
        described_corpus,
        FineTuning(),
        ModelSettings(model_name_or_path=str(base)),
        settings(tmp_path / "second", num_train_epochs=1),
    )
    assert json.loads((output / "training.json").read_text())["base_model"] == "base_model"
    assert json.loads((output / "adapter_config.json").read_text())["base_model_name_or_path"] == "base_model"
    load_model(output)


def test_all_parameters_can_be_trained(described_corpus: DatasetDict, tmp_path: Path) -> None:
    model = ModelSettings(use_peft=False)
    output = fine_tune(described_corpus, FineTuning(), model, settings(tmp_path, num_train_epochs=1))
    record = json.loads((output / "training.json").read_text())
    assert record["adapter"] is None
    assert record["parameters"]["trained"] == record["parameters"]["all"]
    assert not (output / "adapter_config.json").exists()
    load_model(output)


def test_budget_shortens_the_oldest_turns_and_keeps_every_row(described_corpus: DatasetDict, tmp_path: Path) -> None:
    output = fine_tune(
        described_corpus, FineTuning(token_budget=100), ModelSettings(), settings(tmp_path, num_train_epochs=1)
    )
    record = json.loads((output / "training.json").read_text())
    assert record["token_budget"] == 100
    assert 0 < record["rows"]["train"]["shortened"] < record["rows"]["train"]["all"] == 24


def test_unlabelled_rows_are_counted_and_stay_in_the_history(described_corpus: DatasetDict, tmp_path: Path) -> None:
    described_corpus["train"] = described_corpus["train"].map(
        lambda row: {"emotion": None} if row["turn"] == 0 else {}, features=described_corpus["train"].features
    )
    output = fine_tune(described_corpus, FineTuning(), ModelSettings(), settings(tmp_path, num_train_epochs=1))
    assert json.loads((output / "training.json").read_text())["rows"]["train"] == {
        "all": 24,
        "unlabelled": 6,
        "shortened": 0,
    }


def test_test_split_must_not_choose(described_corpus: DatasetDict, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"test split must not choose.*report on test once"):
        fine_tune(described_corpus, FineTuning(selection_split="test"), ModelSettings(), settings(tmp_path))
    renamed = DatasetDict(
        train=described_corpus["train"], validation=described_corpus["test"], test=described_corpus["test"]
    )
    with pytest.raises(TrainingError, match=r"'test0_0' is in 'validation' and in 'test'"):
        fine_tune(renamed, FineTuning(), ModelSettings(), settings(tmp_path))


@pytest.mark.parametrize(
    ("data", "changes", "message"),
    [
        ({"selection_split": "dev"}, {}, r"no rows of split 'dev'.*validation"),
        ({}, {"max_length": 64}, "use token_budget"),
        ({}, {"packing": True}, "use token_budget"),
    ],
)
def test_what_cannot_work_is_refused(
    described_corpus: DatasetDict, tmp_path: Path, data: dict[str, str], changes: dict[str, object], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        fine_tune(described_corpus, FineTuning(**data), ModelSettings(), settings(tmp_path, **changes))


def test_weighted_f1_of_the_selection_split_chooses_the_epoch(described_corpus: DatasetDict, tmp_path: Path) -> None:
    scores = iter([0.2, 0.6, 0.4])
    seen: list[tuple[int, tuple[str, ...]]] = []

    def falling(model: object, tokenizer: object, rows: Dataset, labels: tuple[str, ...]) -> dict[str, float]:
        seen.append((len(rows), labels))
        return {"weighted_f1": next(scores)}

    by_f1 = settings(tmp_path, num_train_epochs=3, metric_for_best_model="weighted_f1")
    output = fine_tune(described_corpus, FineTuning(), ModelSettings(), by_f1, judge=falling)
    record = json.loads((output / "training.json").read_text())
    assert (record["best"]["step"], record["best"]["eval_weighted_f1"]) == (6, 0.6)
    assert seen == [(12, EMOTIONS)] * 3
    evaluated = {line["step"]: line["eval_loss"] for line in record["log"] if "eval_loss" in line}
    assert mean_loss(output, described_corpus, "validation") == pytest.approx(evaluated[6], rel=1e-3)
    with pytest.raises(TrainingError, match="needs a judge"):
        fine_tune(described_corpus, FineTuning(), ModelSettings(), by_f1)


def test_judge_is_the_final_score(described_corpus: DatasetDict, tmp_path: Path) -> None:
    by_f1 = settings(tmp_path, metric_for_best_model="weighted_f1")
    output = fine_tune(described_corpus, FineTuning(), ModelSettings(), by_f1, judge=judge)
    model, tokenizer = load_model(output)
    rows = build_prompts(described_corpus["validation"], output / "prompt.json")
    best = json.loads((output / "training.json").read_text())["best"]["eval_weighted_f1"]
    assert judge(model, tokenizer, rows, EMOTIONS)["weighted_f1"] == pytest.approx(best)


def test_seeds_give_mean_and_deviation(described_folder: Path, tmp_path: Path) -> None:
    output = train_recipe(
        FineTuning(dataset=str(described_folder), seeds=[1, 11, 42]), ModelSettings(), settings(tmp_path / "runs")
    )
    records = [json.loads((output / f"seed-{seed}" / "training.json").read_text()) for seed in (1, 11, 42)]
    assert [record["seed"] for record in records] == [1, 11, 42]
    losses = [record["best"]["eval_loss"] for record in records]
    assert len(set(losses)) == 3
    summary = json.loads((output / "seeds.json").read_text())
    assert summary["eval_loss"]["mean"] == pytest.approx(np.mean(losses))
    assert summary["eval_loss"]["sd"] == pytest.approx(np.std(losses, ddof=1))


def test_a_share_of_the_dialogues_is_trained_on(described_corpus: DatasetDict, tmp_path: Path) -> None:
    once = settings(tmp_path, num_train_epochs=1)
    output = fine_tune(described_corpus, FineTuning(data_percent=50), ModelSettings(), once)
    record = json.loads((output / "training.json").read_text())
    assert (record["data_percent"], record["rows"]["train"]["all"], record["rows"]["validation"]["all"]) == (50, 12, 12)


def test_a_dataset_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="--dataset"):
        train_recipe(FineTuning(), ModelSettings(), settings(tmp_path))
