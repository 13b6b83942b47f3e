"""Batches for SEmoLLM's stages: captioned rows with the speech of their utterances, loaded when it is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from datasets import Dataset
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from speechcue_hf.errors import TrainingError
from speechcue_hf.prompts.chat_template import on_pinned_date
from speechcue_hf.training.augmentation import Augmentation
from speechcue_hf.training.speech_states import clip_inputs, read_clip, states_of

if TYPE_CHECKING:
    from speechcue_hf.models.semollm.processing_semollm import SEmoLLMProcessor

IGNORED = -100
"""Label of a token that has no loss."""

Batch = Mapping[str, Sequence[Any]]


class ClipLoader:
    """Adds the samples of its clip to each row: for ``Dataset.with_transform``.

    Args:
        clips: With ``utterance_id`` and ``audio``.
        seconds: Most seconds of a clip.
        augmentation: Of training clips.
    """

    def __init__(self, clips: Dataset, seconds: float, augmentation: Augmentation | None) -> None:
        self.clips, self.seconds, self.augmentation = clips, seconds, augmentation
        self.places = {utterance: place for place, utterance in enumerate(clips["utterance_id"])}

    def __call__(self, batch: Batch) -> dict[str, Sequence[Any]]:
        """Load a batch of rows; adds ``samples``, shape ``(samples,)`` each, and ``rate`` in Hz."""
        loaded = [self._load(utterance) for utterance in batch["utterance_id"]]
        return {**batch, "samples": [samples for samples, _ in loaded], "rate": [rate for _, rate in loaded]}

    def _load(self, utterance: str) -> tuple[Any, int]:
        samples, rate = read_clip(self.clips[self.places[utterance]]["audio"], self.seconds)
        if self.augmentation is not None and self.augmentation.changes_samples:
            samples = self.augmentation.samples(torch.from_numpy(samples), rate).numpy()
        return samples, rate


class StateLoader:
    """Adds the kept encoder states of its clip to each row: for ``Dataset.with_transform``.

    Args:
        states: From :func:`~speechcue_hf.training.speech_states.keep_states`.
        layers: How many layers were kept.
    """

    def __init__(self, states: Dataset, layers: int) -> None:
        self.states, self.layers = states, layers
        self.places = {utterance: place for place, utterance in enumerate(states["utterance_id"])}

    def __call__(self, batch: Batch) -> dict[str, Sequence[Any]]:
        """Load a batch of rows; adds ``states``, shape ``(layers, frames, width)`` each, float16."""
        rows = (self.states[self.places[utterance]] for utterance in batch["utterance_id"])
        return {**batch, "states": [states_of(row, self.layers) for row in rows]}


@dataclass(frozen=True)
class _SpeechCollator:
    """What batches of both kinds are made with: the model's processor, and the most seconds of a clip."""

    processor: SEmoLLMProcessor
    seconds: float

    @property
    def _tokenizer(self) -> Any:
        return self.processor.tokenizer

    def _pad(self, sequences: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Token ids and their mask, both of shape ``(sequences, longest)``."""
        ids = [torch.tensor(sequence) for sequence in sequences]
        mask = pad_sequence([torch.ones_like(row) for row in ids], batch_first=True)
        return pad_sequence(ids, batch_first=True, padding_value=self._tokenizer.pad_token_id), mask

    def _speech(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        if "states" not in rows[0]:
            samples, rates = [row["samples"] for row in rows], [row["rate"] for row in rows]
            return clip_inputs(self.processor, samples, rates, self.seconds)
        # Frames first, as padding wants them.
        states = [row["states"].transpose(0, 1) for row in rows]
        mask = pad_sequence([torch.ones(len(clip), dtype=torch.bool) for clip in states], batch_first=True)
        return {"speech_states": pad_sequence(states, batch_first=True).transpose(1, 2), "speech_states_mask": mask}


@dataclass(frozen=True)
class CaptionCollator(_SpeechCollator):
    """Batches of stage 1: clips and their captions in tokens of the Q-Former, whose tokenizer the processor has.

    Args:
        positions: Most tokens of a caption.
    """

    positions: int

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """Pad rows with ``caption`` and their speech to what :class:`SEmoLLMForPretraining` takes."""
        ids, mask = self._pad([self._encode(row) for row in rows])
        decoder_ids = ids.clone()
        decoder_ids[:, 0] = self._tokenizer.bos_token_id
        return {"caption_ids": ids, "caption_mask": mask, "decoder_ids": decoder_ids, **self._speech(rows)}

    def _encode(self, row: Mapping[str, Any]) -> list[int]:
        text = self._tokenizer(row["caption"], add_special_tokens=False)["input_ids"]
        ids = [self._tokenizer.cls_token_id, *text, self._tokenizer.sep_token_id]
        if len(ids) > self.positions:
            raise TrainingError(
                f"the caption of {row['utterance_id']} has {len(ids)} tokens, the Q-Former has {self.positions} "
                "positions: shorten the caption, or leave the transcript out of it"
            )
        return ids


class AnswerCollator(_SpeechCollator):
    """Batches of stages 2 and 3: prompts with clips, and answers, which alone have a loss."""

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        """Pad rows with ``prompt``, ``completion`` and speech to what the model takes."""
        encoded = [self._encode(row) for row in rows]
        ids, mask = self._pad([prompt + answer for prompt, answer in encoded])
        labels = [torch.tensor([IGNORED] * len(prompt) + answer) for prompt, answer in encoded]
        return {
            "input_ids": ids,
            "attention_mask": mask,
            "labels": pad_sequence(labels, batch_first=True, padding_value=IGNORED),
            **self._speech(rows),
        }

    def _encode(self, row: Mapping[str, Any]) -> tuple[list[int], list[int]]:
        """Tokens of prompt and answer, the end token being the last."""
        render: Any = self.processor.apply_chat_template
        template = on_pinned_date(str(self.processor.chat_template))
        prompt = render(row["prompt"], chat_template=template, tokenize=False, add_generation_prompt=True)
        whole = render([*row["prompt"], *row["completion"]], chat_template=template, tokenize=False)
        if not whole.startswith(prompt):
            raise TrainingError(
                f"the chat template renders the prompt of {row['utterance_id']} differently when an answer follows: "
                "change the chat template"
            )
        # A Q-Former makes as many tokens of any clip, so that frames need not be counted.
        expanded = self.processor.expand([prompt], [0])[0]
        texts = [expanded, whole[len(prompt) :]]
        ids, answer = self._tokenizer(texts, add_special_tokens=False)["input_ids"]
        end = self._tokenizer.eos_token_id
        if end not in answer:
            raise TrainingError(
                "the chat template closes no answer with the tokenizer's end token: set eos_token to it"
            )
        return ids, answer[: answer.index(end) + 1]
