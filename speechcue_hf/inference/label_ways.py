"""The ways in which a chat server tells which label it finds likely, best first.

1. ``score``: the log-likelihood of each label as the completion of the prompt, from servers that tell the
   log-probabilities of tokens they are given. It is what a model in this process is scored by.
2. ``first-token``: the log-probabilities of the likeliest first tokens, where labels begin differently.
3. ``constrained``: the server lets the model write nothing but a label. How likely the label was is not known.
4. ``generate``: the model writes what it likes, and what is no label, white space aside, counts as none.

Each is a class that makes requests, reads answers into the text that a store keeps, and judges such a text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import TYPE_CHECKING, Any, Protocol

from speechcue_hf.errors import PromptError
from speechcue_hf.generation.answer import read_answer, read_error, read_usage
from speechcue_hf.generation.cleaning import without_reasoning
from speechcue_hf.generation.client import ServerCall
from speechcue_hf.generation.request import GeneratedText, GenerationRequest, GenerationSettings
from speechcue_hf.generation.server import chat_body
from speechcue_hf.inference.answers import match_outputs
from speechcue_hf.prompts.chat_template import without_control
from speechcue_hf.prompts.encoding import Message, check_words, encode_completion

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MOST_TOP_LOGPROBS = 20
"""First tokens that a server tells at most; OpenAI's limit and vLLM's default."""

NOT_LISTED = f"no label begins with one of the {MOST_TOP_LOGPROBS} likeliest first tokens"
NEGLIGIBLE = 0.01
"""Share of the likeliest label that first tokens of several labels may have, for probabilities to be measured."""
SEVERAL = "the likeliest first token begins more than one label"


@dataclass(frozen=True)
class Judgement:
    """What an answer says of the labels.

    Args:
        label: The one that is likeliest or that was written; None where there is none.
        log_likelihood: Of each label, where it was measured; None where nothing was measured.
        tokens: Of each label, end token included, where its log-likelihood is a sum over them.
        output: What the model wrote, where it wrote.
        reason: Why there is no label, where there is no output either.
    """

    label: int | None
    log_likelihood: tuple[float | None, ...] | None = None
    tokens: tuple[int, ...] | None = None
    output: str | None = None
    reason: str | None = None


class LabelWay(Protocol):
    """One of the ways."""

    @property
    def decode(self) -> str:
        """Its name in results."""

    @property
    def form(self) -> str | None:
        """Which of the fields that servers have for it; None where there is one only."""

    def call(self, request: GenerationRequest) -> ServerCall:
        """The request to the server."""

    def judge(self, text: str) -> Judgement:
        """What a kept answer says."""


@dataclass(frozen=True)
class Likelihoods:
    """Each label as the completion of the prompt: one request has a prompt for each label, which all begin alike.

    Args:
        words: The labels.
        tokenizer: The model's, with a chat template.
        form: ``prompt_logprobs``, as vLLM has it, or ``echo``, with ``logprobs`` of the prompt.
    """

    words: tuple[str, ...]
    tokenizer: PreTrainedTokenizerBase
    form: str

    decode: str = field(default="score", init=False)

    def call(self, request: GenerationRequest) -> ServerCall:
        """The tokens of prompt and label, for each label; one more token is written, since servers want one."""
        prompt, completions = self.encode(request.messages)
        asked = {"prompt_logprobs": 1} if self.form == "prompt_logprobs" else {"echo": True, "logprobs": 1}
        body = {"prompt": [[*prompt, *label] for label in completions], "max_tokens": 1, "temperature": 0.0, **asked}

        def read(key: str, values: Any) -> GeneratedText:
            return _read_likelihoods(key, values, len(prompt), completions, self.form)

        return ServerCall(request.key, "completions", body, read)

    def encode(self, messages: Sequence[Message]) -> tuple[list[int], list[list[int]]]:
        """Tokens of a prompt, and of each label behind it with the end token, as in training."""
        answers = [[{"role": "assistant", "content": word}] for word in self.words]
        encoded = [encode_completion(self.tokenizer, messages, answer) for answer in answers]
        return encoded[0][0], [completion for _, completion in encoded]

    def judge(self, text: str) -> Judgement:
        """The likeliest label."""
        values = json.loads(text)
        likely = tuple(values["log_likelihood"])
        return Judgement(likely.index(max(likely)), likely, tuple(values["tokens"]))


def likelihood_text(log_likelihood: Sequence[float], tokens: Sequence[int]) -> str:
    """The text that a store keeps of log-likelihoods, summed over so many tokens each."""
    return json.dumps({"log_likelihood": list(log_likelihood), "tokens": list(tokens)})


def _read_likelihoods(
    key: str, values: Any, start: int, completions: Sequence[Sequence[int]], form: str
) -> GeneratedText:
    if error := read_error(values):
        raise error
    try:
        choices = sorted(values["choices"], key=lambda choice: choice["index"])
        tell = _prompt_logprobs if form == "prompt_logprobs" else _echoed
        summed = [
            math.fsum(tell(choice, start, completion)) for choice, completion in zip(choices, completions, strict=True)
        ]
    except (LookupError, TypeError, ValueError) as error:
        reason = f"the server tells no log-probabilities of the labels' tokens as {form} ({type(error).__name__})"
        return GeneratedText(key, None, reason)
    if not all(map(math.isfinite, summed)):
        return GeneratedText(key, None, "the server tells log-probabilities that are no numbers")
    return GeneratedText(key, likelihood_text(summed, list(map(len, completions))), None, **read_usage(values))


def _prompt_logprobs(choice: Mapping[str, Any], start: int, completion: Sequence[int]) -> Iterator[float]:
    """Of the tokens of a label; each place of the prompt lists token id → ``logprob``."""
    places = choice["prompt_logprobs"]
    if len(places) != start + len(completion):
        raise ValueError("another prompt")
    for place, token in zip(places[start:], completion, strict=True):
        yield float(place[str(token)]["logprob"])


def _echoed(choice: Mapping[str, Any], start: int, completion: Sequence[int]) -> Iterator[float]:
    """The same where the prompt is repeated with a log-probability for each of its tokens, and what was written."""
    places = choice["logprobs"]["token_logprobs"]
    if not start + len(completion) <= len(places) <= start + len(completion) + 1:
        raise ValueError("another prompt")
    yield from (float(value) for value in places[start : start + len(completion)])


@dataclass(frozen=True)
class FirstTokens:
    """The likeliest first tokens of an answer.

    Args:
        words: The labels.
        secret: Token that answers must not repeat.
    """

    words: tuple[str, ...]
    secret: str | None = None

    decode: str = field(default="first-token", init=False)
    form: None = field(default=None, init=False)

    def call(self, request: GenerationRequest) -> ServerCall:
        """One token, with the likeliest in its place."""
        body = _chat_body(request.messages, GenerationSettings(max_new_tokens=1))
        return ServerCall(
            request.key, "chat/completions", {**body, "logprobs": True, "top_logprobs": MOST_TOP_LOGPROBS}, self._read
        )

    def _read(self, key: str, values: Any) -> GeneratedText:
        if error := read_error(values):
            raise error
        try:
            [first, *_] = values["choices"][0]["logprobs"]["content"]
            listed = [[str(it["token"]), float(it["logprob"])] for it in first["top_logprobs"]]
        except (LookupError, TypeError, ValueError):
            listed = []
        if not listed:
            return GeneratedText(
                key, None, "the server tells no log-probabilities of first tokens", **read_usage(values)
            )
        return GeneratedText(key, json.dumps(listed), None, **read_usage(values))

    def judge(self, text: str) -> Judgement:
        """Of each label the log-probability of the tokens that it alone begins with; null where none is listed."""
        mass = [0.0] * len(self.words)
        shared = 0.0
        for token, logprob in json.loads(text):
            begun = token.lstrip()
            fitting = [place for place, word in enumerate(self.words) if begun and word.startswith(begun)]
            if len(fitting) == 1:
                mass[fitting[0]] += math.exp(logprob)
            elif fitting:
                shared = max(shared, math.exp(logprob))
        if max(mass) <= shared:
            return Judgement(None, reason=SEVERAL if shared else NOT_LISTED)
        likely = tuple(math.log(share) if share else None for share in mass)
        return Judgement(mass.index(max(mass)), None if shared > NEGLIGIBLE * max(mass) else likely)


_CHOICES: dict[str, Callable[[Sequence[str]], dict[str, Any]]] = {
    "structured_outputs": lambda words: {"structured_outputs": {"choice": list(words)}},
    "guided_choice": lambda words: {"guided_choice": list(words)},
    "json_schema": lambda words: {
        "response_format": {
            "type": "json_schema",
            "json_schema": {
                "name": "emotion",
                "strict": True,
                "schema": {
                    "type": "object",
                    "properties": {"emotion": {"type": "string", "enum": list(words)}},
                    "required": ["emotion"],
                    "additionalProperties": False,
                },
            },
        }
    },
    "grammar": lambda words: {"grammar": "root ::= " + " | ".join(json.dumps(word) for word in words)},
}
"""Field by which servers constrain an answer → what it holds: vLLM's, that of its earlier releases, OpenAI's (SGLang,
Ollama, LM Studio and llama.cpp have it too), and llama.cpp's."""

