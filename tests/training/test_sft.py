import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value
from huggingface_hub import HfApi
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    MistralConfig,
    MistralForCausalLM,
    set_seed,
)
from trl import SFTConfig, SFTTrainer, get_peft_config

from speechcue_hf.cues.describe import SpeechDescriber
from speechcue_hf.errors import DialogueError, PromptError, TrainingError
from speechcue_hf.evaluation.evaluate import evaluate
from speechcue_hf.inference.loading import load_classifier
from speechcue_hf.models.loading import load_model
from speechcue_hf.models.tiny import build_tiny_model
from speechcue_hf.prompts.build import build_prompts
from speechcue_hf.prompts.specification import load_prompt
from speechcue_hf.training.arguments import FineTuning, ModelSettings, TrainingSettings
from speechcue_hf.training.recipes import Recipe, train_recipe
from speechcue_hf.training.sft import encode_rows, fine_tune, prepare_inputs
from tests.hub.hub_server import Hub

pytestmark = pytest.mark.slow

EMOTIONS = ("angry", "happy", "neutral")


def settings(output: Path, **changes: object) -> TrainingSettings:
    values = {"num_train_epochs": 2, "learning_rate": 5e-3, "logging_steps": 1, "disable_tqdm": True, "seed": 3}
    values["tokens_per_batch"] = 200
    return TrainingSettings(output_dir=str(output), **{**values, **changes})


