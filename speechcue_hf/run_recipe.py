"""A recipe from its settings to the finished run, published if it says so: what the scripts in ``recipes/`` start."""

from __future__ import annotations

import logging
import re
import sys
from dataclasses import replace
from pathlib import Path

from speechcue_hf.errors import TrainingError
from speechcue_hf.training.recipes import Recipe, parse_recipe, train_recipe


def main() -> None:
    """Train by the recipe of the command line, in as many processes as this was launched in.

    Raises:
        TrainingError: If a setting is not what it must be, or as training says.
    """
    logging.basicConfig(level=logging.INFO)
    run_recipe(parse_recipe(sys.argv[1:]))


def run_recipe(recipe: Recipe) -> Path:
    """Train, and publish the finished run, once and whole, if the recipe says ``push_to_hub: true``.

    The trainer itself never pushes: it would upload each checkpoint with its optimizer, and a card with local paths.

    Args:
        recipe: The recipe; ``hub_model_id`` names the repository, ``hub_private_repo`` makes a new one private.

    Returns:
        The output folder.

    Raises:
        TrainingError: If the result is to be published, and the repository is not named; or as training says.
    """
    training = recipe.training
    if not training.push_to_hub:
        return train_recipe(recipe)
    # Fail before hours of training, not after them.
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", training.hub_model_id or ""):
        raise TrainingError("push_to_hub needs hub_model_id with the user's name: user/name")
    if training.hub_token is not None:
        raise TrainingError("hub_token does not belong in a recipe: leave it out, and log in with `hf auth login`")
    from speechcue_hf.hub.publish_model import publish_model

    output = train_recipe(replace(recipe, training=replace(training, push_to_hub=False)))
    if training.process_index == 0:
        publish_model(output, str(training.hub_model_id), private=bool(training.hub_private_repo))
    return output
