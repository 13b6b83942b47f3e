"""``speechcue intervene``: does a model listen to the voice?"""

from __future__ import annotations

import argparse
from pathlib import Path

from speechcue_hf.commands.arguments import add_dataset, add_list, add_model, add_picture_format
from speechcue_hf.commands.evaluate import add_inference_arguments, inference_settings, load_for

EXAMPLES = """examples:
  speechcue intervene data/described --model runs/demo -o runs/demo-listening
  speechcue intervene data/described --model runs/demo --cues f0_mean_hz intensity_mean_db -o runs/shift
  speechcue intervene data/described --server http://localhost:8000/v1 --model Qwen/Qwen3-8B -o runs/qwen-listening
  speechcue intervene data/described --model runs/stage3 --audio data/demo -o runs/stage3-listening
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_dataset(parser, "folder that `speechcue describe` wrote")
    add_model(parser, "model or adapter")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the report and its picture")
    add_list(parser, "--cues", "--cue", default=[], metavar="CUE", help="measurement columns to raise and lower")
    parser.add_argument("--shift", type=float, default=2.0, help="standard deviations (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the exchange of cues (default: %(default)s)")
    add_picture_format(parser)
    add_inference_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Score all variants, write ``intervention.json`` and ``intervention.png``, print the changes."""
    from speechcue_hf.cues.describe import SpeechDescriber, check_measured
    from speechcue_hf.evaluation.intervention import TRUE, intervene
    from speechcue_hf.evaluation.plots import plot_probability_shifts
    from speechcue_hf.pictures import picture_files
    from speechcue_hf.records import beside, write_json

    classifier, rows = load_for(arguments, inference_settings(arguments))
    describer = SpeechDescriber.from_pretrained(beside(arguments.dataset))
    check_measured([rows], describer.cues)
    report = intervene(classifier, rows, describer, cues=arguments.cues, shift=arguments.shift, seed=arguments.seed)
    write_json(report, arguments.output / "intervention.json")
    shifts = {name: it["probability_shift"] for name, it in report["variants"].items() if name != TRUE}
    for path in picture_files(arguments.output / "intervention.png", arguments.format):
        plot_probability_shifts(shifts, path, title="Change of the labels' probability")
    print(f"{'cues':<36} weighted F1   answers changed   ({arguments.split}, {report['n']} utterances)")
    for name, variant in report["variants"].items():
        print(f"{name:<36} {100 * variant['weighted_f1']:9.2f} % {100 * variant['changed']:15.2f} %")
    print(f"Written to {arguments.output}: intervention.json, intervention.png.")
