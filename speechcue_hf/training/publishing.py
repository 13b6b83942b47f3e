"""What ``push_to_hub`` in a recipe means: the finished run is published, once and whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from transformers import TrainingArguments

from speechcue_hf.errors import TrainingError
from speechcue_hf.training.seeds import Settings, train_with_seeds

Publish = Callable[..., str]
"""``publish_model`` of the hub. It comes after training, so whoever starts a run hands it over."""


def train_and_publish(
    run: Callable[[Settings], Path], seeds: Sequence[int] | None, training: Settings, publish: Publish | None
) -> Path:
    """Train once, or once with each seed, and publish the result if the recipe says ``push_to_hub: true``.

    The trainer itself never pushes: it would upload each checkpoint with its optimizer, and a card with local paths.

    Args:
        run: Trains with the settings it is given and returns its output folder.
        seeds: Seeds, or None to train once.
        training: The settings; ``hub_model_id`` names the repository, ``hub_private_repo`` makes a new one private.
        publish: Publishes a finished run.

    Returns:
        The output folder.

    Raises:
        TrainingError: If the result is to be published, and the repository is not named or nobody can publish.
    """
    if training.push_to_hub:
        _check_publishing(training, publish)
    quiet = replace(training, push_to_hub=False)
    output = run(quiet) if seeds is None else train_with_seeds(run, seeds, quiet)
    if publish is not None and training.push_to_hub and training.process_index == 0:
        publish(output, str(training.hub_model_id), private=bool(training.hub_private_repo))
    return output


def check_quiet(training: TrainingArguments) -> None:
    """Refuse a run whose trainer would push.

    Args:
        training: How it is trained.

    Raises:
        TrainingError: If ``push_to_hub`` is on.
    """
    if training.push_to_hub:
        raise TrainingError(
            "push_to_hub is a setting of recipes, which publish the finished run: leave it out here, and call "
            "publish_model(folder, repo_id) afterwards"
        )


def _check_publishing(training: TrainingArguments, publish: Publish | None) -> None:
    """Fail before hours of training, not after them."""
    if publish is None:
        raise TrainingError("push_to_hub needs somebody who publishes: pass publish=publish_model")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", training.hub_model_id or ""):
        raise TrainingError("push_to_hub needs hub_model_id with the user's name: user/name")
    if training.hub_token is not None:
        raise TrainingError("hub_token does not belong in a recipe: leave it out, and log in with `hf auth login`")
