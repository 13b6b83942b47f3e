"""Load a language model with its tokenizer, whether it is an adapter or a whole model, local or on the Hub.

``source`` is a folder of either, a Hub id, or the path of a ``.gguf`` file, which holds a whole model in itself;
``revision`` is a branch, tag or commit on the Hub.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from speechcue_hf.errors import ModelError, PromptError
from speechcue_hf.models.base import is_gguf
from speechcue_hf.records import BASE_MODEL_FOLDER, read_json

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from speechcue_hf.models.bioserc import BiosErcForUtteranceClassification
    from speechcue_hf.models.semollm import SEmoLLMProcessor

logger = logging.getLogger(__name__)

SENTENCEPIECE_BLANK = "▁"
"""What SentencePiece has in place of a blank, and puts before each text; byte-level vocabularies do not have it."""

_FIX = "take another copy of the model"


def load_model(source: str | Path, revision: str | None = None) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a model for scoring: in evaluation mode, on the GPU in bfloat16 if there is one, else on the CPU in float32.

    Args:
        source: An adapter folder written by :func:`speechcue_hf.training.sft.fine_tune`, a model folder, the Hub id of
            either, or a ``.gguf`` file: its weights are turned into full numbers, and the log says what that costs.
        revision: Branch, tag or commit on the Hub; that of an adapter's base model stands in the adapter.

    Returns:
        The model (a ``PeftModel`` for an adapter) and its tokenizer.

    Raises:
        OSError: If there is no model of that name.
        ModelError: If a file of it is damaged, or a ``.gguf`` file cannot be read.
        PromptError: If the tokenizer has no chat template.
    """
    from transformers import AutoModelForCausalLM

    with _explained(source):
        return _load(source, revision, AutoModelForCausalLM), load_tokenizer(source, revision)


def load_speech_model(source: str | Path, revision: str | None = None) -> tuple[PreTrainedModel, SEmoLLMProcessor]:
    """Load a SEmoLLM with its processor for scoring, as :func:`load_model` loads a chat model with its tokenizer.

    Raises:
        OSError: If there is no model of that name.
        ModelError: If it is no SEmoLLM, or a file of it is damaged.
    """
    import numpy as np
    from transformers import AutoProcessor

    from speechcue_hf.models.semollm import SEmoLLMForConditionalGeneration, SEmoLLMProcessor

    with _explained(source):
        name, at = _place(source, revision)
        processor = AutoProcessor.from_pretrained(name, revision=at)
        if not isinstance(processor, SEmoLLMProcessor):
            raise ModelError(f"{source} holds no SEmoLLM: its processor is a {type(processor).__name__}")
        # Settings of the processor that make no sense show when it hears clips of two lengths, not before.
        rate, seconds = processor.feature_extractor.sampling_rate, processor.max_seconds
        clips = [np.zeros(rate), np.zeros(2 * rate)]
        processor(text=[processor.audio_token] * 2, audio=clips, sampling_rate=[rate] * 2, max_seconds=seconds)
        return _load(source, revision, SEmoLLMForConditionalGeneration), processor


@contextmanager
def _explained(source: str | Path) -> Iterator[None]:
    """Let what libraries raise of a damaged file of a model say which model it is, and what to do."""
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError
    from torch import OutOfMemoryError

    try:
        yield
    except OutOfMemoryError:
        raise
    except (
        *(ValueError, TypeError, AttributeError, LookupError, ArithmeticError, AssertionError, RuntimeError),
        *(SafetensorError, StrictDataclassError),
    ) as error:
        reason = " ".join(str(error).split())[:200].replace(str(source), Path(source).name)
        raise ModelError(
            f"{Path(source).name} cannot be loaded ({type(error).__name__}: {reason}): a file of it is damaged or does "
            f"not fit the others; {_FIX}, or train again"
        ) from error


def _load(source: str | Path, revision: str | None, kind: Any) -> PreTrainedModel:
    """Load a model of a class, with its adapter if it has one."""
    from peft import PeftModel

    name, at = _place(source, revision)
    adapter = Path(name) / "adapter_config.json"
    device, dtype = device_and_dtype()
    base, base_revision = _base_of(adapter.parent) if adapter.is_file() else (name, at)
    if is_gguf(name):
        model: Any = _load_gguf(Path(name), kind, dtype)
    else:
        model = kind.from_pretrained(base, revision=base_revision, dtype=dtype)
    if adapter.is_file():
        model = PeftModel.from_pretrained(model, name)
    placed: PreTrainedModel = model.to(device).eval()
    return placed


def device_and_dtype() -> tuple[str, str]:
    """Where models run and in which numbers: on a GPU in ``bfloat16`` if there is one, else in ``float32``."""
    import torch

    return ("cuda", "bfloat16") if torch.cuda.is_available() else ("cpu", "float32")


