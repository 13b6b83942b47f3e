"""Against the whole model: the same batches, every layer at each step."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file

from speechcue_hf.errors import TrainingError
from speechcue_hf.prompts.build import build_prompts
from speechcue_hf.training.arguments import FineTuning, ModelSettings
from speechcue_hf.training.label_loss import batches_of_dialogues, collate_trees, label_loss
from speechcue_hf.training.lower_states import keep_lower_states, upper_layers
from speechcue_hf.training.sft import encode_rows, fine_tune, prepare_inputs
from tests.tiny_chat import described, make_model, tokenizer  # noqa: F401
from tests.training.test_label_loss import assert_equal, dialogues, gradients
from tests.training.test_sft import read_record, settings

pytestmark = pytest.mark.slow


@pytest.fixture
def batches(described: Dataset, tokenizer: Any) -> dict[str, Dataset]:  # noqa: F811
    rows = encode_rows(build_prompts(described, "speechcue"), tokenizer)
    return {"train": batches_of_dialogues(rows, dialogues(described), 300, seed=0)}


def adapted(model: torch.nn.Module, first: int) -> Any:
    torch.manual_seed(1)
    layers = list(range(first, model.config.num_hidden_layers))
    return get_peft_model(
        model, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], layers_to_transform=layers, init_lora_weights=False)
    )


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
@pytest.mark.parametrize("first", [1, 2])
def test_loss_and_every_gradient_are_those_of_the_whole_model(
    kind: str, first: int, batches: dict[str, Dataset], tmp_path: Path
) -> None:
    base = make_model(kind)
    kept = keep_lower_states(batches, base, first, tmp_path)["train"]
    model = adapted(base, first)
    assert len(kept) == len(batches["train"]) > 1
    for whole, without in zip(batches["train"], kept, strict=True):
        model.zero_grad()
        loss = label_loss(model, collate_trees([whole]), torch.float32)
        loss.backward()
        expected = float(loss.detach()), gradients(model)
        model.zero_grad()
        with upper_layers(model, first):
            loss = label_loss(model, collate_trees([without]), torch.float32)
        loss.backward()
        assert_equal((float(loss.detach()), gradients(model)), expected, 1e-5)
    assert len(base.get_decoder().layers) == base.config.num_hidden_layers


def test_states_are_those_between_two_layers(batches: dict[str, Dataset], tmp_path: Path) -> None:
    base = make_model()
    [first, *_] = keep_lower_states(batches, base, 2, tmp_path)["train"]
    tree = collate_trees([first])
    found = tree["states"].view(torch.float32)[0]
    row = first["input_ids"][0][:-1]
    with torch.no_grad():
        states = base(torch.tensor([row]), output_hidden_states=True).hidden_states[2][0]
    # The first row of a tree is its first path.
    np.testing.assert_allclose(found[: len(row)], states, atol=1e-5)


def test_a_run_with_kept_states_takes_the_steps_of_one_without(
    described_corpus: DatasetDict,
    tmp_path: Path,
) -> None:
    base = prepare_inputs(described_corpus, FineTuning(), ModelSettings(), settings(tmp_path / "base")).base
    model: dict[str, Any] = {"model_name_or_path": base, "lora_r": 4, "lora_dropout": 0.0, "lora_first_layer": 1}
    training: dict[str, Any] = {"sharing": "dialogue", "tokens_per_batch": 200, "seed": 0}
    whole = fine_tune(described_corpus, FineTuning(), ModelSettings(**model), settings(tmp_path / "whole", **training))
    states = str(tmp_path / "states")
    kept = fine_tune(
        described_corpus, FineTuning(), ModelSettings(**model, states=states), settings(tmp_path / "kept", **training)
    )
    one, other = (load_file(folder / "adapter_model.safetensors") for folder in (whole, kept))
    assert one.keys() == other.keys() and not [name for name in one if ".layers.0." in name]
    for name, weights in one.items():
        torch.testing.assert_close(other[name], weights, rtol=1e-3, atol=1e-6)
    losses = [
        [line["eval_loss"] for line in read_record(folder)["log"] if "eval_loss" in line] for folder in (whole, kept)
    ]
    np.testing.assert_allclose(*losses, rtol=1e-5)
    assert read_record(kept)["adapter"]["lora_first_layer"] == 1
    written = (tmp_path / "states" / "train.arrow").stat().st_mtime_ns
    again = settings(tmp_path / "again", **{**training, "seed": 5})
    fine_tune(described_corpus, FineTuning(), ModelSettings(**model, states=states), again)
    assert (tmp_path / "states" / "train.arrow").stat().st_mtime_ns == written


def test_states_of_something_else_are_refused(batches: dict[str, Dataset], tmp_path: Path) -> None:
    keep_lower_states(batches, make_model(), 1, tmp_path)
    with pytest.raises(TrainingError, match="differ in first_layer, lower_sha256"):
        keep_lower_states(batches, make_model(), 2, tmp_path)
    other = {"train": batches["train"].select(range(1, len(batches["train"])))}
    with pytest.raises(TrainingError, match=r"train\.arrow holds states of other batches"):
        keep_lower_states(other, make_model(), 1, tmp_path)


def test_a_model_that_scales_its_embeddings_is_refused(batches: dict[str, Dataset], tmp_path: Path) -> None:
    base = make_model()
    decoder = base.get_decoder()
    plain = decoder.forward

    def scaled(input_ids: Any = None, inputs_embeds: Any = None, **named: Any) -> Any:
        embeddings = decoder.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        return plain(inputs_embeds=2 * embeddings, **named)

    decoder.forward = scaled
    with pytest.raises(TrainingError, match="more to its embeddings"):
        keep_lower_states(batches, base, 1, tmp_path)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, "below layers with an adapter only"),
        ({"lora_first_layer": 1, "use_peft": False}, "below layers with an adapter only"),
        ({"lora_first_layer": 9}, "layers are counted from 0"),
    ],
)
def test_what_cannot_be_kept_is_refused(
    changes: dict[str, Any],
    reason: str,
    described_corpus: DatasetDict,
    tmp_path: Path,
) -> None:
    with pytest.raises(TrainingError, match=reason):
        fine_tune(
            described_corpus,
            FineTuning(),
            ModelSettings(states=str(tmp_path / "states"), **changes),
            settings(tmp_path / "run"),
        )
