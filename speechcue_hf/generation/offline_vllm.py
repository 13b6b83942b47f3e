"""A chat model that vLLM runs in this process and that writes; vLLM is imported when a generator is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from speechcue_hf.errors import GenerationError
from speechcue_hf.generation.request import (
    GREEDY,
    GeneratedText,
    GenerationRequest,
    GenerationSettings,
    encode_requests,
)
from speechcue_hf.models.loading import device_and_dtype
from speechcue_hf.prompts.chat_template import plain_messages

REQUESTS_PER_CALL = 512
"""vLLM hands texts out when a whole call is done: few enough that a killed run loses little, enough to fill a GPU."""


class VllmGenerator:
    """Writes with vLLM, without a server; vLLM finds by itself what prompts share.

    Args:
        model: Hub id or folder of a chat model.
        name: What the model is called where it came from: a Hub id, not a local path.
        revision: Branch, tag or commit on the Hub.
        decoding: How tokens are chosen, and how many.
        gpus: GPUs that share the model (tensor parallelism).
        positions: Tokens of prompt and text together that memory is kept for; None takes what the model can.

    Raises:
        GenerationError: If vLLM is not installed.

    Example:
        >>> generator = VllmGenerator("Qwen/Qwen3-0.6B", name="Qwen/Qwen3-0.6B", revision="main")  # doctest: +SKIP
        >>> [answer.text for answer in generator.generate([request])]  # doctest: +SKIP
        ['Ann is warm and quick to laugh.']
    """

    def __init__(
        self,
        model: str,
        *,
        name: str,
        revision: str | None = None,
        decoding: GenerationSettings = GREEDY,
        gpus: int = 1,
        positions: int | None = None,
    ) -> None:
        vllm = import_vllm()
        _, dtype = device_and_dtype()
        self._engine: Any = vllm.LLM(
            model=model, revision=revision, dtype=dtype, tensor_parallel_size=gpus, max_model_len=positions
        )
        self._parameters: Any = vllm.SamplingParams(
            max_tokens=decoding.max_new_tokens,
            temperature=decoding.temperature,
            top_p=decoding.top_p,
            seed=decoding.seed if decoding.samples else None,
        )
        self._decoding = decoding
        self.identity = {"writer": "vllm", "model": name, "revision": revision, "decoding": decoding.identity}

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GeneratedText]:
        """Write, some hundred requests in one call, those of a group together."""
        ordered = sorted(requests, key=lambda request: request.group)
        positions = self._engine.llm_engine.model_config.max_model_len
        # One prompt that is too long would fail the whole call.
        fitting, refused = encode_requests(ordered, self._engine.get_tokenizer(), self._decoding, positions)
        yield from refused
        for start in range(0, len(fitting), REQUESTS_PER_CALL):
            yield from self._write_call([request for request, _ in fitting[start : start + REQUESTS_PER_CALL]])

    def _write_call(self, requests: Sequence[GenerationRequest]) -> Iterator[GeneratedText]:
        outputs = self._engine.chat(
            [plain_messages(request.messages) for request in requests],
            sampling_params=self._parameters,
            use_tqdm=False,
            chat_template_kwargs={"enable_thinking": False},
        )
        for request, output in zip(requests, outputs, strict=True):
            completion = output.outputs[0]
            tokens = len(output.prompt_token_ids), len(completion.token_ids)
            yield GeneratedText(request.key, completion.text, None, *tokens, completion.finish_reason)


def import_vllm() -> Any:
    """The module vllm; GenerationError with the cure where it is not installed."""
    try:
        import vllm  # type: ignore[import-not-found, unused-ignore]
    except ModuleNotFoundError as error:
        if error.name != "vllm":
            raise
        raise GenerationError(
            "vLLM is not installed: pip install 'speechcue_hf[vllm]' on a machine with a GPU, in an environment of "
            "its own, or let a vLLM server write and give its address"
        ) from error
    return vllm