def _load_gguf(file: Path, kind: Any, dtype: str) -> Any:
    """Load a model from a ``.gguf`` file, and say what its weights take as full numbers."""
    with _gguf_explained(file):
        model = kind.from_pretrained(str(file.parent), gguf_file=file.name, dtype=dtype)
    size = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    logger.info(
        "%s: %.0f MB of weights become %.0f MB in %s. They are as exact as in the file, and take the time and memory "
        "of any model of this size: a server of llama.cpp reads the file as it is (--server)",
        *(file.name, file.stat().st_size / 1e6, size / 1e6, dtype),
    )
    return model


def _end_of_gguf(file: Path) -> int | None:
    """Id of the token that ends an answer, by a ``.gguf`` file."""
    from gguf import GGUFReader

    field = GGUFReader(str(file)).fields.get("tokenizer.ggml.eos_token_id")
    return None if field is None else int(field.parts[field.data[0]][0])


@contextmanager
def _gguf_explained(file: Path) -> Iterator[None]:
    """Say what is wrong with a ``.gguf`` file, or with this machine."""
    from transformers.utils.import_utils import is_gguf_available

    if not file.is_file():
        raise ModelError(f"there is no file {file.name} there: give the path of a .gguf file on this machine")
    if not is_gguf_available():
        raise ModelError(f"{file.name} is read with the package gguf: pip install gguf")
    try:
        yield
    except (ValueError, LookupError, NotImplementedError, struct.error) as error:
        reason = str(error).replace(str(file), file.name)
        raise ModelError(
            f"transformers cannot read {file.name} ({reason}): take another copy, the model's own folder, or a server "
            "of llama.cpp with this file (--server)"
        ) from error


def load_encoder(
    source: str | Path, revision: str | None = None
) -> tuple[BiosErcForUtteranceClassification, PreTrainedTokenizerBase]:
    """Load an encoder classifier with its tokenizer for scoring, on the GPU if there is one, in single precision.

    Raises:
        OSError: If there is no model of that name.
        ModelError: If a file of it is damaged.
    """
    import torch
    from transformers import AutoTokenizer

    from speechcue_hf.models.bioserc import BiosErcForUtteranceClassification

    requested = revision or "main"
    with _explained(source):
        model = BiosErcForUtteranceClassification.from_pretrained(str(source), revision=requested, dtype=torch.float32)
        placed = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
        return placed, AutoTokenizer.from_pretrained(str(source), revision=requested)


