from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from datasets import Dataset
from transformers import BatchFeature
from trl import SFTConfig, SFTTrainer

from speechcue_hf.models.semollm import SEmoLLMForConditionalGeneration, SEmoLLMProcessor
from tests.models.semollm.conftest import PROMPTS, Built

Clips = list[npt.NDArray[np.float32]]

LINEAR = {"projector": "linear_stack", "speech_layers": [-1], "classifier_proj_size": None}
"""SpeechCueLLM's linear projection model."""


def _one_by_one(processor: SEmoLLMProcessor, clips: Clips) -> list[BatchFeature]:
    return [
        processor(PROMPTS[0], audio=clips[:1]),
        processor(PROMPTS[1], audio=clips[1:]),
        processor(PROMPTS[2]),
    ]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"speech": {"feat_extract_norm": "group", "do_stable_layer_norm": False}},
        {"speech_layers": [-1], "classifier_proj_size": None},
        {"speech_encoder": "wav2vec2", **LINEAR},
        {"speech_encoder": "hubert", "speech": {"conv_pos_batch_norm": True}, **LINEAR},
        {"speech_encoder": "data2vec-audio", **LINEAR},
        {"speech_encoder": "whisper", **LINEAR},
    ],
    ids=["semollm", "group-norm", "no-layer-sum", "wav2vec2", "hubert-batch-norm", "data2vec", "whisper"],
)
@torch.no_grad()
def test_batched_equals_single(build: Callable[..., Built], clips: Clips, settings: dict[str, Any]) -> None:
    model, processor = build(**settings)
    batch, singles = processor(PROMPTS, audio=clips), _one_by_one(processor, clips)
    logits = model(**batch).logits
    for row, single in zip(logits, singles, strict=True):
        expected = model(**single).logits[0]
        assert torch.allclose(row[-len(expected) :], expected, atol=1e-4)
    for beams in (1, 3):
        new = model.generate(**batch, max_new_tokens=5, num_beams=beams, do_sample=False)[:, logits.shape[1] :]
        for row, single in zip(new, singles, strict=True):
            prompt = single["input_ids"].shape[1]
            alone = model.generate(**single, max_new_tokens=5, num_beams=beams, do_sample=False)[0, prompt:]
            assert torch.equal(row[: len(alone)], alone)


@torch.no_grad()
def test_speech_reaches_the_answer_and_only_its_own(tiny: Built, clips: Clips) -> None:
    model, processor = tiny
    before = model(**processor(PROMPTS, audio=clips)).logits[:, -1]
    after = model(**processor(PROMPTS, audio=[clips[0], clips[2][:9_000], clips[1]])).logits[:, -1]
    assert torch.allclose(before[[0, 2]], after[[0, 2]], atol=1e-5)
    assert not torch.allclose(before[1], after[1], atol=1e-3)


@torch.no_grad()
def test_silence_is_heard_as_anything_else(tiny: Built, clips: Clips) -> None:
    model, processor = tiny
    silence = np.zeros(8_000, dtype=np.float32)
    together = model(**processor([PROMPTS[0]] * 2, audio=[clips[0], silence])).logits
    alone = model(**processor(PROMPTS[0], audio=silence)).logits[0]
    assert torch.isfinite(together).all()
    assert torch.allclose(together[1, -len(alone) :], alone, atol=1e-4)


@torch.no_grad()
def test_generation_without_a_cache_or_on_embeddings_is_the_same(tiny: Built, clips: Clips) -> None:
    model, processor = tiny
    batch = processor(PROMPTS, audio=clips)
    settings: dict[str, Any] = {"max_new_tokens": 5, "num_beams": 3, "num_return_sequences": 2, "do_sample": False}
    expected = model.generate(**batch, **settings)
    assert torch.equal(model.generate(**batch, **settings, use_cache=False), expected)
    speech = {name: batch[name] for name in ("input_features", "input_features_mask")}
    embedded = model.model.embed(batch["input_ids"], **speech)
    new = model.generate(inputs_embeds=embedded, attention_mask=batch["attention_mask"], **settings)
    assert torch.equal(new, expected[:, batch["input_ids"].shape[1] :])
    assert model.config.audio_token_id not in new


