from typing import Any

import pytest
import torch
from torch.nn.functional import normalize

from speechcue_hf.models.semollm.configuration_semollm import SEmoLLMConfig
from speechcue_hf.models.semollm.pretraining_semollm import LossWeights, SEmoLLMForPretraining

QUERIES = 4


def build(weights: LossWeights | None = None, **changes: Any) -> SEmoLLMForPretraining:
    torch.manual_seed(0)
    qformer = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    qformer |= {"vocab_size": 30, "max_position_embeddings": 20, "use_qformer_text_input": True}
    qformer |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "initializer_range": 0.2}
    speech = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    speech |= {"conv_dim": (16,), "conv_kernel": (400,), "conv_stride": (320,), "feat_extract_norm": "layer"}
    speech |= {"num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2, "num_feat_extract_layers": 1}
    settings = {
        "qformer_config": qformer,
        "speech_config": speech,
        "text_config": {"hidden_size": 16, "num_attention_heads": 1},
    }
    settings |= {"num_query_tokens": QUERIES, "classifier_proj_size": 16, "projection_dropout": 0.0}
    return SEmoLLMForPretraining(SEmoLLMConfig(**settings | changes), weights)


def batch(rows: int = 6) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    captions = torch.randint(4, 30, (rows, 6), generator=generator)
    captions[:, 0] = 1
    captions[2] = captions[0]
    mask = torch.ones_like(captions)
    mask[1, 4:] = 0
    decoder = captions.clone()
    decoder[:, 0] = 2
    states = torch.randn(rows, 2, 9, 16, generator=generator)
    frames = torch.ones(rows, 9, dtype=torch.bool)
    frames[3, 5:] = False
    named = {"caption_ids": captions, "caption_mask": mask, "decoder_ids": decoder}
    return named | {"speech_states": states, "speech_states_mask": frames}


def losses(model: SEmoLLMForPretraining, inputs: dict[str, torch.Tensor]) -> dict[str, float]:
    torch.manual_seed(7)
    with torch.no_grad():
        return {name: float(value) for name, value in model(**inputs).items()}


def test_padding_of_clips_and_captions_changes_no_loss() -> None:
    model, inputs = build(), batch()
    padded = dict(inputs)
    for name in ("caption_ids", "decoder_ids"):
        padded[name] = torch.nn.functional.pad(inputs[name], (0, 3), value=9)
    padded["caption_mask"] = torch.nn.functional.pad(inputs["caption_mask"], (0, 3))
    padded["speech_states"] = torch.nn.functional.pad(inputs["speech_states"], (0, 0, 0, 5), value=3.0)
    padded["speech_states_mask"] = torch.nn.functional.pad(inputs["speech_states_mask"], (0, 5))
    # What lies under the mask may be anything.
    padded["speech_states"][3, :, 5:] = -2.0
    padded["caption_ids"][1, 4:] = 17
    assert losses(model, padded) == pytest.approx(losses(model, inputs), abs=1e-5)


def test_contrast_and_generation_row_by_row() -> None:
    """The two losses without chance, from the Q-Former run on one clip or caption at a time."""
    model, inputs = build(), batch()
    found = losses(model, inputs)
    clips, captions, generation = [], [], []
    with torch.no_grad():
        for row in range(6):
            frames, tokens = int(inputs["speech_states_mask"][row].sum()), int(inputs["caption_mask"][row].sum())
            speech = model.speech_adapter.project(inputs["speech_states"][row : row + 1, :, :frames])
            ids = inputs["caption_ids"][row : row + 1, :tokens]
            clips.append(normalize(model.speech_projection(model.qformer(speech))[0], dim=-1))
            captions.append(normalize(model.text_projection(model.qformer(input_ids=ids))[0, 0], dim=-1))
            logits = model.caption_logits(
                speech, torch.ones(1, frames, dtype=torch.bool), inputs["decoder_ids"][row : row + 1, :tokens],
                torch.ones(1, tokens),
            )[0].log_softmax(-1)  # fmt: skip
            generation += [-float(logits[place - 1, ids[0, place]]) for place in range(1, tokens)]
    assert found["generation_loss"] == pytest.approx(sum(generation) / len(generation), abs=1e-5)
    cosines = torch.tensor([[float((clip @ caption).max()) for caption in captions] for clip in clips]) / 0.07
    total = 0.0
    for logits in (cosines, cosines.T):
        for row in range(6):
            right = [0, 2] if row in (0, 2) else [row]
            target = torch.full((6,), 0.1 / 6)
            target[right] += 0.9 / len(right)
            total -= float((target * logits[row].log_softmax(0)).sum()) / 12
    assert found["contrastive_loss"] == pytest.approx(total, abs=1e-4)


def test_matching_is_told_right_from_wrong_pairs_by_the_head() -> None:
    model, inputs = build(), batch()
    with torch.no_grad():
        model.matching_head.weight.zero_()
        model.matching_head.bias.copy_(torch.tensor([0.0, 2.0]))
    # Of 18 pairs 6 fit; the head calls all of them right with the same confidence.
    fits, wrong = torch.tensor([0.0, 2.0]).log_softmax(0).neg().flip(0).tolist()
    assert losses(model, inputs)["matching_loss"] == pytest.approx((fits + 2 * wrong) / 3, abs=1e-5)


def test_a_batch_that_says_one_thing_has_right_pairs_only() -> None:
    model, inputs = build(), batch()
    for name in ("caption_ids", "decoder_ids", "caption_mask"):
        inputs[name] = inputs[name][:1].expand(6, -1).contiguous()
    with torch.no_grad():
        model.matching_head.weight.zero_()
        model.matching_head.bias.copy_(torch.tensor([0.0, 2.0]))
    assert losses(model, inputs)["matching_loss"] == pytest.approx(0.1269, abs=1e-4)


def test_the_loss_is_the_weighted_sum_of_its_parts() -> None:
    parts = losses(build(), batch())
    weighted = losses(build(LossWeights(matching=0.5, contrastive=2.0, generation=0.0)), batch())
    assert parts["loss"] == pytest.approx(
        parts["matching_loss"] + parts["contrastive_loss"] + parts["generation_loss"], abs=1e-5
    )
    expected = 0.5 * parts["matching_loss"] + 2 * parts["contrastive_loss"]
    assert weighted["loss"] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("left", "held"), [(-0.2, 0.001), (0.9, 0.5)])
