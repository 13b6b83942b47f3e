"""A listener's scores and answers against full passes of one clip at a time, without cache, padding and batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from speechcue_hf.audio import Clip
from speechcue_hf.captions.tasks import caption_task
from speechcue_hf.errors import EvaluationError
from speechcue_hf.inference.speech_model import SpeechLanguageModel
from tests.models.semollm.tiny_model import build_tiny_semollm

EMOTION, EXPLANATION = caption_task("emotion"), caption_task("explanation")
EMOTIONS = ["angry", "happy", "very sad indeed"]


@pytest.fixture(scope="module")
def tiny():
    texts = [EMOTION.question, EXPLANATION.question, "The emotion is angry. The speaker speaks with high pitch."]
    model, processor = build_tiny_semollm(texts, text={"initializer_range": 0.5})
    # Larger than they are born, so that what is heard shows in the likelihoods.
    torch.manual_seed(0)
    for parameter in model.model.speech_adapter.parameters():
        parameter.data.normal_(std=0.5)
    return model, processor


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    """Of unequal length, rate and number of channels; the fourth is silent, the last longer than the model hears."""
    noise = np.random.default_rng(0).normal(scale=0.1, size=(2, 16000))
    return [
        Clip(noise[:1], 16000, 1.0),
        Clip(noise[:, :4000], 8000, 0.5),
        Clip(noise[:1, :6000], 16000, 0.375),
        Clip(np.zeros((1, 8000)), 16000, 0.5),
        Clip(np.tile(noise[1:], 13), 16000, 13.0),
    ]


def rendered(processor, task, answer: str = "") -> str:
    messages = [{"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": task.question}]}]
    return processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False) + answer


def alone(processor, task, clip: Clip, answer: str = "") -> dict[str, torch.Tensor]:
    samples = clip.samples.mean(axis=0)
    return processor(rendered(processor, task, answer), samples, sampling_rate=clip.rate, add_special_tokens=False)


def full_forward(tiny, clip: Clip, answer: str) -> float:
    model, processor = tiny
    prompt = alone(processor, EMOTION, clip)["input_ids"].shape[1]
    whole = alone(processor, EMOTION, clip, answer)
    with torch.no_grad():
        likelihood = model(**whole).logits[0].double().log_softmax(-1)
    ids = whole["input_ids"][0]
    return sum(likelihood[place - 1, ids[place]].item() for place in range(prompt, len(ids)))


def test_scores_of_a_batch_are_those_of_full_passes(tiny, clips):
    scores = SpeechLanguageModel(*tiny).score_emotions(clips, EMOTION, EMOTIONS)
    expected = [[full_forward(tiny, clip, f"The emotion is {emotion}.") for emotion in EMOTIONS] for clip in clips]
    np.testing.assert_allclose(scores.log_likelihood, expected, atol=1e-4)
    assert np.ptp(expected, axis=0).min() > 0.01


def test_means_are_over_the_tokens_of_each_sentence(tiny, clips):
    speech_model, processor = SpeechLanguageModel(*tiny), tiny[1]
    summed = speech_model.score_emotions(clips[:2], EMOTION, EMOTIONS).log_likelihood
    mean = speech_model.score_emotions(clips[:2], EMOTION, EMOTIONS, "mean").log_likelihood
    tokens = [len(processor.tokenizer(f"The emotion is {emotion}.")["input_ids"]) for emotion in EMOTIONS]
    np.testing.assert_allclose(mean, summed / tokens)


def test_answers_of_a_batch_are_those_of_single_clips(tiny, clips):
    model, processor = tiny
    beginnings = ["The emotion is angry.", "", "The emotion is very sad indeed.", "The emotion is happy.", ""]
    expected = []
    for clip, beginning in zip(clips, beginnings, strict=True):
        inputs = alone(processor, EXPLANATION, clip, beginning)
        output = model.generate(**inputs, max_new_tokens=6, do_sample=False)
        text = processor.tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        expected.append(" ".join(f"{beginning} {text}".split()))
    answers = SpeechLanguageModel(*tiny).write_answers(clips, EXPLANATION, beginnings, new_tokens=6)
    assert answers == expected
    assert answers[0].startswith("The emotion is angry.")


def test_what_is_not_heard_is_said(tiny, clips):
    speech_model = SpeechLanguageModel(*tiny)
    notes = [speech_model.note(clip) for clip in clips]
    assert notes == [None, None, None, "digital silence", "heard: the first 12 s of 13.00 s"]
    cut = replace(clips[4], notes=("the file ends early",))
    assert speech_model.note(cut) == "the file ends early; heard: the first 12 s of 13.00 s"


def test_a_long_clip_is_heard_in_windows_on_request(tiny, clips):
    speech_model = SpeechLanguageModel(*tiny, long_audio="window")
    assert speech_model.note(clips[4]) == "heard: 13.00 s in windows of at most 12 s, averaged"
    assert speech_model.note(clips[0]) is None
    # The processor halves it; the speech tokens that are heard are the means of those of both halves.
    model, processor = tiny
    halves = np.array_split(clips[4].samples.mean(axis=0), 2)
    features = processor([processor.audio_token] * 2, halves)
    with torch.no_grad():
        tokens = model.model.embed_speech(features["input_features"], features["input_features_mask"])
        prompt = processor(rendered(processor, EMOTION), speech_frames=[1])["input_ids"]
        embedded = model.get_input_embeddings()(prompt)
        embedded[prompt == model.config.audio_token_id] = tokens.unflatten(0, (2, -1)).mean(dim=0)
        logits = model(inputs_embeds=embedded, attention_mask=torch.ones_like(prompt)).logits[0, -1]
        heard = model(**speech_model._inputs(clips[3:], EMOTION, [[]] * 2)).logits[1, -1]
    assert torch.allclose(heard, logits, atol=1e-4)
    scores, alone = (speech_model.score_emotions(part, EMOTION, EMOTIONS) for part in (clips[3:], clips[4:]))
    assert scores.probabilities[1] == pytest.approx(alone.probabilities[0], abs=1e-4)


def test_a_batch_beyond_the_memory_of_the_cpu_too(tiny, clips, monkeypatch):
    monkeypatch.setattr(tiny[0], "forward", lambda *args, **kwargs: torch.empty(10**15))
    with pytest.raises(EvaluationError, match=r"a batch of 2 clips does not fit the memory .* smaller batch"):
        SpeechLanguageModel(*tiny).score_emotions(clips[:2], EMOTION, EMOTIONS)
    monkeypatch.setattr(tiny[0], "forward", lambda *args, **kwargs: torch.zeros(2) @ torch.zeros(3))
    with pytest.raises(RuntimeError, match="size"):
        SpeechLanguageModel(*tiny).score_emotions(clips[:2], EMOTION, EMOTIONS)


def test_a_batch_beyond_the_memory_leads_to_a_smaller_one(tiny, clips, monkeypatch):
    def too_large(*args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(tiny[0].model, "forward", too_large)
    with pytest.raises(EvaluationError, match=r"a batch of 2 clips does not fit .* take a smaller batch"):
        SpeechLanguageModel(*tiny).score_emotions(clips[:2], EMOTION, EMOTIONS)
    with pytest.raises(EvaluationError, match=r"a batch of 1 clips does not fit .* take a smaller model"):
        SpeechLanguageModel(*tiny).write_answers(clips[:1], EMOTION, [""])


def test_a_template_that_changes_the_prompt_is_refused(tiny, clips, monkeypatch):
    template = "{% for message in messages %}{{ loop.length }}{% endfor %}{{ messages[-1]['content'][-1]['text'] }}"
    monkeypatch.setattr(tiny[1], "chat_template", template)
    with pytest.raises(EvaluationError, match="renders a prompt differently when an answer follows"):
        SpeechLanguageModel(*tiny).score_emotions(clips[:1], EMOTION, EMOTIONS)


def test_wrong_arguments(tiny, clips):
    with pytest.raises(ValueError, match="at least two different labels"):
        SpeechLanguageModel(*tiny).score_emotions(clips, EMOTION, ["angry"])