def load_tokenizer(source: str | Path, revision: str | None = None) -> PreTrainedTokenizerBase:
    """Load the tokenizer of a model or adapter, so that it can render conversations and pad batches.

    One without a padding token pads with its end token, which the attention mask hides.

    Raises:
        OSError: If there is no tokenizer of that name.
        ModelError: If packages are missing that its files are read with.
        PromptError: If the tokenizer has no chat template.
    """
    tokenizer = read_tokenizer(source, revision)
    if tokenizer.chat_template is None:
        raise PromptError(
            f"The tokenizer of {Path(source).name} has no chat template, so it cannot render a prompt: "
            "take the chat (instruct) version of the model, or save its tokenizer with a chat_template"
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def read_tokenizer(
    source: str | Path, revision: str | None = None, *, legacy: bool | None = None
) -> PreTrainedTokenizerBase:
    """Read the tokenizer of a language model, of SentencePiece's ``tokenizer.model`` alone if need be.

    Saved and loaded again, it makes the same tokens of a text.

    Args:
        source: As for :func:`load_model`.
        revision: Branch, tag or commit on the Hub.
        legacy: Of a Llama's SentencePiece tokenizer, in place of its own setting: whether a text behind a special token
            begins as a text alone does, with the blank that SentencePiece puts first. A byte-level one has no such
            blank and stays as it is.

    Raises:
        OSError: If there is no tokenizer of that name.
        ModelError: If packages are missing that its files are read with.
    """
    from transformers import AutoTokenizer, LlamaTokenizer, PreTrainedTokenizerFast

    name, at = _place(source, revision)
    if is_gguf(name):
        with _gguf_explained(Path(name)):
            read: Any = AutoTokenizer.from_pretrained(str(Path(name).parent), gguf_file=Path(name).name)
            # Earlier releases of transformers take another token for the one that ends an answer.
            if (end := _end_of_gguf(Path(name))) is not None:
                read.eos_token = read.convert_ids_to_tokens(end)
        return cast("PreTrainedTokenizerBase", read)
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(name, revision=at)
        # Where no file names its class, AutoTokenizer makes one that never puts the first blank.
        nameless = type(tokenizer) is PreTrainedTokenizerFast and _has_sentencepiece_alone(name, at)
        asked = legacy is not None and SENTENCEPIECE_BLANK in tokenizer.get_vocab()
        if (nameless or asked) and model_type(name, at) == "llama":
            settings: dict[str, Any] = {} if legacy is None else {"legacy": legacy}
            tokenizer = LlamaTokenizer.from_pretrained(name, revision=at, **settings)
    except (ValueError, ImportError) as error:
        missing = _missing_for_sentencepiece()
        if missing and _has_sentencepiece_alone(name, at):
            raise ModelError(
                f"{Path(source).name} has its tokenizer in tokenizer.model alone, which is read with {missing}: "
                f"pip install {missing} (the extra [audio-model] has both sentencepiece and protobuf)"
            ) from error
        raise
    if hasattr(tokenizer, "legacy"):
        # Transformers 5 leaves it out of what it saves.
        tokenizer.init_kwargs["legacy"] = tokenizer.legacy
    return cast("PreTrainedTokenizerBase", tokenizer)


def model_type(source: str | Path, revision: str | None = None) -> str | None:
    """Find the kind of a model, such as ``"bioserc"``, in its ``config.json`` or that of an adapter's base model.

    Returns:
        Its kind; None where nothing says it.

    Raises:
        OSError: If there is no such model, or an adapter's base model is not found.
        RecordError: If a configuration is no JSON.
    """
    path = find_beside(source, "config.json", revision)
    if path is None and (adapter := find_beside(source, "adapter_config.json", revision)):
        settings = read_json(adapter, _FIX)
        base = str(settings.get("base_model_name_or_path"))
        if base == BASE_MODEL_FOLDER:
            path = find_beside(source, f"{base}/config.json", revision)
        else:
            path = find_beside(base, "config.json", settings.get("revision"))
    return None if path is None else read_json(path, _FIX).get("model_type")


def hub_commit(source: str | Path, revision: str | None = None) -> str | None:
    """Find the commit that a model on the Hub is at, for records and to load all its files from one state.

    Returns:
        40 hexadecimal digits; without a way to the Hub those of the state that was fetched before. None for a folder or
        file.

    Raises:
        OSError: If there is no model of that name, or there is no way to the Hub and none was fetched before.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]
    from transformers.utils.hub import extract_commit_hash

    if Path(source).is_dir() or is_gguf(source):
        return None
    try:
        commit: str | None = HfApi().model_info(str(source), revision=revision).sha
    except (OSError, HTTPError) as error:
        if getattr(error, "response", None) is None:
            return _fetched_commit(str(source), revision, error)
        logger.debug("the Hub does not say where %s is; what was fetched before may", source)
        commit = None
    # Both are asked for by the revision's name, so that the cache knows which commit that is: offline, and where a
    # model has become one of another kind.
    names = ("config.json", "adapter_config.json")
    found = [str(path) for name in names if (path := find_beside(source, name, revision))]
    fetched: str | None = extract_commit_hash(found[0] if found else None, None)
    return commit or fetched


def _fetched_commit(source: str, revision: str | None, unreachable: Exception) -> str:
    """The commit of a model that was fetched before; asking a Hub that is not there again would take a minute."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(source, revision=revision, local_files_only=True)).name
    except LocalEntryNotFoundError:
        raise OSError(
            f"{source} is neither a folder here nor a model that was fetched before, and there is no way to the Hub "
            f"({unreachable}): correct the name, or give the folder of a copy"
        ) from unreachable


def find_beside(source: str | Path, name: str, revision: str | None = None) -> Path | None:
    """Find where on this machine the file of this name beside a model is, fetched if need be.

    Returns:
        None where the model has no such file; nothing belongs to a ``.gguf`` file but what is in it.

    Raises:
        OSError: If there is no such model.
    """
    from transformers.utils.hub import cached_file

    if is_gguf(source):
        return None
    found = cached_file(str(source), name, revision=revision, _raise_exceptions_for_missing_entries=False)
    return None if found is None else Path(found)


def _has_sentencepiece_alone(name: str, revision: str) -> bool:
    """Whether a model has ``tokenizer.model`` and no ``tokenizer.json``."""
    found = [find_beside(name, file, revision) for file in ("tokenizer.model", "tokenizer.json")]
    return found[0] is not None and found[1] is None


def _missing_for_sentencepiece() -> str:
    """Packages that ``tokenizer.model`` is read with and that are not installed, as pip takes them."""
    from transformers.utils.import_utils import is_protobuf_available, is_sentencepiece_available

    needed = {"sentencepiece": is_sentencepiece_available(), "protobuf": is_protobuf_available()}
    return " ".join(package for package, installed in needed.items() if not installed)


def _place(source: str | Path, revision: str | None) -> tuple[str, str]:
    """Name and revision that a model is read from."""
    from huggingface_hub import snapshot_download

    if Path(source).is_dir() or find_beside(source, "adapter_config.json", revision) is None:
        return str(source), revision or "main"
    return snapshot_download(str(source), revision=revision, ignore_patterns=["checkpoint-*"]), "main"


def _base_of(adapter: Path) -> tuple[str, str]:
    """Where the base model of an adapter is: beside it, or under the Hub id and revision that the adapter names."""
    from peft import PeftConfig

    config = PeftConfig.from_pretrained(str(adapter))
    name = str(config.base_model_name_or_path)
    return (str(adapter / name), "main") if name == BASE_MODEL_FOLDER else (name, config.revision or "main")