@torch.no_grad()
def test_states_are_the_inputs_and_outputs_of_the_encoders_layers(tiny: Built, clips: Clips) -> None:
    model, processor = tiny
    batch = processor(PROMPTS[0], audio=clips[0])
    encoder = model.model.speech_encoder.encoder
    seen: list[torch.Tensor] = []
    hooks = [
        layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0])) for layer in encoder.encoder.layers
    ]
    generator = torch.get_rng_state()
    states, mask = model.model.speech_encoder(batch["input_features"], batch["input_features_mask"])
    assert torch.equal(torch.get_rng_state(), generator)
    for hook in hooks:
        hook.remove()
    last = encoder(batch["input_features"], attention_mask=batch["input_features_mask"]).last_hidden_state
    assert torch.allclose(states[0], torch.stack([*seen, last])[:, 0], atol=1e-6)
    assert mask.all()


@torch.no_grad()
def test_states_computed_before_take_the_place_of_speech(tiny: Built, clips: Clips) -> None:
    model, processor = tiny
    batch = processor(PROMPTS, audio=clips)
    expected = model(**batch).logits
    states, mask = model.model.speech_encoder(batch.pop("input_features"), batch.pop("input_features_mask"))
    assert torch.allclose(model(**batch, speech_states=states, speech_states_mask=mask).logits, expected, atol=1e-5)
    weights = model.model.speech_adapter.layer_weights.softmax(dim=0)
    summed = (weights[:, None, None] * states).sum(dim=1)
    assert torch.allclose(model(**batch, speech_states=summed, speech_states_mask=mask).logits, expected, atol=1e-5)
    frames = mask.sum(dim=1).tolist()
    assert torch.equal(processor(PROMPTS, speech_frames=frames)["input_ids"], batch["input_ids"])


def test_loss_is_over_the_answer_only(tiny: Built, clips: Clips) -> None:
    model, processor = tiny
    batch = processor([PROMPTS[0] + " High.", "Say: Low."], audio=clips[:1])
    labels = torch.full_like(batch["input_ids"], -100)
    labels[:, -2:] = batch["input_ids"][:, -2:]
    output = model(**batch, labels=labels)
    log_probabilities = output.logits[:, -3:-1].log_softmax(dim=-1)
    expected = -log_probabilities.gather(2, labels[:, -2:, None]).mean()
    assert torch.allclose(output.loss, expected, atol=1e-5)


def test_frozen_encoder_stays_frozen(tiny: Built, clips: Clips, tmp_path: Path) -> None:
    model, processor = tiny
    model.save_pretrained(tmp_path)
    loaded = SEmoLLMForConditionalGeneration.from_pretrained(tmp_path).train()
    encoder = loaded.model.speech_encoder
    assert not any(module.training for module in encoder.modules())
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    assert loaded.model.speech_adapter.training and loaded.model.language_model.training
    batch = processor(PROMPTS, audio=clips)
    loaded(**batch, labels=batch["input_ids"]).loss.backward()
    adapter = loaded.model.speech_adapter
    learning = [adapter.layer_weights, adapter.projection[0].weight, adapter.projector.qformer.query_tokens]
    learning += [adapter.projector.output.weight, loaded.lm_head.weight, loaded.get_input_embeddings().weight]
    assert all(parameter.grad.abs().sum() > 0 for parameter in learning)
    again = SEmoLLMForConditionalGeneration.from_pretrained(tmp_path, freeze_language_model=True)
    trained = {name.split(".")[1] for name, parameter in again.named_parameters() if parameter.requires_grad}
    assert trained == {"speech_adapter"}


@torch.no_grad()
def test_saved_and_loaded_it_is_the_same(tiny: Built, clips: Clips, tmp_path: Path) -> None:
    model, processor = tiny
    model.save_pretrained(tmp_path)
    batch = processor(PROMPTS, audio=clips)
    loaded, report = SEmoLLMForConditionalGeneration.from_pretrained(tmp_path, output_loading_info=True)
    assert torch.equal(loaded(**batch).logits, model(**batch).logits)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))


@torch.no_grad()
def test_windows_of_a_long_clip_are_averaged(tiny: Built, clips: Clips) -> None:
    model, processor = tiny
    halves = [clips[0][:8_000], clips[0][8_000:]]
    batch = processor(PROMPTS[0], audio=clips[0], max_seconds=0.5, long_audio="window")
    # The feature extractor scales each window by itself, as it does each clip.
    tokens = [model.model.embed_speech(**_speech(processor(PROMPTS[0], audio=half))) for half in halves]
    windows = {"clip_windows": batch["clip_windows"]}
    assert torch.allclose(
        model.model.embed_speech(**_speech(batch), **windows), torch.stack(tokens).mean(dim=0), atol=1e-5
    )
    assert torch.isfinite(model(**batch).logits).all()
    assert model.generate(**batch, max_new_tokens=2, num_beams=2, do_sample=False).shape[0] == 1


