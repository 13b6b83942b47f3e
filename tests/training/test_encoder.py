"""Real runs of the encoder classifier on twelve tiny dialogues, whose emotion follows from the words."""

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from safetensors.torch import load_file

from speechcue_hf import records
from speechcue_hf.cli import main
from speechcue_hf.errors import ModelError, TrainingError
from speechcue_hf.models.bioserc import BiosErcForUtteranceClassification
from speechcue_hf.records import TrainingRecord
from speechcue_hf.training.arguments import DataSettings, EncoderSettings, EncoderTraining
from speechcue_hf.training.encoder import class_weights, logit_shifts, parameter_groups, train_encoder, weighted_loss
from speechcue_hf.training.recipes import Recipe, train_recipe
from tests.hub.hub_server import Hub, Repository
from tests.models.bioserc.tiny_encoders import save_tiny_encoder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoders")
    for kind in ("bert", "roberta"):
        save_tiny_encoder(kind, folder / kind)
    return folder


def settings(output: Path, **changes: Any) -> EncoderTraining:
    values = {"num_train_epochs": 4, "learning_rate": 1e-2, "logging_steps": 1, "disable_tqdm": True, "seed": 3}
    values |= {"per_device_train_batch_size": 2, "per_device_eval_batch_size": 2}
    return EncoderTraining(output_dir=str(output), **{**values, **changes})


def train(dataset: DatasetDict, encoder: Path, training: EncoderTraining, **model: Any) -> Path:
    shape = EncoderSettings(encoder=str(encoder), num_attention_heads=4, dropout=0.0, **model)
    return train_encoder(dataset, DataSettings(), shape, training)


def read_record(output: Path) -> dict[str, Any]:
    return json.loads((output / "training.json").read_text())


def with_biographies(dataset: DatasetDict, scope: str) -> DatasetDict:
    def tell(row: Mapping[str, Any]) -> dict[str, str]:
        return {"biography": f"{row['speaker']} waits for the bus.", "biography_scope": scope}

    return dataset.map(tell)


