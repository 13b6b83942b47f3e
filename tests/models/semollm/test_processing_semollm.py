from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from transformers import AutoProcessor, Wav2Vec2FeatureExtractor

from speechcue_hf.models.semollm import SEmoLLMProcessor, processing_semollm
from speechcue_hf.models.semollm.processing_semollm import add_audio_token
from speechcue_hf.models.tiny import train_tokenizer
from tests.models.semollm.conftest import PROMPTS, Built

Clips = list[npt.NDArray[np.float32]]


def test_each_placeholder_becomes_the_speech_tokens_of_its_clip(tiny: Built, clips: Clips) -> None:
    model, processor = tiny
    ids = processor(PROMPTS, audio=clips)["input_ids"]
    assert (ids == model.config.audio_token_id).sum(dim=1).tolist() == [4, 8, 0]
    assert processor.tokenizer.decode(ids[1]).endswith("<|audio|>" * 4 + "Or " + "<|audio|>" * 4 + ": which is louder?")
    nested = processor(PROMPTS, audio=[clips[:1], clips[1:], []])
    assert torch.equal(nested["input_ids"], ids)


def test_stacked_frames_are_as_many_as_the_model_makes(build: Callable[..., Built], clips: Clips) -> None:
    for encoder in ("wav2vec2", "whisper"):
        model, processor = build(projector="linear_stack", speech_encoder=encoder)
        batch = processor(PROMPTS, audio=clips)
        speech = {name: batch[name] for name in ("input_features", "input_features_mask")}
        assert len(model.model.embed_speech(**speech)) == (batch["input_ids"] == model.config.audio_token_id).sum()


def test_batches_are_padded_on_the_left(tiny: Built, clips: Clips) -> None:
    mask = tiny[1](PROMPTS, audio=clips)["attention_mask"]
    assert mask[:, -1].all() and not mask[2, 0]


@pytest.mark.parametrize("number", [0, 2, 4])
def test_more_or_fewer_clips_than_audio_parts(tiny: Built, clips: Clips, number: int) -> None:
    with pytest.raises(ValueError, match=rf"{number} clips were given, but the prompts hold 3 .*\[1, 2, 0\]"):
        tiny[1](PROMPTS, audio=[*clips, *clips][:number])


def test_clips_of_each_prompt_are_as_many_as_it_asks_for(tiny: Built, clips: Clips) -> None:
    with pytest.raises(ValueError, match=r"prompt 0 holds 1 placeholders .*, but 2 clips were given"):
        tiny[1](PROMPTS, audio=[clips[:2], clips[2:], []])
    with pytest.raises(ValueError, match="clips of 2 prompts were given, but there are 3"):
        tiny[1](PROMPTS, audio=[clips[:1], clips[1:]])


