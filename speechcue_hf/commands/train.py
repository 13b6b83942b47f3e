"""``speechcue train``: fine-tune a chat model, or train an encoder classifier, from a recipe, in this process."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from speechcue_hf.filenames import SEEDS_FILE, TRAINING_FILE

EXAMPLES = """examples:
  speechcue train --config recipes/quickstart.yaml --dataset data/described --output-dir runs/demo
  speechcue train --config recipes/quickstart.yaml --dataset data/described --output-dir runs/long num_train_epochs=9

Any setting of the recipe can follow as setting=value. For several processes or GPUs use
  accelerate launch recipes/sft.py --config recipes/quickstart.yaml --dataset data/described --output_dir runs/demo
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("--config", required=True, help="the recipe, a YAML file")
    parser.add_argument("--dataset", help="folder that `speechcue describe` wrote")
    parser.add_argument("--output-dir", help="where adapter, tokenizer and training.json go")
    parser.add_argument("overrides", nargs="*", metavar="setting=value", help="settings instead of the recipe's")


def run(arguments: argparse.Namespace) -> None:
    """Train and say what was made; a recipe that names an ``encoder`` trains a classifier on it."""
    train = _train_encoder if "encoder" in _settings(arguments.config) else _train_chat_model
    output, dataset = train(recipe_arguments(arguments))
    for path in sorted(output.glob(TRAINING_FILE)) or sorted(output.glob(f"seed-*/{TRAINING_FILE}")):
        _print_summary(path, dataset)
    if (output / SEEDS_FILE).is_file():
        _print_spread(output / SEEDS_FILE)


def _settings(config: str) -> dict[str, Any]:
    import yaml  # type: ignore[import-untyped]

    return yaml.safe_load(Path(config).read_text(encoding="utf-8")) or {}


def _train_chat_model(line: list[str]) -> tuple[Path, str]:
    from speechcue_hf.evaluation.selection import judge
    from speechcue_hf.hub.publish_model import publish_model
    from speechcue_hf.training.arguments import parse_arguments
    from speechcue_hf.training.sft import train_recipe

    data, model, training = parse_arguments(line)
    return train_recipe(data, model, training, judge=judge, publish=publish_model), str(data.dataset)


def _train_encoder(line: list[str]) -> tuple[Path, str]:
    from speechcue_hf.hub.publish_model import publish_model
    from speechcue_hf.metrics.scores import weighted_f1
    from speechcue_hf.training.encoder import train_encoder_recipe
    from speechcue_hf.training.encoder_arguments import parse_encoder_arguments

    data, model, training = parse_encoder_arguments(line)
    return train_encoder_recipe(data, model, training, weighted_f1, publish_model), str(data.dataset)


def _print_summary(path: Path, dataset: str) -> None:
    record = json.loads(path.read_text(encoding="utf-8"))
    rows, best = record["rows"]["train"], record["best"]
    scores = ", ".join(f"{name.removeprefix('eval_')} {best[name]:.4f}" for name in best if name != "step")
    print(f"Trained {record['base_model']} on {rows['all'] - rows['unlabelled']} rows in {record['steps']} steps.")
    print(f"Kept step {best['step']}, on the selection split: {scores}.")
    texts = "utterances" if "encoder" in record else "prompts"
    print(f"{rows['shortened']} {texts} were shortened to {record['token_budget']} tokens, no row was dropped.")
    beside = "" if "encoder" in record else ", its prompt"
    print(f"{path.parent} holds the model{beside} and {path.name}.")
    if record.get("sees_future"):
        print("It sees turns after the one in question, so it cannot follow a conversation as it happens.")
    print(f"Next: speechcue evaluate --dataset {dataset} --model {path.parent} --split test -o {path.parent}")


def _print_spread(path: Path) -> None:
    from speechcue_hf.metrics.spread import spread_lines

    summary = json.loads(path.read_text(encoding="utf-8"))
    scores = {name.removeprefix("eval_"): spread for name, spread in summary.items() if name != "seeds"}
    print(f"Mean and standard deviation over seeds {', '.join(map(str, summary['seeds']))}, on the selection split:")
    print(*spread_lines(scores), sep="\n")
    print(f"Written to {path}. Next: speechcue evaluate --model {path.parent} ..., which scores all of them")


def recipe_arguments(arguments: argparse.Namespace) -> list[str]:
    """The command line that TRL's parser reads.

    Raises:
        ValueError: If an override is not of the form setting=value.
    """
    line = ["--config", arguments.config]
    line += ["--dataset", arguments.dataset] if arguments.dataset else []
    line += ["--output_dir", arguments.output_dir] if arguments.output_dir else []
    for override in arguments.overrides:
        name, equals, value = override.partition("=")
        if not equals:
            raise ValueError(f"{override!r} is not of the form setting=value, such as learning_rate=1e-4")
        line += [f"--{name}", value]
    return line
