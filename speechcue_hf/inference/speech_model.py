"""A model that hears, asked a question about a batch of clips: it scores answers and writes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from speechcue_hf.audio import Clip, decode
from speechcue_hf.captions.build import question
from speechcue_hf.captions.tasks import CaptionTask, caption_task
from speechcue_hf.captions.write import opening
from speechcue_hf.channels import mixed
from speechcue_hf.cues.loudness import is_silent
from speechcue_hf.errors import EvaluationError
from speechcue_hf.inference.scoring import LabelScores, check_label_set, evaluation_mode, score_after_prompts
from speechcue_hf.inference.settings import Normalisation
from speechcue_hf.models.loading import load_speech_model
from speechcue_hf.prompts.chat_template import on_pinned_date

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from speechcue_hf.models.semollm.processing_semollm import SEmoLLMProcessor


Audio = str | Path | Mapping[str, Any]
"""A path, or ``{"path": ..., "bytes": ...}`` as in the column ``audio``."""

LONGEST_READ_S = 600.0
"""Of a longer file only so much is decoded; how much the model hears of it, its processor says."""


@dataclass(frozen=True)
class SpeechLanguageModel:
    """A SEmoLLM that answers questions about clips; all clips of a call run in one pass.

    Args:
        model: The model, with or without adapter.
        processor: Its processor.
        long_audio: What is done with a clip beyond the processor's limit: ``cut`` hears its beginning, ``window`` all
            of it, in windows whose speech tokens are averaged (Q-Former only).
    """

    model: PreTrainedModel
    processor: SEmoLLMProcessor
    long_audio: Literal["cut", "window"] = "cut"

    @classmethod
    def from_pretrained(
        cls, source: str | Path, *, revision: str | None = None, long_audio: Literal["cut", "window"] = "cut"
    ) -> SpeechLanguageModel:
        """Load a model.

        Args:
            source: Folder or Hub id of a SEmoLLM of stage 2 or 3.
            revision: Branch, tag or commit on the Hub.
            long_audio: As above.

        Returns:
            The model in evaluation mode.

        Raises:
            OSError: If there is no model of that name.
        """
        return cls(*load_speech_model(source, revision), long_audio)

    def answer(self, clip: Audio, task: str) -> str:
        """Let the model answer a task's question about one clip.

        Args:
            clip: A path, or a value of the column ``audio``.
            task: Such as ``style``, or parts joined by ``+``: ``gender+pitch``.

        Returns:
            What it writes.

        Raises:
            AudioError: If the clip cannot be decoded.
            CaptionError: If there is no such task.
        """
        [text] = self.write_answers([mixed(decode(clip, limit=LONGEST_READ_S))], caption_task(task), [""])
        return text

    def score_emotions(
        self, clips: Sequence[Clip], task: CaptionTask, emotions: Sequence[str], normalisation: Normalisation = "sum"
    ) -> LabelScores:
        """Score every emotion as the answer to a task's question (closed set): nothing is generated or parsed.

        What is scored is the sentence that every answer about an emotion begins with, ``The emotion is angry.``; what
        may follow it does not count.

        Args:
            clips: What the model hears.
            task: The task whose question is asked.
            emotions: The closed set, at least two.
            normalisation: ``"sum"`` adds the log-probabilities of a sentence's tokens, ``"mean"`` averages them.

        Returns:
            Scores, in the order of the clips.

        Raises:
            ValueError: If there are fewer than two emotions, or ``normalisation`` is unknown.
            EvaluationError: If the clips do not fit the memory, or the tokenizer does not let an answer be told from
                its prompt.
        """
        check_label_set(emotions, normalisation)
        completions = [self._answer_tokens(task, opening(emotion)) for emotion in emotions]
        with evaluation_mode(self.model), _advice_on_memory(len(clips)):
            inputs = self._inputs(clips, task, [[]] * len(clips))
            summed = score_after_prompts(self.model, inputs, completions).cpu().numpy()
        tokens = sum(map(len, completions)) * len(clips)
        return LabelScores.of(emotions, summed, completions, normalisation, tokens)

    def write_answers(
        self, clips: Sequence[Clip], task: CaptionTask, beginnings: Sequence[str], new_tokens: int = 80, beams: int = 1
    ) -> list[str]:
        """Let the model answer a task's question; the likeliest tokens are taken, nothing is drawn.

        Args:
            clips: What the model hears.
            task: The task whose question is asked.
            beginnings: How the answer about each clip begins; empty where the model is free.
            new_tokens: Most tokens of an answer (the paper takes 80).
            beams: Width of the beam search; 1 is greedy (the paper takes 5).

        Returns:
            The answers, beginnings included.

        Raises:
            EvaluationError: If the clips do not fit the memory.
        """
        generate: Any = self.model.generate
        settings = {"do_sample": False, "num_beams": beams, "max_new_tokens": new_tokens}
        tokenizer: Any = self.processor.tokenizer
        begun = [self._answer_tokens(task, beginning) if beginning else [] for beginning in beginnings]
        with evaluation_mode(self.model), _advice_on_memory(len(clips)):
            inputs = self._inputs(clips, task, begun)
            output = generate(**inputs, **settings, pad_token_id=tokenizer.pad_token_id)
        written = tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return [" ".join(f"{begin} {text}".split()) for begin, text in zip(beginnings, written, strict=True)]

    def note(self, clip: Clip) -> str | None:
        """What is wrong with a clip, and how it is heard if it is longer than the model hears at once; else None."""
        longest: float = self.processor.max_seconds
        notes = [*clip.notes]
        if is_silent(clip.samples):
            notes.append("digital silence")
        if clip.duration > longest:
            windows = f"heard: {clip.duration:.2f} s in windows of at most {longest:g} s, averaged"
            beginning = f"heard: the first {longest:g} s of {clip.duration:.2f} s"
            notes.append(windows if self.long_audio == "window" else beginning)
        return "; ".join(notes) or None

    def _answer_tokens(self, task: CaptionTask, answer: str) -> list[int]:
        """Tokens of the beginning of an answer, cut apart from its prompt as in training."""
        tokenizer: Any = self.processor.tokenizer
        prompt = self._render(question(task), add_generation_prompt=True)
        message = {"role": "assistant", "content": [{"type": "text", "text": answer}]}
        whole = self._render([*question(task), message], add_generation_prompt=False)
        if not whole.startswith(prompt) or answer not in whole[len(prompt) :]:
            raise EvaluationError(
                "the chat template renders a prompt differently when an answer follows, or changes the answer: "
                "change the chat template"
            )
        begun = whole[len(prompt) : whole.index(answer, len(prompt)) + len(answer)]
        tokens: list[int] = tokenizer(begun, add_special_tokens=False)["input_ids"]
        return tokens

    def _render(self, messages: Sequence[dict[str, Any]], *, add_generation_prompt: bool) -> str:
        template: Any = self.processor.apply_chat_template
        text: str = template(
            list(messages),
            chat_template=on_pinned_date(str(self.processor.chat_template)),
            add_generation_prompt=add_generation_prompt,
            tokenize=False,
        )
        return text

    def _inputs(
        self, clips: Sequence[Clip], task: CaptionTask, beginnings: Sequence[Sequence[int]]
    ) -> dict[str, torch.Tensor]:
        """Inputs of the model: each clip's prompt, followed by the tokens that its answer begins with."""
        prompt = self._render(question(task), add_generation_prompt=True)
        batch = self.processor(
            text=[prompt] * len(clips),
            audio=[clip.samples for clip in clips],
            sampling_rate=[clip.rate for clip in clips],
            max_seconds=self.processor.max_seconds,
            long_audio=self.long_audio,
            add_special_tokens=False,
        )
        prompts = zip(batch.pop("input_ids"), batch.pop("attention_mask").bool(), beginnings, strict=True)
        tokenizer: Any = self.processor.tokenizer
        tokens = tokenizer.pad(
            {"input_ids": [[*ids[mask].tolist(), *begun] for ids, mask, begun in prompts]},
            padding_side="left",
            return_tensors="pt",
        )
        return {name: tensor.to(self.model.device) for name, tensor in {**tokens, **batch}.items()}


@contextmanager
def _advice_on_memory(clips: int) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        # A GPU has an error of its own for it, the CPU only words.
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        fix = "take a smaller batch (--batch-size)" if clips > 1 else "take a smaller model, or a machine with more"
        raise EvaluationError(f"a batch of {clips} clips does not fit the memory of the device: {fix}") from error
