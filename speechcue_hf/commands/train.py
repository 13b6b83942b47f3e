"""``speechcue train``: train any kind of model from a recipe, in this process."""

from __future__ import annotations

import argparse
from pathlib import Path

from speechcue_hf.commands.arguments import print_next
from speechcue_hf.commands.evaluate import print_spread
from speechcue_hf.records import SEEDS_FILE, TRAINING_FILE, SeedsRecord, TrainingRecord, read_record

EXAMPLES = """examples:
  speechcue train data/described --config quickstart -o runs/demo
  speechcue train data/described --config quickstart -o runs/long num_train_epochs=9 seeds=[1,11,42]
  speechcue train data/described --config bioserc/encoder/meld_history -o runs/encoder
  speechcue train data/demo --config semollm/tiny/stage1 -o runs/stage1 captions=data/captions
  speechcue train data/described --config quickstart -o runs/demo --resume

`speechcue recipes` lists the recipes and writes one out to change. Any setting can follow as setting=value, in YAML.
For several processes or GPUs:
  accelerate launch recipes/sft.py data/described --config quickstart --output_dir runs/demo
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.usage = "%(prog)s [-h] [-v] [DATASET] --config RECIPE [-o DIR] [--resume] [setting=value ...]"
    parser.add_argument("--config", required=True, metavar="RECIPE", help="name of a recipe, or a YAML file")
    parser.add_argument("--dataset", metavar="DATASET", help="folder of the rows, or of a SEmoLLM's clips")
    parser.add_argument("-o", "--output-dir", metavar="DIR", help="where model, tokenizer and training.json go")
    parser.add_argument("--resume", action="store_true", help="go on with the unfinished run in the output folder")
    parser.set_defaults(settings=[])


def run(arguments: argparse.Namespace) -> None:
    """Train and say what was made; the kind of recipe says which kind of model."""
    from speechcue_hf.run_recipe import run_recipe
    from speechcue_hf.training.recipes import parse_recipe

    recipe = parse_recipe(recipe_words(arguments))
    output = run_recipe(recipe)
    for path in sorted(output.glob(TRAINING_FILE)) or sorted(output.glob(f"seed-*/{TRAINING_FILE}")):
        _print_summary(read_record(TrainingRecord, path), path.parent)
    if (output / SEEDS_FILE).is_file():
        print_spread(read_record(SeedsRecord, output), output / SEEDS_FILE)
    if recipe.kind == "speech":
        print_next("card", output)
    else:
        print_next("evaluate", recipe.data.dataset, "--model", output, "-o", output)


def recipe_words(arguments: argparse.Namespace) -> list[str]:
    """The recipe and its settings, as :func:`speechcue_hf.training.recipes.parse_recipe` reads them."""
    words = [*arguments.settings, "--config", arguments.config]
    words += ["--dataset", arguments.dataset] if arguments.dataset else []
    words += ["--output_dir", arguments.output_dir] if arguments.output_dir else []
    return [*words, "--resume"] if arguments.resume else words


def _print_summary(training: TrainingRecord, folder: Path) -> None:
    rows, best = training.rows["train"], training.best
    scores = ", ".join(f"{name.removeprefix('eval_')} {best[name]:.4f}" for name in best if name != "step")
    trained_on = rows["with_caption"] if training.kind == "speech" else rows["all"] - rows["unlabelled"]
    print(f"Trained {training.base_model} on {trained_on} rows in {training.steps} steps.")
    if best["step"] is not None:
        print(f"Kept step {best['step']}, on the selection split: {scores}.")
    if training.kind != "speech":
        texts = "utterances" if training.kind == "encoder" else "prompts"
        print(f"{rows['shortened']} {texts} were shortened to {training.token_budget} tokens, no row was dropped.")
    beside = ", its prompt" if training.kind == "chat" else ""
    print(f"{folder} holds the model{beside} and {TRAINING_FILE}.")
    if training.sees_future:
        print("It sees turns after the one in question, so it cannot follow a conversation as it happens.")