@pytest.fixture(scope="module")
def finished(all_splits: DatasetDict, encoders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on RoBERTa with every head there is; not to be changed."""
    output = tmp_path_factory.mktemp("finished") / "run"
    training = settings(output, save_total_limit=None)
    told = with_biographies(DatasetDict(all_splits), "history")
    return train(told, encoders / "roberta", training, biographies="attention", cues="description", frozen_layers=1)


def test_a_run_learns_and_leaves_what_is_needed_to_use_it(finished: Path) -> None:
    record = read_record(finished)
    # Three emotions, equally often: chance is a third.
    assert record["best"]["eval_weighted_f1"] > 0.6
    assert record["labels"]["names"] == ["angry", "happy", "neutral"]
    assert (record["base_model"], record["seed"], record["token_budget"]) == ("roberta", 3, 48)
    assert (record["sees_future"], record["future_turns"], record["biography_scope"]) == (False, 0, "history")
    assert record["rows"]["train"] == {"all": 24, "unlabelled": 0, "shortened": 0}
    assert 0 < record["parameters"]["trained"] < record["parameters"]["all"]
    public = [path for path in finished.iterdir() if path.is_file()]
    assert {path.suffix for path in public} == {".json", ".safetensors", ".py"}
    assert not [path.name for path in public if str(finished.parent.parent).encode() in path.read_bytes()]


def test_a_run_goes_on_from_the_encoder_of_another_and_says_so(
    finished: Path, described_corpus: DatasetDict, tmp_path: Path
) -> None:
    output = train(described_corpus, finished, settings(tmp_path / "second", max_steps=1), frozen_layers=2)
    before, after = load_file(finished / "model.safetensors"), load_file(output / "model.safetensors")
    encoder = [name for name in before if name.startswith("encoder.")]
    assert encoder and all(torch.equal(after[name], before[name]) for name in encoder)
    first, record = read_record(finished), read_record(output)
    assert (record["base_model"], record["encoder"]["encoder"]) == ("roberta", "run")
    earlier = {
        "corpus": first["corpus"],
        "rows": 24,
        "training_sha256": records.read_record(TrainingRecord, finished).fingerprint,
    }
    assert first["trained_before"] == [] and record["trained_before"] == [earlier]
    third = train(described_corpus, output, settings(tmp_path / "third", max_steps=1), frozen_layers=2)
    assert [it["rows"] for it in read_record(third)["trained_before"]] == [24, 24]
    assert read_record(third)["trained_before"][0] == earlier
    assert read_record(third)["base_model"] == "roberta"


def test_a_file_named_like_our_record_beside_another_encoder_is_not_read(
    described_corpus: DatasetDict, encoders: Path, tmp_path: Path
) -> None:
    encoder = shutil.copytree(encoders / "bert", tmp_path / "encoder")
    (encoder / "training.json").write_text('{"epochs": 3}')
    record = read_record(train(described_corpus, encoder, settings(tmp_path / "run", max_steps=1), frozen_layers=2))
    assert (record["base_model"], record["trained_before"]) == ("encoder", [])


def test_every_head_and_layer_that_is_not_frozen_moves(finished: Path) -> None:
    first = load_file(finished / "checkpoint-3" / "model.safetensors")
    last = load_file(finished / "checkpoint-12" / "model.safetensors")
    still = {name for name in first if torch.equal(first[name], last[name])}
    frozen = {name for name in first if "embeddings" in name or ".layer.0." in name or name.startswith("inputs.")}
    assert still == frozen
    assert {name.split(".")[1] for name in first if name.startswith("heads.")} == {
        "utterance",
        "dialogue",
        "same_speaker",
        "other_speakers",
        "biography",
    }


def test_best_epoch_is_kept_and_scores_again_as_recorded(finished: Path, all_splits: DatasetDict) -> None:
    from speechcue_hf.evaluation.evaluate import evaluate
    from speechcue_hf.inference.loading import load_classifier

    record = read_record(finished)
    scores = [line["eval_weighted_f1"] for line in record["log"] if "eval_weighted_f1" in line]
    assert record["best"]["eval_weighted_f1"] == max(scores)
    told = with_biographies(DatasetDict(all_splits), "history")["validation"]
    results, _ = evaluate(load_classifier(finished), told)
    assert results.weighted_f1 == pytest.approx(max(scores))


def test_frozen_encoder_is_read_once_and_learns_as_well(
    described_corpus: DatasetDict, encoders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    calls = []
    encode = BiosErcForUtteranceClassification.encode
    monkeypatch.setattr(BiosErcForUtteranceClassification, "encode", lambda *args: calls.append(1) or encode(*args))
    output = train(described_corpus, encoders / "bert", settings(tmp_path / "run"), frozen_layers=2)
    assert len(calls) == 2, "one batch of each split, however many epochs"
    assert read_record(output)["best"]["eval_weighted_f1"] > 0.9
    before = load_file(encoders / "bert" / "model.safetensors")
    after = load_file(output / "model.safetensors")
    assert all(torch.equal(after[f"encoder.{name}"], before[name]) for name in before if "pooler" not in name)


def test_checkpoint_leaves_out_a_frozen_encoder_and_is_gone_on_with(
    described_corpus: DatasetDict, encoders: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = train(
        described_corpus, encoders / "bert", settings(tmp_path / "whole", save_total_limit=None), frozen_layers=2
    )
    checkpoint = whole / "checkpoint-6"
    assert not [name for name in load_file(checkpoint / "model.safetensors") if name.startswith("encoder.")]
    with pytest.raises(ValueError, match="a checkpoint, which leaves out the frozen encoder"):
        BiosErcForUtteranceClassification.from_pretrained(checkpoint)
    shutil.copytree(checkpoint, tmp_path / "cut" / "checkpoint-6")
    resumed = settings(tmp_path / "cut", resume_from_checkpoint="true", save_total_limit=None)
    gone_on = train(described_corpus, encoders / "bert", resumed, frozen_layers=2)
    one, two = (load_file(run / "model.safetensors") for run in (whole, gone_on))
    assert one.keys() == two.keys() and any(name.startswith("encoder.") for name in one)
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, rtol=0, atol=1e-5)
    assert not [message for message in caplog.messages if "missing keys" in message]


def test_interrupted_run_goes_on_to_the_same_end(
    all_splits: DatasetDict, encoders: Path, finished: Path, tmp_path: Path
) -> None:
    shutil.copytree(finished / "checkpoint-6", tmp_path / "cut" / "checkpoint-6")
    told = with_biographies(DatasetDict(all_splits), "history")
    model = {"biographies": "attention", "cues": "description", "frozen_layers": 1}
    with pytest.raises(TrainingError, match="cut already holds checkpoint-6"):
        train(told, encoders / "roberta", settings(tmp_path / "cut"), **model)
    resumed = settings(tmp_path / "cut", resume_from_checkpoint="true", save_total_limit=None)
    train(told, encoders / "roberta", resumed, **model)
    one, two = (load_file(run / "checkpoint-12" / "model.safetensors") for run in (finished, tmp_path / "cut"))
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, rtol=0, atol=1e-5)


def test_bfloat16_is_taken_on_a_cpu_that_has_it(
    described_corpus: DatasetDict, encoders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    first = {}
    for name, asked in (("single", {}), ("half", {"bf16": True})):
        training = settings(tmp_path / name, num_train_epochs=1, **asked)
        output = train(described_corpus, encoders / "bert", training)
        record = read_record(output)
        assert record["settings"]["bf16"] is (name == "half")
        assert {tensor.dtype for tensor in load_file(output / "model.safetensors").values()} == {torch.float32}
        first[name] = record["log"][0]["loss"]
    assert first["half"] == pytest.approx(first["single"], rel=0.02)
    assert first["half"] != first["single"]


def test_bfloat16_is_left_off_on_a_cpu_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_bf16": False})
    assert not settings(tmp_path).bf16
    assert not caplog.messages
    assert not settings(tmp_path, bf16=True).bf16
    assert caplog.messages == ["bf16 is left off: this CPU has no instructions for it; single precision is faster"]
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"architecture": "aarch64", "bf16": True})
    assert settings(tmp_path, bf16=True).bf16


def test_test_split_is_refused(described_corpus: DatasetDict, encoders: Path, tmp_path: Path) -> None:
    shape = EncoderSettings(encoder=str(encoders / "bert"))
    with pytest.raises(TrainingError, match="the test split must not choose the best epoch"):
        train_encoder(described_corpus, DataSettings(selection_split="test"), shape, settings(tmp_path))


def test_an_encoder_without_access_or_that_is_not_there_is_named(
    described_corpus: DatasetDict, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repositories["model", "tester/closed"] = Repository("model", "tester/closed", private=False, gated=True)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(OSError, match=r"(?s)gated repo.*have access to it at https://huggingface.co/tester/closed"):
        train(described_corpus, Path("tester/closed"), settings(tmp_path))
    with pytest.raises(OSError, match="tester/none is not a local folder and is not a valid model identifier"):
        train(described_corpus, Path("tester/none"), settings(tmp_path))


def test_standardised_layers_learn_over_an_encoder_that_is_trained(
    described_corpus: DatasetDict, encoders: Path, tmp_path: Path
) -> None:
    changes = settings(tmp_path, num_train_epochs=4, learning_rate=3e-3)
    output = train(described_corpus, encoders / "bert", changes, design="standardised", frozen_layers=1)
    losses = [line["loss"] for line in read_record(output)["log"] if "loss" in line]
    assert losses[-1] < losses[0] - 0.1


def test_cues_that_are_not_there_are_named(described_corpus: DatasetDict, encoders: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no column of z-scores"):
        train(described_corpus, encoders / "bert", settings(tmp_path), cues="z_scores")
    with pytest.raises(ModelError, match="no row has a biography"):
        train(described_corpus, encoders / "bert", settings(tmp_path), biographies="static")


def test_z_scores_are_those_of_measurements_and_of_nothing_else(
    described_corpus: DatasetDict, encoders: Path, tmp_path: Path
) -> None:
    # In the dataset's order; how often somebody speaks is no measurement of the voice, nor is a column of the user's.
    scores = {"turns_z": 1.0, "pause_ratio_z": 2.0, "my_z": 3.0, "f0_mean_hz_z": None}
    measured = described_corpus.map(lambda row: scores)
    output = train(measured, encoders / "bert", settings(tmp_path, max_steps=1), cues="z_scores", frozen_layers=2)
    assert read_record(output)["encoder"]["cue_names"] == ["pause_ratio_z", "f0_mean_hz_z"]


def test_a_dialogue_of_one_turn_and_one_without_labels_are_trained_with(
    described_corpus: DatasetDict, encoders: Path, tmp_path: Path
) -> None:
    rows: Dataset = described_corpus["train"]
    dialogues = rows["dialogue_id"]
    rows = rows.map(lambda row: {"emotion": None} if row["dialogue_id"] == dialogues[-1] else {})
    second = dialogues.index(next(name for name in dialogues if name != dialogues[0]))
    described_corpus["train"] = rows.select([0, *range(second, len(rows))])
    training = settings(tmp_path, num_train_epochs=1, per_device_train_batch_size=1, class_weights="log")
    record = read_record(train(described_corpus, encoders / "bert", training, frozen_layers=1))
    losses = [line["loss"] for line in record["log"] if "loss" in line]
    assert losses.count(0.0) == 1 and np.isfinite(losses).all()
    weights = load_file(tmp_path / "model.safetensors")
    assert all(weight.isfinite().all() for weight in weights.values())


def test_biographies_of_whole_dialogues_are_recorded_as_the_future(
    described_corpus: DatasetDict, encoders: Path, tmp_path: Path
) -> None:
    told = with_biographies(described_corpus, "dialogue")
    output = train(told, encoders / "bert", settings(tmp_path, max_steps=1), biographies="static", frozen_layers=2)
    record = read_record(output)
    assert (record["sees_future"], record["future_turns"], record["biography_scope"]) == (True, 0, "dialogue")


def test_several_seeds_leave_mean_and_deviation(described_folder: Path, encoders: Path, tmp_path: Path) -> None:
    data = DataSettings(dataset=str(described_folder), seeds=[1, 2])
    shape = EncoderSettings(encoder=str(encoders / "bert"), num_attention_heads=4, dropout=0.0, frozen_layers=2)
    train_recipe(Recipe("encoder", data, shape, settings(tmp_path, num_train_epochs=1)))
    summary = json.loads((tmp_path / "seeds.json").read_text())
    values = [read_record(tmp_path / f"seed-{seed}")["best"]["eval_loss"] for seed in (1, 2)]
    assert summary["eval_loss"] == {
        "mean": pytest.approx(np.mean(values)),
        "sd": pytest.approx(np.std(values, ddof=1)),
        "values": values,
    }
    assert values[0] != values[1]


def test_loss_is_the_weighted_smoothed_cross_entropy_of_the_logits() -> None:
    logits = torch.tensor([[[1.0, -1.0, 0.5], [0.0, 2.0, 0.0], [3.0, 0.0, 0.0]]])
    labels = torch.tensor([[0, 1, -100]])
    weights = [0.5, 2.0, 1.0]
    expected = 0.0
    for row, label in ((0, 0), (1, 1)):
        scores = logits[0, row].numpy()
        log_shares = scores - math.log(np.exp(scores).sum())
        target = [(0.9 if it == label else 0.0) + 0.1 / 3 for it in range(3)]
        expected -= sum(share * weight * log for share, weight, log in zip(target, weights, log_shares, strict=True))
    loss = weighted_loss({"logits": logits}, labels, weights=weights, smoothing=0.1, shifts=[0.0] * 3)
    assert loss.item() == pytest.approx(expected / 2, rel=1e-5)
    # A step of several batches divides by the labelled utterances of all of them.
    part = weighted_loss({"logits": logits}, labels, torch.tensor(8), weights=weights, smoothing=0.1, shifts=[0.0] * 3)
    assert part.item() == pytest.approx(expected / 8, rel=1e-5)


def test_adjusted_logits_are_shifted_by_the_labels_frequency_in_the_loss_only() -> None:
    shifts = logit_shifts([0, 0, 0, None, 1], 3, 0.5)
    assert shifts == pytest.approx([0.5 * math.log(3 / 4), 0.5 * math.log(1 / 4), 0.5 * math.log(1 / 4)])
    logits = torch.tensor([[[1.0, -1.0, 0.5]]])
    scores = logits[0, 0].numpy() + np.array(shifts)
    loss = weighted_loss({"logits": logits}, torch.tensor([[1]]), weights=None, smoothing=0.0, shifts=shifts)
    assert loss.item() == pytest.approx(math.log(np.exp(scores).sum()) - scores[1], rel=1e-5)
    assert logit_shifts([0, 1], 2, 0.0) == [0.0, 0.0]


def test_class_weights_are_those_of_the_paper() -> None:
    emotions = [0, 0, 0, None, 1]
    assert class_weights(emotions, 3, "log") == pytest.approx([math.log(4 / 3), math.log(4), 0.0])
    assert class_weights(emotions, 3, "none") is None
    with pytest.raises(TrainingError, match="no row has a label"):
        class_weights([None], 3, "none")
    with pytest.raises(TrainingError, match=r"of one class, which weighs ln\(N / n_c\) = 0: use class_weights none"):
        class_weights([1, 1, None], 3, "log")
    assert class_weights([1, 1], 3, "none") is None


def test_encoder_has_a_learning_rate_of_its_own_and_norms_do_not_decay(encoders: Path, tmp_path: Path) -> None:
    model = BiosErcForUtteranceClassification.from_encoder(
        str(encoders / "bert"), num_attention_heads=4, frozen_layers=1
    )
    groups = parameter_groups(model, settings(tmp_path, encoder_learning_rate=1e-5, weight_decay=0.1))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    held = {names[id(parameter)]: group for group in groups for parameter in group["params"]}
    assert held.keys() == {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    for name, group in held.items():
        assert group["lr"] == (1e-5 if name.startswith("encoder.") else 1e-2)
        assert (group["weight_decay"] == 0) == (name.endswith("bias") or "orm" in name)


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_one_cycle_of_a_few_steps_is_a_cycle(
    steps: int, described_corpus: DatasetDict, encoders: Path, tmp_path: Path
) -> None:
    training = settings(tmp_path, one_cycle=True, warmup_steps=0.1, max_steps=steps)
    output = train(described_corpus, encoders / "bert", training, frozen_layers=2)
    assert read_record(output)["steps"] == steps


def test_one_cycle_rises_as_long_as_the_warm_up(described_corpus: DatasetDict, encoders: Path, tmp_path: Path) -> None:
    highest = {}
    for share in (0.25, 0.75):
        training = settings(tmp_path / str(share), one_cycle=True, warmup_steps=share)
        output = train(described_corpus, encoders / "bert", training, frozen_layers=2)
        rates = [line["learning_rate"] for line in read_record(output)["log"] if "learning_rate" in line]
        highest[share] = rates.index(max(rates)) / len(rates)
    assert highest[0.25] == pytest.approx(0.25, abs=0.1)
    assert highest[0.75] == pytest.approx(0.75, abs=0.1)


def test_one_cycle_rises_and_falls_to_nothing(described_corpus: DatasetDict, encoders: Path, tmp_path: Path) -> None:
    training = settings(tmp_path, one_cycle=True)
    output = train(described_corpus, encoders / "bert", training, frozen_layers=2)
    rates = [line["learning_rate"] for line in read_record(output)["log"] if "learning_rate" in line]
    highest = rates.index(max(rates))
    assert 0 < highest < len(rates) - 1
    assert max(rates) == pytest.approx(1e-2, rel=0.1)
    assert rates[-1] < 1e-3


def test_unlabelled_utterances_are_read_but_not_counted(
    described_corpus: DatasetDict, encoders: Path, tmp_path: Path
) -> None:
    emotions = [None if row % 4 == 1 else emotion for row, emotion in enumerate(described_corpus["train"]["emotion"])]
    rows: Dataset = described_corpus["train"]
    described_corpus["train"] = rows.remove_columns("emotion").add_column(
        "emotion", emotions, feature=rows.features["emotion"]
    )
    output = train(described_corpus, encoders / "bert", settings(tmp_path, max_steps=1), frozen_layers=2)
    assert read_record(output)["rows"]["train"] == {"all": 24, "unlabelled": 6, "shortened": 0}


@pytest.mark.parametrize(
    ("said", "named", "origin"),
    [
        ("nreimers/MiniLM-L6-H384-uncased", "nreimers/MiniLM-L6-H384-uncased", ", as its configuration says |"),
        ("/home/somebody/MiniLM", "model", ", a folder that names no model of the Hub |"),
        (None, "model", ", a folder that names no model of the Hub |"),
    ],
)
def test_the_card_of_a_run_from_python_names_the_encoder(
    described_corpus: DatasetDict, encoders: Path, tmp_path: Path, said: str | None, named: str, origin: str
) -> None:
    encoder = tmp_path / "model"
    shutil.copytree(encoders / "bert", encoder)
    config = json.loads((encoder / "config.json").read_text())
    (encoder / "config.json").write_text(json.dumps(config | ({"_name_or_path": said} if said else {})))
    measured = described_corpus.map(lambda row: {"f0_mean_hz_z": 1.0})
    run = tmp_path / "run"
    assert train(measured, encoder, settings(run, max_steps=1), cues="z_scores", frozen_layers=2) == run
    assert main(["card", str(run)]) == 0
    card = (run / "README.md").read_text()
    assert f"in the manner of BiosERC, on `{named}`," in card and f"| base model | `{named}`{origin}" in card
    assert str(tmp_path) not in card
    assert ("base_model: nreimers/MiniLM-L6-H384-uncased" in card) == (named != "model")
