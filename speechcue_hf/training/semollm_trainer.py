"""The trainer of SEmoLLM's stages: it logs every part of the loss and watches for collapse."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import Trainer

from speechcue_hf.errors import TrainingError
from speechcue_hf.training.augmentation import Augmentation

PARTS = ("matching_loss", "contrastive_loss", "generation_loss", "query_similarity")
"""What stage 1 tells beside its loss."""


class StageTrainer(Trainer):
    """The trainer of all three stages.

    Args:
        speech_encoder: The model's :class:`FrozenSpeechEncoder`.
        augmentation: What is done to the encoder's states of training clips; None for nothing.
        collapse_threshold: Mean query similarity at which the run stops; stages without that figure do not look at it.
        **settings: To ``transformers.Trainer``.
    """

    def __init__(
        self, *, speech_encoder: Any, augmentation: Augmentation | None, collapse_threshold: float, **settings: Any
    ) -> None:
        super().__init__(**settings)
        self.collapse_threshold = collapse_threshold
        self.speech_encoder = speech_encoder
        self.augmentation = augmentation if augmentation is not None and augmentation.changes_states else None
        # Stage 1 has no labels among its inputs, and yet a loss.
        self.can_return_loss = True
        self._parts: dict[str, list[Tensor]] = defaultdict(list)

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The model's loss; its parts are kept for the log."""
        if model.training and self.augmentation is not None:
            with self.accelerator.autocast():
                inputs = augmented(inputs, self.speech_encoder, self.augmentation)
        loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        prefix = "" if model.training else "eval_"
        for name in PARTS:
            if outputs.get(name) is not None:
                self._parts[prefix + name].append(outputs[name].detach())
        return (loss, outputs) if return_outputs else loss

    def log(self, logs: dict[str, float], *args: Any, **settings: Any) -> None:
        """Add the parts since the last log, means over steps and processes.

        Raises:
            TrainingError: If the queries have collapsed.
        """
        prefix = next((prefix for prefix in ("", "eval_") if f"{prefix}loss" in logs), None)
        parts = {} if prefix is None else self._take_parts(prefix)
        super().log(logs | parts, *args, **settings)
        _check_collapse(parts.get("query_similarity"), self.collapse_threshold, self.state.global_step)

    def training_step(self, *args: Any, **settings: Any) -> Tensor:
        """One step.

        Raises:
            TrainingError: If the memory of the device does not suffice; the message says what would help.
        """
        try:
            return super().training_step(*args, **settings)
        except torch.OutOfMemoryError as error:
            raise TrainingError(_memory_advice(self.args, str(error))) from error

    def _take_parts(self, prefix: str) -> dict[str, float]:
        taken = {}
        for name in PARTS:
            if values := self._parts.pop(prefix + name, None):
                mean = torch.stack(values).float().mean()
                taken[prefix + name] = float(self.accelerator.gather(mean).mean())
        return taken


def augmented(
    inputs: Mapping[str, Tensor], speech_encoder: Callable[..., Any], augmentation: Augmentation
) -> dict[str, Tensor]:
    """Mask the encoder's states of a batch, each clip's by draws of its own.

    Args:
        inputs: Of the model: ``input_features`` and their mask, or ``speech_states``, shape
            ``(clips, layers, frames, width)``, and ``speech_states_mask``, shape ``(clips, frames)``.
        speech_encoder: Makes states where there are none.
        augmentation: What is done to them.

    Returns:
        The inputs, with states in any case.
    """
    inputs = dict(inputs)
    if "speech_states" not in inputs:
        made = speech_encoder(inputs.pop("input_features"), inputs.pop("input_features_mask"))
        inputs["speech_states"], inputs["speech_states_mask"] = made
    states = inputs["speech_states"].clone()
    for clip, frames in zip(states, inputs["speech_states_mask"].sum(dim=1).tolist(), strict=True):
        clip[:, :frames] = augmentation.states(clip[:, :frames])
    return inputs | {"speech_states": states}


def _check_collapse(similarity: float | None, threshold: float, step: int) -> None:
    """Stop a run whose queries have become one."""
    if similarity is not None and similarity > threshold:
        raise TrainingError(
            f"the queries have collapsed: at step {step} the mean cosine between the queries of a clip is "
            f"{similarity:.3f}, above collapse_threshold {threshold}, so one query would do for all. Lower "
            "learning_rate or lengthen the warm-up, raise contrastive_weight, or take fewer queries (num_query_tokens)"
        )


def _memory_advice(training: Any, reason: str) -> str:
    """What to do when a batch does not fit into memory."""
    size, steps = training.per_device_train_batch_size, training.gradient_accumulation_steps
    smaller = f"per_device_train_batch_size {max(size // 2, 1)} with gradient_accumulation_steps {steps * 2}"
    return (
        f"a batch of {size} rows does not fit into the memory of the device: try {smaller}, which trains alike in "
        "stages 2 and 3 (stage 1 has fewer negatives), gradient_checkpointing true, dtype bfloat16, or states, which "
        f"takes the speech encoder out of the run. torch says: {reason.splitlines()[0] if reason else 'out of memory'}"
    )
