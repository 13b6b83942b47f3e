"""Hidden states of a frozen speech encoder, computed once and kept on disk as a column of a dataset.

They take 2 bytes for each value: 0.1 MB for each layer of WavLM-large and second of speech (50 frames, 1024 wide). For
the 7 hours of IEMOCAP's four classes that is 64 GB for all 25 layers, 2.6 GB for their sum.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from datasets import Dataset, DatasetDict, Features, Value
from torch import Tensor

from speechcue_hf.audio import decode
from speechcue_hf.channels import mixed
from speechcue_hf.errors import TrainingError
from speechcue_hf.training.kept_states import digest_of, open_states

if TYPE_CHECKING:
    from speechcue_hf.models.semollm.processing_semollm import SEmoLLMProcessor

FEATURES = Features(
    {
        "utterance_id": Value("string"),
        "clip_sha256": Value("string"),
        "speech_states": Value("large_binary"),
        "frames": Value("int32"),
    }
)
"""``speech_states`` is the float16 array of shape ``(layers, frames, width)`` in C order; ``sum`` has one layer.
``clip_sha256`` is that of the clip's file."""


def read_clip(audio: Mapping[str, Any], seconds: float) -> tuple[np.ndarray, int]:
    """Decode the beginning of a clip and mix its channels, as :func:`speechcue_hf.channels.mixed` does.

    Args:
        audio: A row's ``audio``.
        seconds: Most seconds.

    Returns:
        Samples (float32), shape ``(samples,)``, and their rate in Hz.

    Raises:
        AudioError: If it cannot be decoded.
    """
    clip = mixed(decode(audio, limit=seconds))
    return clip.samples[0].astype(np.float32), clip.rate


def clip_inputs(
    processor: SEmoLLMProcessor, clips: Sequence[np.ndarray], rates: Sequence[int], seconds: float
) -> dict[str, Tensor]:
    """What the speech encoder reads of clips.

    Args:
        processor: The model's.
        clips: Samples of each, shape ``(samples,)``.
        rates: Their rates in Hz.
        seconds: Most seconds of a clip.

    Returns:
        ``input_features`` and ``input_features_mask``, a row for each clip.
    """
    prompts = [processor.audio_token] * len(clips)
    inputs = processor(prompts, list(clips), sampling_rate=list(rates), max_seconds=seconds)
    return {name: inputs[name] for name in ("input_features", "input_features_mask")}


def keep_states(
    clips: DatasetDict,
    encoder: Any,
    processor: SEmoLLMProcessor,
    folder: Path,
    *,
    seconds: float,
    layer_weights: Tensor | None = None,
) -> DatasetDict:
    """Compute the states of every clip, or find them where they were kept before.

    A split whose file is there is not computed again, so an interrupted run goes on with the next one.

    Args:
        clips: With ``utterance_id`` and ``audio``.
        encoder: The model's :class:`FrozenSpeechEncoder`.
        processor: The model's.
        folder: Where they are kept; an Arrow file for each split, and ``states.json``.
        seconds: Most seconds of a clip.
        layer_weights: Keep the sum of the layers by these weights, shape ``(layers,)``; None keeps the layers.

    Returns:
        The columns of ``FEATURES``, read from disk when they are used.

    Raises:
        TrainingError: If the folder holds states of other clips, another encoder, other layers or other lengths.
    """
    open_states(folder, _identity(encoder, processor, seconds, layer_weights))
    settings = {"encoder": encoder, "processor": processor, "seconds": seconds, "layer_weights": layer_weights}
    return DatasetDict({split: _keep_split(rows, folder / f"{split}.arrow", settings) for split, rows in clips.items()})


def states_of(row: Mapping[str, Any], layers: int) -> Tensor:
    """The states of a row.

    Args:
        row: With the columns of ``FEATURES``.
        layers: How many were kept.

    Returns:
        Shape ``(layers, frames, width)``, float16.
    """
    flat = np.frombuffer(row["speech_states"], dtype=np.float16)
    return torch.from_numpy(flat.reshape(layers, row["frames"], -1).copy())


def _keep_split(rows: Dataset, path: Path, settings: dict[str, Any]) -> Dataset:
    if not path.is_file():
        rows.select_columns(["utterance_id", "audio"]).map(
            _encode,
            batched=True,
            batch_size=8,
            fn_kwargs=settings,
            remove_columns=["audio"],
            features=FEATURES,
            cache_file_name=str(path),
            # Else a hash of the whole model, which is not looked at: the file is found by its name.
            new_fingerprint=hashlib.sha256(str(path).encode()).hexdigest()[:32],
            desc=f"Encoding {path.stem}",
        )
    kept = Dataset.from_file(str(path))
    if list(kept["utterance_id"]) != list(rows["utterance_id"]):
        raise TrainingError(f"{path.name} holds states of other utterances: delete it, or name another folder")
    hashes = zip(kept["clip_sha256"], map(_clip_sha256, rows["audio"]), kept["utterance_id"], strict=True)
    if changed := [utterance for before, now, utterance in hashes if before != now]:
        raise TrainingError(
            f"{path.name} holds states of {len(changed)} clips that have changed since, such as {changed[0]!r}: "
            "delete it, or name another folder"
        )
    return kept


def _clip_sha256(audio: Mapping[str, Any]) -> str:
    content = audio["bytes"] if audio["bytes"] is not None else Path(audio["path"]).read_bytes()
    return hashlib.sha256(content).hexdigest()


def _encode(
    batch: Mapping[str, Sequence[Any]],
    encoder: Any,
    processor: SEmoLLMProcessor,
    seconds: float,
    layer_weights: Tensor | None,
) -> dict[str, list[Any]]:
    clips, rates = zip(*(read_clip(audio, seconds) for audio in batch["audio"]), strict=True)
    device = next(encoder.parameters()).device
    inputs = {name: value.to(device) for name, value in clip_inputs(processor, clips, rates, seconds).items()}
    states, mask = encoder(**inputs)
    if layer_weights is not None:
        states = torch.einsum("l,clfh->cfh", layer_weights.softmax(dim=0).to(states), states)[:, None]
    frames = mask.sum(dim=1).tolist()
    kept = [clip[:, :count].half().cpu().numpy().tobytes() for clip, count in zip(states, frames, strict=True)]
    return {
        "clip_sha256": [_clip_sha256(audio) for audio in batch["audio"]],
        "speech_states": kept,
        "frames": frames,
    }


def _identity(encoder: Any, processor: Any, seconds: float, layer_weights: Tensor | None) -> dict[str, Any]:
    settings = json.loads(processor.feature_extractor.to_json_string())
    # Names of code files, which it has only once it was saved.
    settings.pop("auto_map", None)
    return {
        "encoder_sha256": digest_of(encoder.state_dict().values()),
        "feature_extractor": settings,
        "layers": list(encoder.layers),
        "kind": "layers" if layer_weights is None else "sum",
        "seconds": seconds,
        "weights": None if layer_weights is None else [round(float(weight), 6) for weight in layer_weights],
    }
