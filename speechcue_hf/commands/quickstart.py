"""``speechcue quickstart``: the main job on the demo corpus."""

from __future__ import annotations

import argparse
from pathlib import Path

from speechcue_hf.models.base import TINY_MODEL

EXAMPLES = """examples:
  speechcue quickstart                                            # a tiny random model, under two minutes on a CPU
  speechcue quickstart -o first --model HuggingFaceTB/SmolLM2-135M-Instruct
"""

SUMMARY = """
{output} holds
  adapter_model.safetensors   the LoRA adapter, with tokenizer, prompt.json and describer.json beside it
  results.json                all scores; predictions.parquet has each utterance, confusion_matrix.png the picture
  README.md                   the model card, filled from what was measured
  data/                       the described corpus: load_dataset("{output}/data")
  distributions.png, dialogue.png   what was measured, with the thresholds and the words
"""
TINY = """
The model has a million random parameters and saw 64 utterances: it shows that every step works and learns little.
"""
NEXT = """Next:
  speechcue quickstart -o first --model HuggingFaceTB/SmolLM2-135M-Instruct    # a model that knows English
  speechcue prepare folder --data-dir my_conversations -o data/mine            # your own recordings
  speechcue check meld --data-dir MELD.Raw                                     # a corpus you have"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("quickstart"), help="new folder (default: %(default)s)"
    )
    parser.add_argument("--model", default=TINY_MODEL, help="chat model: Hub id or folder (default: a tiny random one)")
    parser.add_argument(
        "--seed", type=int, default=1, help="of the model and of the order of rows (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Run all steps, say what each made, and what to do next."""
    from speechcue_hf.quickstart import quickstart

    for step in quickstart(arguments.output, arguments.model, arguments.seed):
        print(f"• {step}", flush=True)
    print(SUMMARY.format(output=arguments.output).rstrip())
    print(TINY.rstrip() if arguments.model == TINY_MODEL else "")
    print(NEXT)
