"""A chat model in this process that writes: many requests at once, and what they share is run once."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from speechcue_hf.errors import GenerationError
from speechcue_hf.generation.request import (
    GREEDY,
    GeneratedText,
    GenerationRequest,
    GenerationSettings,
    encode_requests,
)
from speechcue_hf.models.base import has_plain_cache

if TYPE_CHECKING:
    from transformers import DynamicCache, LogitsProcessorList, PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class _Prompt:
    key: str
    ids: list[int]


_Group = list[_Prompt]


class LocalGenerator:
    """Writes with a transformers chat model.

    Prompts of similar length run together. The beginning that the prompts of one group share (a conversation that is
    asked about several times) runs once. Neither changes a text: each is what the model writes for that prompt alone,
    as far as the precision of its numbers allows. Samples are drawn for each request from its own seed, so they do not
    depend on the batch or on a resumed run either.

    Args:
        model: A causal language model, with or without adapter; it is put in evaluation mode. The settings it would
            generate with by itself (a repetition penalty, say) are left out, its end tokens apart.
        tokenizer: Its tokenizer, with a chat template and a padding token.
        name: What the model is called where it came from: a Hub id, not a local path.
        revision: Its commit on the Hub.
        decoding: How tokens are chosen, and how many.
        batch_size: Texts written at a time; bounds memory.

    Raises:
        ValueError: If ``batch_size`` is not positive.

    Example:
        >>> generator = LocalGenerator(model, tokenizer, name="tiny", revision=None)
        >>> [answer.key == request.key for answer in generator.generate([request])]
        [True]
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        name: str,
        revision: str | None = None,
        decoding: GenerationSettings = GREEDY,
        batch_size: int = 8,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self._end_tokens = _end_tokens(model, tokenizer)
        self._generation_config = _generation_config(decoding, self._end_tokens, tokenizer)
        self._model: Any = model.train(False)
        self._tokenizer = tokenizer
        self._decoding = decoding
        self._batch_size = batch_size
        self._shares = has_plain_cache(model)
        self.identity = {
            "writer": "transformers",
            "model": name,
            "revision": revision,
            "dtype": str(model.dtype).removeprefix("torch."),
            "decoding": decoding.identity,
        }

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GeneratedText]:
        """Write, the longest prompts first, so that too little memory shows at the start."""
        positions = self._model.config.get_text_config().max_position_embeddings
        fitting, refused = encode_requests(requests, self._tokenizer, self._decoding, positions)
        yield from refused
        groups: dict[str, _Group] = defaultdict(list)
        for request, ids in fitting:
            groups[request.group].append(_Prompt(request.key, ids))
        for batch in plan_batches(list(groups.values()), self._batch_size):
            yield from self._write_batch(batch)

    def _write_batch(self, batch: list[_Group]) -> list[GeneratedText]:
        prompts = [prompt for group in batch for prompt in group]
        try:
            completions = self._generate(batch, [prompt.key for prompt in prompts])
        except torch.OutOfMemoryError as error:
            longest = max(len(prompt.ids) for prompt in prompts)
            raise GenerationError(
                f"The GPU's memory does not hold {len(prompts)} prompts of up to {longest} tokens and their texts: "
                f"give a batch size below {self._batch_size}, fewer new tokens than "
                f"{self._decoding.max_new_tokens}, or a smaller model. What was written so far is kept."
            ) from error
        return [self._read(prompt, completion) for prompt, completion in zip(prompts, completions, strict=True)]

    def _read(self, prompt: _Prompt, completion: list[int]) -> GeneratedText:
        end = next((place for place, token in enumerate(completion) if token in self._end_tokens), len(completion))
        # A checkpoint may end texts with a token that its tokenizer does not count as special.
        text: Any = self._tokenizer.decode(completion[:end], skip_special_tokens=True)
        reason, tokens = ("stop", end + 1) if end < len(completion) else ("length", end)
        return GeneratedText(prompt.key, text, None, len(prompt.ids), tokens, reason)

    @torch.inference_mode()
    def _generate(self, batch: list[_Group], keys: list[str]) -> list[list[int]]:
        """New tokens for each prompt, followed by padding where others are longer."""
        prefixes = [common_beginning([prompt.ids for prompt in group]) if self._shares else [] for group in batch]
        if _saves_tokens(batch, prefixes):
            ids, mask, cache = self._run_prefixes(batch, prefixes)
        else:
            ids, mask = self._pad([prompt.ids for group in batch for prompt in group])
            cache = None
        output = self._model.generate(
            input_ids=ids,
            attention_mask=mask,
            past_key_values=cache,
            generation_config=self._generation_config,
            logits_processor=_sampling(self._decoding, keys, ids.device),
        )
        new: list[list[int]] = output[:, ids.shape[1] :].tolist()
        return new

    def _run_prefixes(self, batch: list[_Group], prefixes: list[list[int]]) -> tuple[Tensor, Tensor, DynamicCache]:
        """Run what each group shares, once, and repeat its cache for each prompt.

        Token ids and mask of all prompts: the shared tokens, then the others, each part padded on the left.
        """
        from transformers import DynamicCache

        prefix_ids, prefix_mask = self._pad(prefixes)
        cache = DynamicCache(config=self._model.config)
        self._model(
            input_ids=prefix_ids,
            attention_mask=prefix_mask,
            position_ids=(prefix_mask.cumsum(dim=1) - 1).clamp(min=0),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        group_of_row = [place for place, group in enumerate(batch) for _ in group]
        repeated = torch.tensor(group_of_row, device=prefix_ids.device)
        cache.batch_select_indices(repeated)
        rests = [prompt.ids[len(prefix) :] for group, prefix in zip(batch, prefixes, strict=True) for prompt in group]
        rest_ids, rest_mask = self._pad(rests)
        ids = torch.cat([prefix_ids[repeated], rest_ids], dim=1)
        return ids, torch.cat([prefix_mask[repeated], rest_mask], dim=1), cache

    def _pad(self, sequences: list[list[int]]) -> tuple[Tensor, Tensor]:
        """Token ids and their mask, padded on the left, both of shape ``(sequences, longest)``."""
        padded: Any = self._tokenizer.pad({"input_ids": sequences}, padding_side="left", return_tensors="pt")
        return padded["input_ids"].to(self._model.device), padded["attention_mask"].to(self._model.device)


def plan_batches(groups: list[_Group], batch_size: int) -> Iterator[list[_Group]]:
    """Put groups of similar length together, the longest first; a group that is too large is divided.

    Args:
        groups: Prompts that share a beginning.
        batch_size: Most prompts of a batch.

    Yields:
        The groups, or parts of them, that run together.
    """
    ordered = [sorted(group, key=lambda prompt: len(prompt.ids), reverse=True) for group in groups]
    parts = [group[start : start + batch_size] for group in ordered for start in range(0, len(group), batch_size)]
    batch: list[_Group] = []
    for part in sorted(parts, key=lambda part: len(part[0].ids), reverse=True):
        if sum(map(len, batch)) + len(part) > batch_size:
            yield batch
            batch = []
        batch.append(part)
    if batch:
        yield batch


def common_beginning(sequences: list[list[int]]) -> list[int]:
    """Find the tokens that all sequences begin with, short of the last token of any: something must be left to run.

    Args:
        sequences: Token ids.

    Returns:
        The shared token ids.

    Example:
        >>> common_beginning([[1, 2, 3], [1, 2, 4, 5]]), common_beginning([[1, 2, 3]])
        ([1, 2], [1, 2])
    """
    # What the first and the last in alphabetical order share, all between them share.
    first, last = min(sequences), max(sequences)
    longest = min(map(len, sequences)) - 1
    return first[: next((place for place in range(longest) if first[place] != last[place]), longest)]


def _saves_tokens(batch: list[_Group], prefixes: list[list[int]]) -> bool:
    """Whether fewer tokens run, padding included, when each group's beginning runs by itself."""
    prompts = [prompt for group in batch for prompt in group]
    rests = [len(prompt.ids) - len(prefix) for group, prefix in zip(batch, prefixes, strict=True) for prompt in group]
    shared = len(batch) * max(map(len, prefixes)) + len(prompts) * max(rests)
    return all(prefixes) and shared < len(prompts) * max(len(prompt.ids) for prompt in prompts)


class _SeededNoise:
    """Gumbel noise on the logits, so that the likeliest token is a sample, from a generator for each row."""

    def __init__(self, seeds: list[int], device: torch.device) -> None:
        self._generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        rows = zip(scores, self._generators, strict=True)
        waiting_times = torch.stack([torch.empty_like(row).exponential_(generator=own) for row, own in rows])
        return scores - waiting_times.log()


def _sampling(decoding: GenerationSettings, keys: list[str], device: torch.device) -> LogitsProcessorList:
    from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopPLogitsWarper

    if not decoding.samples:
        return LogitsProcessorList()
    seeds = [int(hashlib.sha256(f"{decoding.seed} {key}".encode()).hexdigest()[:15], 16) for key in keys]
    warpers = [TemperatureLogitsWarper(decoding.temperature), TopPLogitsWarper(decoding.top_p)]
    return LogitsProcessorList([*warpers, _SeededNoise(seeds, device)])


def _generation_config(decoding: GenerationSettings, end_tokens: set[int], tokenizer: PreTrainedTokenizerBase) -> Any:
    from transformers import GenerationConfig

    configure: Any = GenerationConfig
    # Samples are made likeliest by noise, so generation itself is always greedy. What is left open here would be filled
    # in from the checkpoint.
    return configure(
        do_sample=False,
        num_beams=1,
        temperature=1.0,
        top_p=1.0,
        top_k=50,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        min_new_tokens=0,
        max_new_tokens=decoding.max_new_tokens,
        eos_token_id=sorted(end_tokens),
        pad_token_id=tokenizer.pad_token_id,
    )


def _end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    configured: int | list[int] | None = model.generation_config.eos_token_id
    of_model = configured if isinstance(configured, list) else [configured]
    return {token for token in (*of_model, tokenizer.eos_token_id) if token is not None}