def _speech(batch: BatchFeature) -> dict[str, torch.Tensor]:
    return {name: batch[name] for name in ("input_features", "input_features_mask")}


def test_prompts_and_clips_that_do_not_match_are_refused(tiny: Built, clips: Clips) -> None:
    model, processor = tiny
    batch = processor(PROMPTS, audio=clips)
    with pytest.raises(ValueError, match=r"12 placeholder tokens .* 4 speech tokens"):
        model(batch["input_ids"], input_features=batch["input_features"][:1])
    with pytest.raises(ValueError, match=r"12 placeholder tokens .* 0 speech tokens"):
        model(batch["input_ids"], attention_mask=batch["attention_mask"])
    with pytest.raises(ValueError, match="input_ids or inputs_embeds"):
        model()


def test_windows_of_a_linear_projection_are_refused(build: Callable[..., Built], clips: Clips) -> None:
    model, processor = build(**LINEAR)
    batch = processor(PROMPTS, audio=clips)
    with pytest.raises(ValueError, match="qformer"):
        model(**batch, clip_windows=torch.tensor([2, 1]))
    with pytest.raises(ValueError, match="qformer"):
        processor(PROMPTS[0], audio=clips[0], long_audio="window")


def test_half_precision(build: Callable[..., Built], clips: Clips) -> None:
    model, processor = build()
    batch = processor(PROMPTS, audio=clips)
    tokens = batch["attention_mask"].bool()
    with torch.no_grad():
        expected = model(**batch).logits[tokens]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mixed = model(**batch).logits[tokens].float()
        assert torch.nn.functional.cosine_similarity(mixed, expected, dim=-1).min() > 0.98
        for part in (model.model.language_model, model.lm_head), (model,):  # First as stage 2 has it.
            for module in part:
                module.to(torch.bfloat16)
            half = model(**batch).logits[tokens]
            assert half.dtype == torch.bfloat16
            assert torch.nn.functional.cosine_similarity(half.float(), expected, dim=-1).min() > 0.98


def test_gradient_checkpointing_changes_no_gradient(build: Callable[..., Built], clips: Clips) -> None:
    model, processor = build(projection_dropout=0.0)
    batch = processor(PROMPTS, audio=clips)
    gradients = []
    for checkpointing in (False, True):
        if checkpointing:
            model.gradient_checkpointing_enable()
            model.model.language_model.train()
        model.zero_grad()
        model(**batch, labels=batch["input_ids"]).loss.backward()
        gradients.append(model.model.speech_adapter.layer_weights.grad.clone())
    assert torch.allclose(gradients[0], gradients[1], atol=1e-6)


def test_trl_trains_it(build: Callable[..., Built], clips: Clips, tmp_path: Path) -> None:
    model, processor = build()
    rows = Dataset.from_dict(
        {"prompt": PROMPTS, "clips": [clips[:1], clips[1:], []], "answer": ["Low.", "The first.", "Well."]}
    )

    def collate(examples: list[dict[str, Any]]) -> BatchFeature:
        audio = [np.asarray(clip, dtype=np.float32) for example in examples for clip in example["clips"]]
        batch = processor([example["prompt"] + example["answer"] for example in examples], audio=audio or None)
        return BatchFeature(batch | {"labels": batch["input_ids"]})

    settings = SFTConfig(
        str(tmp_path), max_steps=2, per_device_train_batch_size=2, use_cpu=True, bf16=False, report_to="none",
        learning_rate=0.01, save_strategy="no", remove_unused_columns=False, max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
    )  # fmt: skip
    before = {name: value.clone() for name, value in model.named_parameters()}
    trainer = SFTTrainer(model, settings, train_dataset=rows, data_collator=collate, processing_class=processor)
    assert np.isfinite(trainer.train().training_loss)
    changed = {name.split(".")[1] for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    assert changed >= {"speech_adapter", "language_model"} and "speech_encoder" not in changed
