"""Load a language model with its tokenizer, whether it is an adapter or a whole model, local or on the Hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechcue_hf.errors import ModelError, PromptError
from speechcue_hf.filenames import BASE_MODEL_FOLDER

if TYPE_CHECKING:
    from peft import PeftConfig
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from speechcue_hf.models.bioserc import BiosErcForUtteranceClassification
    from speechcue_hf.models.semollm.processing_semollm import SEmoLLMProcessor


def load_model(source: str | Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a model for scoring: in evaluation mode, on the GPU in bfloat16 if there is one, else on the CPU in float32.

    Args:
        source: An adapter folder written by :func:`speechcue_hf.training.sft.fine_tune`, a model folder, or the Hub id
            of either.

    Returns:
        The model (a ``PeftModel`` for an adapter) and its tokenizer.

    Raises:
        OSError: If there is no model of that name.
        PromptError: If the tokenizer has no chat template.
    """
    from transformers import AutoModelForCausalLM

    return _load(source, AutoModelForCausalLM), load_tokenizer(source)


def load_speech_model(source: str | Path) -> tuple[PreTrainedModel, SEmoLLMProcessor]:
    """Load a SEmoLLM for scoring, as :func:`load_model` loads a chat model.

    Args:
        source: An adapter folder, a model folder, or the Hub id of either.

    Returns:
        The model (a ``PeftModel`` for an adapter) and its processor.

    Raises:
        OSError: If there is no model of that name.
        ModelError: If it is no SEmoLLM.
    """
    from transformers import AutoProcessor

    import speechcue_hf.models.semollm  # noqa: F401  (makes the Auto classes know it)
    from speechcue_hf.models.semollm.modeling_semollm import SEmoLLMForConditionalGeneration
    from speechcue_hf.models.semollm.processing_semollm import SEmoLLMProcessor

    auto: Any = AutoProcessor
    processor = auto.from_pretrained(str(source))
    if not isinstance(processor, SEmoLLMProcessor):
        raise ModelError(f"{source} holds no SEmoLLM: its processor is a {type(processor).__name__}")
    return _load(source, SEmoLLMForConditionalGeneration), processor


def _load(source: str | Path, kind: Any) -> PreTrainedModel:
    """Load a model of a class, with its adapter if it has one."""
    import torch
    from peft import PeftModel

    adapter = _adapter(source)
    device, dtype = ("cuda", torch.bfloat16) if torch.cuda.is_available() else ("cpu", torch.float32)
    base, revision = (str(source), None) if adapter is None else _base_of(*adapter)
    model: Any = kind.from_pretrained(base, revision=revision or "main", dtype=dtype)
    if adapter is not None:
        model = PeftModel.from_pretrained(model, str(adapter[0]))
    placed: PreTrainedModel = model.to(device).eval()
    return placed


def load_encoder(source: str | Path) -> tuple[BiosErcForUtteranceClassification, PreTrainedTokenizerBase]:
    """Load an encoder classifier for scoring: in evaluation mode, on the GPU if there is one, in single precision.

    Args:
        source: A folder written by :func:`speechcue_hf.training.encoder.train_encoder`, or a Hub id.

    Returns:
        The model and its tokenizer.

    Raises:
        OSError: If there is no model of that name.
    """
    import torch
    from transformers import AutoTokenizer

    from speechcue_hf.models.bioserc import BiosErcForUtteranceClassification

    model = BiosErcForUtteranceClassification.from_pretrained(str(source), dtype=torch.float32)
    placed = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    return placed, AutoTokenizer.from_pretrained(str(source))


def load_tokenizer(source: str | Path, revision: str = "main") -> PreTrainedTokenizerBase:
    """Load a tokenizer that can render conversations and pad batches.

    Args:
        source: A model or adapter folder, or a Hub id.
        revision: Branch, tag or commit on the Hub.

    Returns:
        The tokenizer; one without a padding token pads with its end token, which the attention mask hides.

    Raises:
        OSError: If there is no tokenizer of that name.
        PromptError: If the tokenizer has no chat template.
    """
    from transformers import AutoTokenizer

    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(str(source), revision=revision)
    if tokenizer.chat_template is None:
        raise PromptError(
            f"The tokenizer of {Path(source).name} has no chat template, so it cannot render a prompt: "
            "take the chat (instruct) version of the model, or save its tokenizer with a chat_template"
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _adapter(source: str | Path) -> tuple[Path, PeftConfig] | None:
    """Folder and configuration of an adapter, fetched from the Hub if need be; None for a whole model."""
    from huggingface_hub import snapshot_download
    from peft import PeftConfig
    from transformers.utils.hub import cached_file

    found = cached_file(str(source), "adapter_config.json", _raise_exceptions_for_missing_entries=False)
    if found is None:
        return None
    folder = Path(found).parent if Path(source).is_dir() else Path(snapshot_download(str(source)))
    return folder, PeftConfig.from_pretrained(str(folder))


def _base_of(folder: Path, config: PeftConfig) -> tuple[str, str | None]:
    """Where the base model of an adapter is: beside it, or under the Hub id and revision that the adapter names."""
    name = str(config.base_model_name_or_path)
    return (str(folder / name), None) if name == BASE_MODEL_FOLDER else (name, config.revision)