def test_a_temperature_that_left_its_bounds_is_held_there_and_still_learns(left: float, held: float) -> None:
    model = build()
    model.temperature.data.fill_(left)
    model(**batch()).loss.backward()
    assert model.temperature.item() == pytest.approx(held)
    assert model.temperature.grad is not None and model.temperature.grad != 0


def test_the_speech_encoder_is_in_evaluation_mode_from_the_first() -> None:
    model = build()
    assert not any(module.training for module in model.speech_encoder.modules())
    model.train()
    assert model.speech_adapter.training and not any(module.training for module in model.speech_encoder.modules())


def test_gradients_reach_all_that_stage_1_trains_and_nothing_else() -> None:
    model = build()
    model(**batch()).loss.backward()
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert {name.split(".")[0] for name in frozen} == {"speech_encoder", "speech_adapter"}
    assert {name for name in frozen if name.startswith("speech_adapter")} == {
        "speech_adapter.projector.output.weight",
        "speech_adapter.projector.output.bias",
    }
    untouched = [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    ]
    assert untouched == []


def test_raw_speech_and_its_states_give_the_same_losses() -> None:
    model, inputs = build(), batch(4)
    for name in ("speech_states", "speech_states_mask"):
        inputs.pop(name)
    samples, mask = torch.randn(4, 4000), torch.ones(4, 4000)
    mask[1, 2000:] = 0
    states, frames = model.speech_encoder(samples, mask)
    raw = losses(model, inputs | {"input_features": samples, "input_features_mask": mask})
    assert raw == losses(model, inputs | {"speech_states": states, "speech_states_mask": frames})


def test_a_qformer_without_text_cannot_be_pretrained() -> None:
    with pytest.raises(ValueError, match="use_qformer_text_input=True"):
        build(qformer_config={"hidden_size": 16, "num_attention_heads": 2, "use_qformer_text_input": False})
