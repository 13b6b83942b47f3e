"""``speechcue intervene``: does a model listen to the words about the voice?"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

EXAMPLES = """examples:
  speechcue intervene --dataset data/described --model runs/demo -o runs/demo-listening
  speechcue intervene --dataset data/described --model runs/demo --cue f0_mean_hz --cue intensity_mean_db -o runs/shift
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--dataset", type=Path, required=True, help="folder that `speechcue describe` wrote")
    parser.add_argument("--model", required=True, help="model or adapter: a folder, or an id on the Hub")
    parser.add_argument("--revision", help="branch, tag or commit of the model on the Hub")
    parser.add_argument("--split", default="test", help="split that is scored (default: %(default)s)")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the report and its picture")
    parser.add_argument("--prompt", help="preset or prompt file (default: the one beside the model, else speechcue)")
    parser.add_argument("--cue", action="append", default=[], help="measurement column to raise and lower; repeatable")
    parser.add_argument("--shift", type=float, default=2.0, help="standard deviations (default: %(default)s)")
    parser.add_argument("--sharing", choices=("prefix", "none"), default="prefix", help="run common beginnings once")
    parser.add_argument("--seed", type=int, default=0, help="seed of the exchange (default: %(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Score all variants, write ``intervention.json`` and ``intervention.png``, print the changes.

    Raises:
        EvaluationError: If the split does not exist or the prompt tells nothing of the voice.
    """
    from speechcue_hf.commands.evaluate import read_split, read_train
    from speechcue_hf.cues.describe import SpeechDescriber
    from speechcue_hf.evaluation.evaluate import InferenceSettings
    from speechcue_hf.evaluation.intervention import TRUE, intervene
    from speechcue_hf.evaluation.plots import plot_probability_shifts
    from speechcue_hf.evaluation.runs import prompt_beside
    from speechcue_hf.models.loading import load_model
    from speechcue_hf.prompts.specification import load_prompt

    rows = read_split(arguments.dataset, arguments.split)
    prompt = load_prompt(arguments.prompt or prompt_beside(arguments.model, arguments.revision) or "speechcue")
    model, tokenizer = load_model(arguments.model, arguments.revision)
    report = intervene(
        rows,
        model,
        tokenizer,
        prompt,
        SpeechDescriber.from_pretrained(arguments.dataset),
        cues=arguments.cue,
        shift=arguments.shift,
        seed=arguments.seed,
        decoding=InferenceSettings(sharing=arguments.sharing),
        train=read_train(arguments.dataset, prompt),
    )
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "intervention.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    shifts = {name: it["probability_shift"] for name, it in report["variants"].items() if name != TRUE}
    plot_probability_shifts(shifts, arguments.output / "intervention.png", title="Change of the labels' probability")
    print(f"{'cues':<36} weighted F1   answers changed   ({arguments.split}, {report['n']} utterances)")
    for name, variant in report["variants"].items():
        print(f"{name:<36} {100 * variant['weighted_f1']:9.2f} % {100 * variant['changed']:15.2f} %")
    print(f"Written to {arguments.output}: intervention.json, intervention.png.")
