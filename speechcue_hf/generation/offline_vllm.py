"""A chat model that vLLM runs in this process and that writes; vLLM is imported when a generator is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from speechcue_hf.errors import GenerationError
from speechcue_hf.generation.encoding import encode_messages, refuse_long_prompt
from speechcue_hf.generation.request import GeneratedText, GenerationRequest
from speechcue_hf.generation.settings import GREEDY, GenerationSettings

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
        vllm = _import_vllm()
        self._engine: Any = vllm.LLM(model=model, revision=revision, tensor_parallel_size=gpus, max_model_len=positions)
        self._parameters: Any = vllm.SamplingParams(
            max_tokens=decoding.max_new_tokens,
            temperature=decoding.temperature,
            top_p=decoding.top_p,
            seed=decoding.seed if decoding.samples else None,
        )
        self._name = name
        self._revision = revision
        self._decoding = decoding

    @property
    def identity(self) -> dict[str, Any]:
        """Model, revision and decoding settings."""
        return {
            "writer": "vllm",
            "model": self._name,
            "revision": self._revision,
            "decoding": self._decoding.identity,
        }

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[GeneratedText]:
        """Write, some hundred requests in one call, those of a group together.

        Args:
            requests: What is asked, each key once.

        Yields:
            One answer for each request; one without text, with the reason, for a prompt that the model has no room
            for.
        """
        fitting: list[GenerationRequest] = []
        for request in sorted(requests, key=lambda request: request.group):
            refusal = self._refuse(request)
            if refusal is None:
                fitting.append(request)
            else:
                yield refusal
        for start in range(0, len(fitting), REQUESTS_PER_CALL):
            yield from self._write_call(fitting[start : start + REQUESTS_PER_CALL])

    def _refuse(self, request: GenerationRequest) -> GeneratedText | None:
        # One prompt that is too long would fail the whole call.
        length = len(encode_messages(self._engine.get_tokenizer(), request.messages))
        positions = self._engine.llm_engine.model_config.max_model_len
        return refuse_long_prompt(request.key, length, self._decoding.max_new_tokens, positions)

    def _write_call(self, requests: Sequence[GenerationRequest]) -> Iterator[GeneratedText]:
        outputs = self._engine.chat(
            [list(request.messages) for request in requests],
            sampling_params=self._parameters,
            use_tqdm=False,
            chat_template_kwargs={"enable_thinking": False},
        )
        for request, output in zip(requests, outputs, strict=True):
            completion = output.outputs[0]
            yield GeneratedText(
                request.key, completion.text, None, len(output.prompt_token_ids), len(completion.token_ids)
            )


def _import_vllm() -> Any:
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