FORMS = tuple(_CHOICES)


@dataclass(frozen=True)
class Constrained:
    """Nothing but a label can be written.

    Args:
        words: The labels.
        form: One of :data:`FORMS`.
        decoding: How many tokens there are for it.
        secret: Token that answers must not repeat.
    """

    words: tuple[str, ...]
    form: str
    decoding: GenerationSettings
    secret: str | None = None

    decode: str = field(default="constrained", init=False)

    def call(self, request: GenerationRequest) -> ServerCall:
        """An answer that is constrained."""
        body = {**_chat_body(request.messages, self.decoding), **_CHOICES[self.form](self.words)}
        return ServerCall(request.key, "chat/completions", body, self._read)

    def _read(self, key: str, values: Any) -> GeneratedText:
        return read_answer(key, values, self.secret)

    def judge(self, text: str) -> Judgement:
        """The label that was written, in the form that was asked for."""
        written = without_reasoning(text)[0]
        if self.form == "json_schema":
            written = _emotion_in(written)
        return Judgement(match_outputs([written], self.words, "strict")[0], output=text)


def _emotion_in(written: str) -> str:
    """The value of ``{"emotion": ...}``; empty for anything else."""
    try:
        values = json.loads(written)
    except (ValueError, RecursionError):
        return ""
    emotion = values.get("emotion") if isinstance(values, dict) else None
    return emotion if isinstance(emotion, str) else ""