@pytest.fixture(scope="module")
def finished(described_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs with both checkpoints; not to be changed."""
    output = tmp_path_factory.mktemp("finished") / "run"
    training = settings(output, save_total_limit=None)
    assert train_recipe(Recipe("chat", FineTuning(dataset=str(described_folder)), ModelSettings(), training)) == output
    return output


def read_record(output: Path) -> dict[str, Any]:
    return json.loads((output / "training.json").read_text())


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
    described_folder: Path, described_corpus: DatasetDict, finished: Path
) -> None:
    output, record = finished, read_record(finished)
    prompt = load_prompt("speechcue")
    assert record["prompt"] == {"name": "speechcue", "sha256": prompt.fingerprint}
    assert load_prompt(output / "prompt.json").fingerprint == prompt.fingerprint
    assert record["labels"] == {"names": ["angry", "happy", "neutral"], "words": ["angry", "happy", "neutral"]}
    assert record["template"]["system"] == "as it is" and record["template"]["date"] is None
    assert record["rows"]["train"] == {"all": 24, "unlabelled": 0, "shortened": 0}
    assert record["rows"]["validation"]["all"] == 12
    assert (record["base_model"], record["seed"], record["adapter"]["lora_r"]) == ("tiny", 3, 16)
    assert record["describer_sha256"] == SpeechDescriber.from_pretrained(described_folder).fingerprint
    assert (output / "describer.json").read_text() == (described_folder / "describer.json").read_text()
    evaluated = [line["eval_loss"] for line in record["log"] if "eval_loss" in line]
    assert record["best"]["eval_loss"] == min(evaluated)
    assert mean_loss(output, described_corpus, "validation") == pytest.approx(min(evaluated), rel=1e-3)
    assert 0 < record["parameters"]["trained"] < record["parameters"]["all"] / 10

    assert not list(output.rglob("README.md")), "the card is written from the scores, later"
    public = [path for path in output.iterdir() if path.is_file()]
    assert not {path.suffix for path in public} - {".json", ".jinja", ".safetensors"}
    assert not [path.name for path in public if str(finished.parent).encode() in path.read_bytes()]


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


@pytest.mark.parametrize(
    "changes",
    [
        {"sharing": "dialogue", "tokens_per_batch": 200, "gradient_accumulation_steps": 5},
        {"sharing": "dialogue", "tokens_per_batch": 1, "gradient_accumulation_steps": 24},
        {"sharing": "dialogue", "tokens_per_batch": 100_000, "gradient_checkpointing": True},
        {"sharing": "none", "per_device_train_batch_size": 8, "gradient_accumulation_steps": 3},
    ],
    ids=["dialogues", "cut dialogues", "all at once", "rows"],
)
def test_steps_are_those_of_trl_on_separate_prompts(
    changes: dict[str, Any], described_corpus: DatasetDict, tmp_path: Path
) -> None:
    """Two steps of plain gradient descent on all rows, by TRL's own trainer and by ours, from the same weights."""
    plain = {"optim": "sgd", "learning_rate": 0.1, "lr_scheduler_type": "constant", "max_grad_norm": 0.0}
    model = ModelSettings(lora_r=4, lora_dropout=0.0)
    ours = fine_tune(described_corpus, FineTuning(), model, settings(tmp_path / "ours", **plain, **changes))

    inputs = prepare_inputs(described_corpus, FineTuning(), model, settings(tmp_path / "trl"))
    whole = {"per_device_train_batch_size": 24, "num_train_epochs": 2, "save_strategy": "no", "use_cpu": True}
    config = SFTConfig(
        str(tmp_path / "trl"), **plain, **whole, seed=3, max_length=None, gradient_checkpointing=False, bf16=False
    )
    set_seed(3)
    trl = SFTTrainer(
        AutoModelForCausalLM.from_pretrained(inputs.base, dtype="float32"),
        config,
        train_dataset=inputs.encoded["train"],
        processing_class=inputs.tokenizer,
        peft_config=get_peft_config(model),
    )
    trl.train()
    trl.save_model(str(tmp_path / "trl"))
    found, expected = (load_file(it / "adapter_model.safetensors") for it in (ours, tmp_path / "trl"))
    assert found.keys() == expected.keys()
    moved = [name for name in expected if "lora_B" in name]
    assert all(expected[name].abs().max() > 1e-4 for name in moved)
    for name, weight in expected.items():
        assert (found[name] - weight).norm() <= 1e-4 * weight.norm(), name


def test_prompts_of_the_last_turns_alone_are_not_shared_unless_asked_for(
    described_corpus: DatasetDict, tmp_path: Path
) -> None:
    once = {"num_train_epochs": 1}
    last = {"extends": "speechcue", "history": 2}
    runs = {
        "whole": (FineTuning(), settings(tmp_path / "a", **once)),
        "last": (FineTuning(prompt=last), settings(tmp_path / "b", **once)),
        "asked": (FineTuning(prompt=last), settings(tmp_path / "c", sharing="dialogue", **once)),
    }
    found = {
        name: read_record(fine_tune(described_corpus, data, ModelSettings(), training))["settings"]["sharing"]
        for name, (data, training) in runs.items()
    }
    assert found == {"whole": "dialogue", "last": "none", "asked": "dialogue"}


def test_a_model_whose_prompts_cannot_branch_is_refused_or_trained_row_by_row(
    described_corpus: DatasetDict, tmp_path: Path
) -> None:
    _, tokenizer = build_tiny_model(["Leave me alone"])
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    windows = MistralConfig(vocab_size=len(tokenizer), num_key_value_heads=2, sliding_window=64, head_dim=8, **sizes)
    MistralForCausalLM(windows).save_pretrained(tmp_path / "windows")
    tokenizer.save_pretrained(tmp_path / "windows")
    model = ModelSettings(model_name_or_path=str(tmp_path / "windows"))
    shared = settings(tmp_path / "a", sharing="dialogue", num_train_epochs=1)
    with pytest.raises(TrainingError, match="layers without full attention, so prompts cannot branch: set sharing to"):
        fine_tune(described_corpus, FineTuning(), model, shared)
    output = fine_tune(described_corpus, FineTuning(), model, settings(tmp_path / "b", num_train_epochs=1))
    assert read_record(output)["settings"]["sharing"] == "none"


def test_a_loss_that_would_be_ignored_is_refused(described_corpus: DatasetDict, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="loss_type, use_liger_kernel and padding_free do not apply"):
        fine_tune(described_corpus, FineTuning(), ModelSettings(), settings(tmp_path, loss_type="dft"))


def test_learning_lowers_the_loss_and_a_seed_repeats_it(
    described_corpus: DatasetDict, finished: Path, tmp_path: Path
) -> None:
    again = fine_tune(described_corpus, FineTuning(), ModelSettings(), settings(tmp_path))
    losses = [[line["loss"] for line in read_record(run)["log"] if "loss" in line] for run in (finished, again)]
    assert losses[0] == losses[1]
    assert losses[0][-1] < losses[0][0] - 0.5


def test_interrupted_run_goes_on_to_the_same_end(described_corpus: DatasetDict, finished: Path, tmp_path: Path) -> None:
    for part in ("base_model", "checkpoint-5"):
        shutil.copytree(finished / part, tmp_path / "cut" / part)
    with pytest.raises(TrainingError, match=r"cut already holds checkpoint-5.*go on with it by --resume"):
        fine_tune(described_corpus, FineTuning(), ModelSettings(), settings(tmp_path / "cut"))
    with pytest.raises(TrainingError, match="the run began with sharing: dialogue, and can only go on with it"):
        others = settings(tmp_path / "cut", resume_from_checkpoint="true", sharing="none")
        fine_tune(described_corpus, FineTuning(), ModelSettings(), others)
    resumed = settings(tmp_path / "cut", resume_from_checkpoint="true")
    fine_tune(described_corpus, FineTuning(), ModelSettings(), resumed)
    assert mean_loss(tmp_path / "cut", described_corpus, "test") == pytest.approx(
        mean_loss(finished, described_corpus, "test"), rel=1e-6
    )


def test_adapter_on_a_local_model_without_padding_token_names_no_path(
    described_corpus: DatasetDict, finished: Path, tmp_path: Path
) -> None:
    base = tmp_path / "plain"
    shutil.copytree(finished / "base_model", base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.pad_token = None
    tokenizer.save_pretrained(base)
    model = ModelSettings(model_name_or_path=str(base))
    output = fine_tune(described_corpus, FineTuning(), model, settings(tmp_path / "run", num_train_epochs=1))
    assert read_record(output)["base_model"] == "plain"
    assert json.loads((output / "adapter_config.json").read_text())["base_model_name_or_path"] == "base_model"
    # Padding with the end token must not take the end token of the answers out of the loss.
    evaluated = [line["eval_loss"] for line in read_record(output)["log"] if "eval_loss" in line]
    assert mean_loss(output, described_corpus, "validation") == pytest.approx(evaluated[-1], rel=1e-3)


def test_tokenizer_without_chat_template_is_refused_before_training(
    described_corpus: DatasetDict, finished: Path, tmp_path: Path
) -> None:
    base = tmp_path / "plain"
    shutil.copytree(finished / "base_model", base)
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.chat_template = None
    shutil.rmtree(base)
    tokenizer.save_pretrained(base)
    with pytest.raises(PromptError, match="has no chat template"):
        fine_tune(
            described_corpus, FineTuning(), ModelSettings(model_name_or_path=str(base)), settings(tmp_path / "run")
        )


def test_a_base_model_on_the_hub_is_pinned_to_the_commit_that_was_asked_for(
    hub: Hub, described_corpus: DatasetDict, finished: Path, tmp_path: Path
) -> None:
    """What is there now cannot be loaded, so whoever does not ask for the commit fails."""
    api = HfApi()
    api.create_repo("tester/base")
    commit = api.upload_folder(folder_path=finished / "base_model", repo_id="tester/base").oid
    for name in ("tokenizer.json", "model.safetensors"):
        api.upload_file(path_or_fileobj=b"{}", path_in_repo=name, repo_id="tester/base")
    model = ModelSettings(model_name_or_path="tester/base", model_revision=commit)
    output = fine_tune(described_corpus, FineTuning(), model, settings(tmp_path, max_steps=1))
    record = read_record(output)
    assert (record["base_model"], record["base_model_revision"]) == ("tester/base", commit)
    assert json.loads((output / "adapter_config.json").read_text())["revision"] == commit
    weights = load_file(finished / "base_model" / "model.safetensors")
    loaded = load_model(output)[0].get_base_model().state_dict()
    assert torch.equal(loaded["model.norm.weight"].cpu().float(), weights["model.norm.weight"])


def test_all_parameters_can_be_trained(described_corpus: DatasetDict, tmp_path: Path) -> None:
    model = ModelSettings(use_peft=False)
    output = fine_tune(described_corpus, FineTuning(), model, settings(tmp_path, num_train_epochs=1))
    record = read_record(output)
    assert record["adapter"] is None
    assert record["parameters"]["trained"] == record["parameters"]["all"]
    assert not (output / "adapter_config.json").exists()
    load_model(output)


def test_budget_shortens_the_oldest_turns_and_keeps_every_row(described_corpus: DatasetDict, tmp_path: Path) -> None:
    output = fine_tune(
        described_corpus, FineTuning(token_budget=100), ModelSettings(), settings(tmp_path, num_train_epochs=1)
    )
    record = read_record(output)
    assert record["token_budget"] == 100
    assert 0 < record["rows"]["train"]["shortened"] < record["rows"]["train"]["all"] == 24


def test_unlabelled_rows_are_counted_and_stay_in_the_history(described_corpus: DatasetDict, tmp_path: Path) -> None:
    described_corpus["train"] = described_corpus["train"].map(
        lambda row: {"emotion": None} if row["turn"] == 0 else {}, features=described_corpus["train"].features
    )
    output = fine_tune(described_corpus, FineTuning(), ModelSettings(), settings(tmp_path, num_train_epochs=1))
    assert read_record(output)["rows"]["train"] == {
        "all": 24,
        "unlabelled": 6,
        "shortened": 0,
    }


def test_test_split_must_not_choose(described_corpus: DatasetDict, tmp_path: Path) -> None:
    for split in ("selection_split", "train_split"):
        with pytest.raises(TrainingError, match=r"test split must not (choose|be trained on).*report on test once"):
            fine_tune(described_corpus, FineTuning(**{split: "test"}), ModelSettings(), settings(tmp_path))
    renamed = DatasetDict(
        train=described_corpus["train"], validation=described_corpus["test"], test=described_corpus["test"]
    )
    with pytest.raises(TrainingError, match=r"'test0_0' is in 'validation' and in 'test'"):
        fine_tune(renamed, FineTuning(), ModelSettings(), settings(tmp_path))


@pytest.mark.parametrize(
    ("data", "changes", "message"),
    [
        ({"selection_split": "dev"}, {}, r"no rows of split 'dev'.*validation"),
        ({"selection_split": "train"}, {}, "'train' is trained on, so it cannot choose"),
        ({"token_budget": 5000}, {}, "token_budget is 5000, but the model has 4096 positions"),
        ({"token_budget": 30}, {}, "'train0_0' exceeds the budget of 30 tokens .* raise the budget"),
        ({}, {"max_length": 64}, "use token_budget"),
        ({}, {"packing": True}, "use token_budget"),
    ],
)
def test_what_cannot_work_is_refused(
    described_corpus: DatasetDict, tmp_path: Path, data: dict[str, Any], changes: dict[str, object], message: str
) -> None:
    with pytest.raises((TrainingError, PromptError), match=message):
        fine_tune(described_corpus, FineTuning(**data), ModelSettings(), settings(tmp_path, **changes))


def test_weighted_f1_of_the_selection_split_chooses_the_epoch(
    described_corpus: DatasetDict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.2, 0.6, 0.4])
    true = described_corpus["validation"]["emotion"][:]
    seen: list[bool] = []

    def falling(references: list[int], predictions: list[int]) -> float:
        seen.append(references == true and len(predictions) == 12)
        return next(scores)

    monkeypatch.setattr("speechcue_hf.training.run.weighted_f1", falling)
    by_f1 = settings(tmp_path, num_train_epochs=3, metric_for_best_model="weighted_f1")
    output = fine_tune(described_corpus, FineTuning(), ModelSettings(), by_f1)
    record = read_record(output)
    assert (record["best"]["step"], record["best"]["eval_weighted_f1"]) == (10, 0.6)
    assert seen == [True] * 3
    evaluated = {line["step"]: line["eval_loss"] for line in record["log"] if "eval_loss" in line}
    assert mean_loss(output, described_corpus, "validation") == pytest.approx(evaluated[10], rel=1e-3)


def test_the_score_that_chooses_is_that_of_evaluation(described_corpus: DatasetDict, tmp_path: Path) -> None:
    by_f1 = settings(tmp_path, metric_for_best_model="weighted_f1")
    output = fine_tune(described_corpus, FineTuning(), ModelSettings(), by_f1)
    results, _ = evaluate(load_classifier(output), described_corpus["validation"])
    assert results.weighted_f1 == pytest.approx(read_record(output)["best"]["eval_weighted_f1"])


def test_seeds_give_mean_and_deviation(described_folder: Path, tmp_path: Path) -> None:
    data = FineTuning(dataset=str(described_folder), seeds=[1, 11])
    training = settings(tmp_path / "runs", num_train_epochs=1)
    output = train_recipe(Recipe("chat", data, ModelSettings(), training))
    records = [read_record(output / f"seed-{seed}") for seed in (1, 11)]
    assert [record["seed"] for record in records] == [1, 11]
    losses = [record["best"]["eval_loss"] for record in records]
    assert len(set(losses)) == 2
    summary = json.loads((output / "seeds.json").read_text())
    assert summary["eval_loss"]["mean"] == pytest.approx(np.mean(losses))
    assert summary["eval_loss"]["sd"] == pytest.approx(np.std(losses, ddof=1))


def test_a_share_of_the_dialogues_is_trained_on(described_corpus: DatasetDict, tmp_path: Path) -> None:
    once = settings(tmp_path, num_train_epochs=1)
    output = fine_tune(described_corpus, FineTuning(data_percent=50), ModelSettings(), once)
    record = read_record(output)
    assert (record["data_percent"], record["rows"]["train"]["all"], record["rows"]["validation"]["all"]) == (50, 12, 12)


def test_demonstrations_come_from_the_share_that_is_trained_on(described_corpus: DatasetDict, tmp_path: Path) -> None:
    data = FineTuning(prompt={"extends": "speechcue", "demonstrations": 3}, data_percent=50)
    inputs = prepare_inputs(described_corpus, data, ModelSettings(), settings(tmp_path))
    trained_on = set(inputs.rows["train"]["utterance_id"])
    assert len(trained_on) == 12
    for rows in inputs.rows.values():
        shown = {name for names in rows["demonstrations"] for name in names}
        assert len(shown) >= 3 and shown <= trained_on
    assert all(len(row["prompt"]) == 7 for row in inputs.rows["validation"])


def test_labels_of_both_splits_must_agree(described_corpus: DatasetDict, tmp_path: Path) -> None:
    other = ClassLabel(names=["happy", "angry", "neutral"])
    features = described_corpus["validation"].features | {"emotion": other}
    reordered = DatasetDict(
        described_corpus, validation=described_corpus["validation"].map(features=Features(features))
    )
    with pytest.raises(TrainingError, match=r"train has the labels \['angry'.*validation has \['happy'"):
        fine_tune(reordered, FineTuning(), ModelSettings(), settings(tmp_path))
    words = described_corpus.cast_column("emotion", Value("string"))
    with pytest.raises(PromptError, match="not a ClassLabel"):
        fine_tune(words, FineTuning(), ModelSettings(), settings(tmp_path))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda rows: rows.remove_columns("speech_description"), r"needs the columns \['speech_description'\]"),
        (lambda rows: rows.shuffle(seed=0), "must stand together"),
        (lambda rows: rows.select(range(1, len(rows))), "is turn 1 of dialogue 'train0', where turn 0 is expected"),
    ],
    ids=["no description", "shuffled", "first turn missing"],
)
def test_rows_that_do_not_fit_the_prompt_are_refused(
    described_corpus: DatasetDict, tmp_path: Path, spoil: Callable[[Dataset], Dataset], message: str
) -> None:
    described_corpus["train"] = spoil(described_corpus["train"])
    with pytest.raises((PromptError, DialogueError), match=message):
        fine_tune(described_corpus, FineTuning(), ModelSettings(), settings(tmp_path))


