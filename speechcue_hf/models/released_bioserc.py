"""BiosERC's released encoder classifiers: their names to those of our model, each weight accounted for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers import AutoConfig, AutoTokenizer

from speechcue_hf.corpora.emorynlp import EMOTIONS as EMORYNLP
from speechcue_hf.corpora.iemocap import EMOTIONS as IEMOCAP
from speechcue_hf.corpora.meld import EMOTIONS as MELD
from speechcue_hf.errors import CheckpointError
from speechcue_hf.models.bioserc import BiosErcConfig, BiosErcForUtteranceClassification
from speechcue_hf.models.checkpoint import read_tensors

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

LABELS = {"iemocap": IEMOCAP["erc-6"], "meld": MELD, "emorynlp": EMORYNLP}
"""Corpus → labels in the order of the released class ids, which is that of our loaders."""

WINDOWS = {"iemocap": 4, "meld": 2, "emorynlp": 2}
"""Corpus → turns that are read on each side of the target."""

RENAMES = (
    (r"^model\.", "encoder."),
    (r"^sentence_modeling\.", "utterance."),
    (r"^context_modeling\.layers\.0\.", "dialogue."),
    (r"^iq\.", "narrowed.same_speaker."),
    (r"^aq\.", "narrowed.other_speakers."),
    (r"^intra_speaker_modeling\.", "same_speaker."),
    (r"^inter_speaker_modeling\.", "other_speakers."),
    (r"^output_layer\.", "heads.utterance."),
    (r"^output_layer_context\.", "heads.dialogue."),
    (r"^output_layer_intra\.", "heads.same_speaker."),
    (r"^output_layer_inter\.", "heads.other_speakers."),
    (r"^output_layer_sp_description\.", "heads.biography."),
)
"""Patterns of released names to ours."""

BIOGRAPHY = "output_layer_sp_description.weight"

CONSTANTS = re.compile(r"^pos_encoding\.pe$|^loss_computation\.weight$|position_ids$")
"""Released names that are no weights: positions, class weights of the loss, and counters."""


def convert_released_bioserc(
    checkpoint: Path, encoder: str, corpus: str, *, window: int | None = None
) -> tuple[BiosErcForUtteranceClassification, PreTrainedTokenizerBase]:
    """Read a released checkpoint into a model of the paper's design.

    Args:
        checkpoint: The ``.ckpt`` that BiosERC's training wrote; only its tensors are read.
        encoder: Hub id or folder of the encoder that it was trained on, for its shape and its tokenizer.
        corpus: ``"iemocap"``, ``"meld"`` or ``"emorynlp"``: which labels the class ids stand for.
        window: Turns that are read on each side of the target; None: as the paper has it for the corpus.

    Returns:
        The model, which sees the whole dialogue, and its tokenizer.

    Raises:
        CheckpointError: If the file cannot be read, is another model's, is of another shape than the encoder, or has
            weights that this design has no place for, as variants that were tried for the paper do.
        OSError: If the encoder cannot be found.
    """
    released = read_tensors(checkpoint, "state_dict")
    labels, turns = LABELS[corpus], WINDOWS[corpus] if window is None else window
    told = BIOGRAPHY in released
    config = BiosErcConfig(
        encoder_config=AutoConfig.from_pretrained(encoder),
        design="paper",
        speaker_names=True,
        context_before=turns,
        context_after=turns,
        causal=False,
        max_tokens=512,
        biographies="static" if told else "none",
        biography_scope="dialogue" if told else None,
        id2label=dict(enumerate(labels)),
        label2id={name: number for number, name in enumerate(labels)},
    )
    model = BiosErcForUtteranceClassification(config)
    _place_weights(model, released, checkpoint.name)
    return model.eval(), AutoTokenizer.from_pretrained(encoder)


def _place_weights(model: BiosErcForUtteranceClassification, released: Mapping[str, Tensor], file: str) -> None:
    """Copy each released weight into the model."""
    own: dict[str, Tensor] = model.state_dict()
    weights = {_our_name(name): value for name, value in released.items() if not CONSTANTS.search(name)}
    if not model.config.pools_biographies:
        # Without biographies nothing reads the first token by itself.
        weights = {name: value for name, value in weights.items() if not name.startswith("encoder.pooler.")}
    missing, unplaced = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
    if missing or unplaced:
        raise CheckpointError(
            f"{file}: is none of BiosERC's models that are known here, or of another encoder. "
            f"It lacks: {', '.join(missing) or 'nothing'}. Without a place: {', '.join(unplaced) or 'nothing'}"
        )
    for name, value in weights.items():
        if own[name].shape != value.shape:
            raise CheckpointError(
                f"{file}: {name} has shape {tuple(value.shape)}, the model {tuple(own[name].shape)}: give the encoder "
                "and the corpus that it was trained on"
            )
        with torch.no_grad():
            own[name].copy_(value)


def _our_name(released: str) -> str:
    """Name of a released weight in our model; as it is if there is no place for it."""
    for pattern, replacement in RENAMES:
        released, renamed = re.subn(pattern, replacement, released)
        if renamed:
            break
    return released
