"""Who tells how likely labels are, where the model runs elsewhere: a chat server, or vLLM."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from speechcue_hf.errors import EvaluationError
from speechcue_hf.generation.adaptions import Adaptions
from speechcue_hf.generation.client import ServerClient
from speechcue_hf.generation.offline_vllm import import_vllm
from speechcue_hf.generation.request import GeneratedText, GenerationRequest, GenerationSettings, request_key
from speechcue_hf.inference.label_ways import (
    FORMS,
    Constrained,
    FirstTokens,
    FreeText,
    LabelWay,
    Likelihoods,
    check_written,
    ends_early,
    likelihood_text,
)
from speechcue_hf.models.loading import device_and_dtype
from speechcue_hf.prompts.chat_template import plain_messages
from speechcue_hf.prompts.encoding import check_chat, encode_prompts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

SHORT = GenerationSettings(max_new_tokens=32)
"""Enough for a label, or for its place in a table of JSON."""

DECODES = ("score", "first-token", "constrained", "generate")
"""The ways of reading labels, best first."""

SEQUENCES_PER_CALL = 512
"""vLLM hands results out when a whole call is done: few enough that a killed run loses little."""

_UNCONSTRAINED = ({"role": "user", "content": "Write the word unconstrained, and nothing else."},)
"""Whoever answers this with a label can answer nothing else."""


class LabelSource(Protocol):
    """Answers requests by texts that its way judges."""

    words: tuple[str, ...]
    tokenizer: PreTrainedTokenizerBase | None
    template: Mapping[str, Any] | None
    """How the chat template of the tokenizer is met, where prompts are rendered here."""

    @property
    def way(self) -> LabelWay:
        """How labels are read; known once it is settled."""

    @property
    def identity(self) -> dict[str, Any]:
        """What would change an answer, for the head of a store."""

    @property
    def new_tokens(self) -> int:
        """Most tokens that are written for one request."""

    def settle(self, request: GenerationRequest, kept: Mapping[str, Any]) -> GeneratedText | None:
        """Find the way of reading labels; of what a store holds already, whose identity is ``kept``, it is the same.

        Returns:
            The answer to the request, where finding out brought it.
        """

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GeneratedText]:
        """Answer, as every :class:`speechcue_hf.generation.request.TextGenerator` does."""


class ServerLabels:
    """A model behind a chat server, which is asked once what it can tell.

    Args:
        client: Asks the server.
        words: The labels.
        tokenizer: The model's, for scoring each label; None: that way is left out.
        decode: One of :data:`DECODES`; None takes the first that the server knows.
        decoding: How an answer is written, where the model writes one.
        matching: Rule from a written text to a label.

    Raises:
        EvaluationError: If each label is to be scored and there is no tokenizer.
        PromptError: If labels cannot be asked for, or the tokenizer's chat template garbles prompts or labels.
        ValueError: If there is no such way.
    """

    def __init__(
        self,
        client: ServerClient,
        words: Sequence[str],
        *,
        tokenizer: PreTrainedTokenizerBase | None = None,
        decode: str | None = None,
        decoding: GenerationSettings = SHORT,
        matching: str = "strict",
    ) -> None:
        if decode is not None and decode not in DECODES:
            raise ValueError(f"decode must be one of {', '.join(DECODES)}, got {decode!r}")
        if decode == "score" and tokenizer is None:
            raise EvaluationError(
                "Each label is scored token by token, which needs the model's tokenizer: name it with --tokenizer."
            )
        check_written(words)
        self.words, self.tokenizer = tuple(words), tokenizer
        rendered = tokenizer is not None and decode in (None, "score")
        self.template: Mapping[str, Any] | None = (
            check_chat(tokenizer, words) if tokenizer is not None and rendered else None
        )
        self._client, self._decode, self._decoding, self._matching = client, decode, decoding, matching
        self._way: LabelWay | None = None
        self._adapted: list[str] = []

    @property
    def way(self) -> LabelWay:
        """How labels are read; known once it is settled."""
        if self._way is None:
            raise EvaluationError("The server has not been asked yet how labels can be read.")
        return self._way

    @property
    def identity(self) -> dict[str, Any]:
        """Model, labels, the way they are read, and what the server was found not to take."""
        written = self.way.decode in ("constrained", "generate")
        return {
            **self._client.identity,
            **({"decoding": self._decoding.identity} if written else {}),
            "decode": self.way.decode,
            "form": self.way.form,
            "labels": list(self.words),
            "adapted": self._adapted,
        }

    @property
    def new_tokens(self) -> int:
        """Most tokens that are written for one request."""
        if self._decode in ("score", "first-token"):
            return len(self.words) if self._decode == "score" else 1
        return self._decoding.max_new_tokens

    def settle(self, request: GenerationRequest, kept: Mapping[str, Any]) -> GeneratedText | None:
        """Find the way of reading labels, by asking the request in each until one is understood.

        Raises:
            EvaluationError: If it is asked for by name, and the server does not know it.
            GenerationError: If the server cannot be asked at all.
        """
        if self._way is not None:
            return None
        ways = [way for way in self._ways() if self._decode in (None, way.decode)]
        for way in ways:
            if kept and (kept.get("decode"), kept.get("form")) == (way.decode, way.form):
                self._way, self._adapted = way, list(kept.get("adapted", ()))
                self._client.adaptions = Adaptions(self._adapted)
                return None
        reasons = []
        for way in ways:
            found, reason = self._try_out(way, request)
            if reason is None:
                self._way, self._adapted = way, self._client.adaptions.made
                logger.info("The server's labels are read by %s%s.", way.decode, f" ({way.form})" if way.form else "")
                return found
            reasons.append(f"{way.decode}{f' ({way.form})' if way.form else ''}: {reason}")
            logger.info("Not read by %s", reasons[-1])
        by_name = f" by --decode {self._decode}" if self._decode else ""
        fix = "leave it out, and the best way is taken that the server knows" if by_name else "see the reasons"
        raise EvaluationError(f"The server's labels cannot be read{by_name} ({'; '.join(reasons)}): {fix}.")

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GeneratedText]:
        """Ask, many requests at a time, and hand out the answers as they come in."""
        yield from self._client.ask([self.way.call(request) for request in requests])

    def _ways(self) -> Iterator[LabelWay]:
        """All ways, best first."""
        secret = self._client.secret
        if self.tokenizer is None:
            logger.info("No tokenizer is named (--tokenizer), so labels are not scored token by token.")
        else:
            yield Likelihoods(self.words, self.tokenizer, "prompt_logprobs")
            yield Likelihoods(self.words, self.tokenizer, "echo")
        yield FirstTokens(self.words, secret)
        for form in FORMS:
            yield Constrained(self.words, form, self._decoding, secret)
        yield FreeText(self.words, self._decoding, self._matching, secret)

    def _try_out(self, way: LabelWay, request: GenerationRequest) -> tuple[GeneratedText | None, str | None]:
        """The answer to a request if it comes by the way, and why it cannot be read by it."""
        # A table of JSON that is cut short is none, a word may be another.
        as_word = isinstance(way, FreeText) or (isinstance(way, Constrained) and way.form != "json_schema")
        if as_word and (reason := ends_early(self.words)):
            return None, reason
        if isinstance(way, Constrained):
            trial = GenerationRequest(request_key(_UNCONSTRAINED), _UNCONSTRAINED, "")
            answer = self._client.try_out(way.call(trial))
            if answer.text is None:
                return None, answer.reason
            label = way.judge(answer.text).label
            return None, "it does not keep the model to the labels" if label is None else None
        answer = self._client.try_out(way.call(request))
        if isinstance(way, FreeText):
            # What fails here fails again with the others, and says so.
            return (answer if answer.text is not None else None), None
        if answer.text is None:
            return None, answer.reason
        if isinstance(way, Likelihoods):
            return answer, self._other_tokens(way, request)
        return answer, way.judge(answer.text).reason

    def _other_tokens(self, way: Likelihoods, request: GenerationRequest) -> str | None:
        """Why a tokenizer is not the server's, by the number of tokens that both make of a conversation."""
        free = FreeText(self.words, GenerationSettings(max_new_tokens=1))
        told = self._client.try_out(free.call(request)).prompt_tokens
        [made] = encode_prompts(way.tokenizer, [plain_messages(request.messages)])
        if told in (None, len(made)):
            return None
        reason = f"the tokenizer makes {len(made)} tokens of the first prompt, and the server {told}"
        logger.warning("%s: it is another model's, or they render conversations differently.", reason)
        return reason