@dataclass(frozen=True)
class FreeText:
    """The model writes.

    Args:
        words: The labels.
        decoding: How many tokens there are for it.
        matching: Rule from text to label.
        secret: Token that answers must not repeat.
    """

    words: tuple[str, ...]
    decoding: GenerationSettings
    matching: str = "strict"
    secret: str | None = None

    decode: str = field(default="generate", init=False)
    form: None = field(default=None, init=False)

    def call(self, request: GenerationRequest) -> ServerCall:
        """An answer as it comes."""
        return ServerCall(request.key, "chat/completions", _chat_body(request.messages, self.decoding), self._read)

    def _read(self, key: str, values: Any) -> GeneratedText:
        return read_answer(key, values, self.secret)

    def judge(self, text: str) -> Judgement:
        """The label that the text is, reasoning aside."""
        written, unfinished = without_reasoning(text)
        label = None if unfinished else match_outputs([written], self.words, self.matching)[0]
        return Judgement(label, output=text)


def check_written(words: Sequence[str]) -> None:
    """Check labels that a server is asked for, and that may come back as text.

    Raises:
        PromptError: If there are fewer than two, two are the same, or one cannot be read back as it was asked for: with
            blanks at its ends, a line end, or what a tokenizer takes for a control token.

    Example:
        >>> check_written(["happy", "sad"])
    """
    check_words(words)
    for word in words:
        if word != word.strip() or len(word.splitlines()) > 1 or word != without_control(word):
            raise PromptError(
                f"a server cannot answer with the label {word!r}, which has blanks at its ends, a line end or a "
                "control token: give it another word with label_words in the prompt"
            )


def ends_early(words: Sequence[str]) -> str | None:
    """Why a written label that ends too early is another label; None where it is none.

    Example:
        >>> ends_early(["sad", "sadness"])[:49]
        "the label 'sad' begins 'sadness', so an answer th"
    """
    for one, other in permutations(words, 2):
        if other.startswith(one):
            return (
                f"the label {one!r} begins {other!r}, so an answer that is cut short is another label: give them other "
                "words with label_words in the prompt"
            )
    return None


def _chat_body(messages: Sequence[Message], decoding: GenerationSettings) -> dict[str, Any]:
    """A chat whose template leaves reasoning out, as it does in this process; servers that do not know it ignore it."""
    return {**chat_body(messages, decoding), "chat_template_kwargs": {"enable_thinking": False}}