def test_a_cut_is_warned_of_where_nobody_asked_for_notes(
    tiny: Built, clips: Clips, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(processing_semollm.logger, "warning_once", said.append)
    processor, long = tiny[1], np.tile(clips[0], 13)
    processor(PROMPTS[0], audio=clips[0])
    processor(PROMPTS[0], audio=long, return_clip_notes=True)
    processor(PROMPTS[0], audio=long, max_seconds=6.0)
    assert said == []
    processor(PROMPTS[0], audio=long)
    assert len(said) == 1 and "longer than 12 s and was cut" in said[0]


@pytest.mark.parametrize("seconds", [0.0, -1.0, 0.001])
def test_a_limit_below_a_frame_is_refused(tiny: Built, clips: Clips, seconds: float) -> None:
    with pytest.raises(ValueError, match=r"max_seconds must be at least 0\.0203"):
        tiny[1](PROMPTS[0], audio=clips[0], max_seconds=seconds)


def test_another_rate_is_resampled(tiny: Built) -> None:
    processor = tiny[1]
    clip = [np.sin(np.arange(n) * np.pi / n) ** 2 * np.sin(np.arange(n) * 400 * np.pi / n) for n in (8_000, 16_000)]
    both = processor([PROMPTS[0]] * 2, audio=clip, sampling_rate=[8_000, 16_000])["input_features"]
    assert torch.allclose(both[0], both[1], atol=1e-4)
    one = processor(PROMPTS[0], audio=clip[0], sampling_rate=np.int64(8_000))["input_features"]
    assert torch.allclose(one[0], both[0], atol=1e-4)
    with pytest.raises(ValueError, match="1 sampling rates were given for 2 clips"):
        processor([PROMPTS[0]] * 2, audio=clip, sampling_rate=[8_000])


def test_integers_and_stereo_are_the_same_clip(tiny: Built, clips: Clips) -> None:
    processor = tiny[1]
    whole = np.round(clips[0] * 2**15).astype(np.int16)
    expected = processor(PROMPTS[0], audio=(whole / 2**15).astype(np.float32))["input_features"]
    assert torch.allclose(processor(PROMPTS[0], audio=whole)["input_features"], expected)
    assert torch.allclose(processor(PROMPTS[0], audio=np.stack([whole, whole]))["input_features"], expected)


def test_a_clip_that_cannot_be_read_is_named(tiny: Built, clips: Clips) -> None:
    broken = clips[1].copy()
    broken[7] = np.nan
    with pytest.raises(ValueError, match="clip 1: holds samples that are not finite"):
        tiny[1](PROMPTS, audio=[clips[0], broken, clips[2]])


@torch.no_grad()
@pytest.mark.parametrize(("encoder", "shortest"), [("wavlm", "0.0203"), ("whisper", "0.0100")])
def test_a_clip_shorter_than_a_frame_is_padded(build: Callable[..., Built], encoder: str, shortest: str) -> None:
    model, processor = build(speech_encoder=encoder)
    batch = processor(PROMPTS[0], audio=np.full(9, 0.1), return_clip_notes=True)
    assert batch.pop("clip_notes") == [f"padded: 0.0006 s to {shortest} s"]
    assert torch.isfinite(model(**batch).logits).all()


def test_long_clips_are_cut_or_windowed_with_a_note(tiny: Built, clips: Clips) -> None:
    processor = tiny[1]
    batch = processor(PROMPTS, audio=clips, max_seconds=0.7, return_clip_notes=True)
    assert batch["clip_notes"] == ["cut: the first 0.70 s of 1.00 s", "", "cut: the first 0.70 s of 0.80 s"]
    assert batch["input_features_mask"].sum(dim=1).tolist() == [11_200, 8_000, 11_200]
    windowed = processor(PROMPTS, audio=clips, max_seconds=0.7, long_audio="window")
    assert windowed["clip_windows"].tolist() == [2, 1, 2] and len(windowed["input_features"]) == 5
    assert torch.equal(windowed["input_ids"], batch["input_ids"])
    thirteen = np.tile(clips[0], 13)
    assert processor(PROMPTS[0], audio=thirteen)["input_features"].shape[1] == 12 * 16_000


def test_chat_template_with_audio_parts(tiny: Built, clips: Clips) -> None:
    processor = tiny[1]
    parts: list[dict[str, Any]] = [{"type": "audio", "audio": clips[0]}, {"type": "text", "text": "How high?"}]
    conversation = [{"role": "user", "content": parts}]
    text = processor.apply_chat_template(conversation, add_generation_prompt=True)
    assert text == "<|im_start|>user\n<|audio|>How high?<|im_end|>\n<|im_start|>assistant\n"
    batch = processor.apply_chat_template(conversation, add_generation_prompt=True, tokenize=True, return_dict=True)
    expected = processor(text, audio=clips[0])
    assert all(torch.equal(torch.as_tensor(batch[name]), expected[name]) for name in expected)


def test_without_a_chat_template_the_order_is_the_papers() -> None:
    tokenizer = train_tokenizer(PROMPTS, 300)
    tokenizer.chat_template = None
    tokenizer.add_special_tokens({"bos_token": "<s>"})
    add_audio_token(tokenizer)
    processor = SEmoLLMProcessor(Wav2Vec2FeatureExtractor(), tokenizer)
    conversation = [
        {"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": "How high?"}]},
        {"role": "assistant", "content": "Low."},
    ]
    assert processor.apply_chat_template(conversation) == "<|audio|>How high?<s>Low.<|im_end|>"
    assert processor.apply_chat_template(conversation[:1], add_generation_prompt=True) == "<|audio|>How high?<s>"


def test_tokenizer_without_the_placeholder() -> None:
    tokenizer = train_tokenizer(PROMPTS, 300)
    with pytest.raises(ValueError, match=r"no token <\|audio\|>.*add_audio_token"):
        SEmoLLMProcessor(Wav2Vec2FeatureExtractor(), tokenizer)
    size = len(tokenizer)
    assert add_audio_token(tokenizer) == add_audio_token(tokenizer) == size
    assert tokenizer.encode("<|audio|>") == [size]
    assert "<|im_start|>" in tokenizer.all_special_tokens
    SEmoLLMProcessor(Wav2Vec2FeatureExtractor(), tokenizer)


def test_feature_extractor_of_another_rate(tiny: Built) -> None:
    model, processor = tiny
    other = Wav2Vec2FeatureExtractor(sampling_rate=8_000)
    with pytest.raises(ValueError, match="8000 Hz, the speech encoder for 16000 Hz"):
        SEmoLLMProcessor.from_config(model.config, other, processor.tokenizer)


def test_saved_and_loaded_it_is_the_same(tiny: Built, clips: Clips, tmp_path: Path) -> None:
    processor = tiny[1]
    tiny[0].config.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    loaded = AutoProcessor.from_pretrained(tmp_path)
    expected = processor(PROMPTS, audio=clips)
    again = loaded(PROMPTS, audio=clips)
    assert set(again) == set(expected)
    assert all(torch.equal(again[name], expected[name]) for name in expected)
    assert loaded.chat_template == processor.chat_template
    with pytest.raises(ValueError, match="text and audio only"):
        loaded(PROMPTS[2], images=[1])