def test_a_dataset_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="--dataset"):
        train_recipe(Recipe("chat", FineTuning(), ModelSettings(), settings(tmp_path)))


def test_one_label_is_refused_before_training(described_corpus: DatasetDict, tmp_path: Path) -> None:
    one = described_corpus.map(lambda row: {"emotion": 0}).cast_column("emotion", ClassLabel(names=["neutral"]))
    with pytest.raises(TrainingError, match=r"1 label \(neutral\)"):
        fine_tune(one, FineTuning(), ModelSettings(), settings(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_quantised_base_trains_as_its_dequantised_weights_do(described_corpus: DatasetDict, tmp_path: Path) -> None:
    bitsandbytes = pytest.importorskip("bitsandbytes")
    model, tokenizer = build_tiny_model(["Leave me alone"])
    model.save_pretrained(tmp_path / "whole")
    quantised = AutoModelForCausalLM.from_pretrained(
        tmp_path / "whole", quantization_config=BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")
    )
    for name, layer in quantised.named_modules():
        if isinstance(layer, bitsandbytes.nn.Linear4bit):
            weight = bitsandbytes.functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state)
            assert not torch.equal(weight, model.get_submodule(name).weight)
            model.get_submodule(name).weight.data = weight.float()
    model.save_pretrained(tmp_path / "dequantised")

    changes = {}
    for base, four_bits in (("whole", True), ("dequantised", False), ("whole", False)):
        tokenizer.save_pretrained(tmp_path / base)
        chosen = ModelSettings(model_name_or_path=str(tmp_path / base), load_in_4bit=four_bits)
        training = settings(tmp_path / f"run-{base}-{four_bits}", max_steps=1, optim="sgd", learning_rate=1.0)
        output = fine_tune(described_corpus, FineTuning(), chosen, training)
        assert read_record(output)["quantised"] is four_bits
        adapter = load_file(output / "adapter_model.safetensors")
        # Their other halves are 0 before the first step, so these are what it took: the gradient.
        changes[base, four_bits] = torch.cat([it.flatten().float() for name, it in adapter.items() if "lora_B" in name])
    step = changes["whole", True]
    off = {it: float((step - other).norm() / step.norm()) for it, other in changes.items()}
    # TRL keeps the adapter of a quantised model in bfloat16, which rounds by 1/256.
    assert off["dequantised", False] < 0.01 < 0.05 < off["whole", False]