class VllmLabels:
    """A model that vLLM runs in this process: each label is scored as the completion of each prompt.

    Args:
        model: Hub id or folder of a chat model.
        words: The labels.
        name: What the model is called where it came from: a Hub id, not a local path.
        revision: Its commit on the Hub.
        gpus: GPUs that share the model (tensor parallelism).

    Raises:
        GenerationError: If vLLM is not installed.
        PromptError: If the model's chat template garbles prompts or labels.
    """

    new_tokens = 1

    def __init__(
        self, model: str, words: Sequence[str], *, name: str, revision: str | None = None, gpus: int = 1
    ) -> None:
        vllm = import_vllm()
        _, dtype = device_and_dtype()
        # Left to itself vLLM halves the numbers of weights in float32, and probabilities leave those of this process.
        self._engine: Any = vllm.LLM(model=model, revision=revision, dtype=dtype, tensor_parallel_size=gpus)
        self._parameters: Any = vllm.SamplingParams(max_tokens=1, temperature=0.0, prompt_logprobs=1)
        self.words = tuple(words)
        self.tokenizer: PreTrainedTokenizerBase | None = self._engine.get_tokenizer()
        self.template: Mapping[str, Any] | None = check_chat(self._engine.get_tokenizer(), words)
        self.way = Likelihoods(self.words, self._engine.get_tokenizer(), "prompt_logprobs")
        self.identity = {
            "writer": "vllm",
            "model": name,
            "revision": revision,
            "decode": self.way.decode,
            "form": self.way.form,
            "labels": list(words),
        }

    def settle(self, request: GenerationRequest, kept: Mapping[str, Any]) -> None:
        """There is one way."""

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GeneratedText]:
        """Score, some hundred prompts with a label each in one call, those of a dialogue together."""
        positions = self._engine.llm_engine.model_config.max_model_len
        fitting: list[tuple[str, list[int], list[list[int]]]] = []
        for request in requests:
            prompt, completions = self.way.encode(request.messages)
            longest = len(prompt) + max(map(len, completions)) + 1
            if longest > positions:
                reason = f"the prompt has {longest} tokens with a label, and the model takes {positions}"
                yield GeneratedText(request.key, None, reason, prompt_tokens=len(prompt))
            else:
                fitting.append((request.key, prompt, completions))
        rows = max(1, SEQUENCES_PER_CALL // len(self.words))
        for start in range(0, len(fitting), rows):
            yield from self._score(fitting[start : start + rows])

    def _score(self, rows: Sequence[tuple[str, list[int], list[list[int]]]]) -> Iterator[GeneratedText]:
        sequences = [[*prompt, *label] for _, prompt, completions in rows for label in completions]
        outputs = self._engine.generate(
            [{"prompt_token_ids": ids} for ids in sequences], sampling_params=self._parameters, use_tqdm=False
        )
        told = iter(outputs)
        for key, prompt, completions in rows:
            summed = []
            for label in completions:
                places = next(told).prompt_logprobs[len(prompt) :]
                summed.append(sum(place[token].logprob for place, token in zip(places, label, strict=True)))
            tokens = [len(label) for label in completions]
            sent = len(prompt) * len(completions) + sum(tokens)
            yield GeneratedText(key, likelihood_text(summed, tokens), None, sent, len(completions))
