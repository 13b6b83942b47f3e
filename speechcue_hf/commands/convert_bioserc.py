"""``speechcue convert-bioserc``: turn a released checkpoint of BiosERC's encoder classifier into a model folder."""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLES = """examples:
  speechcue convert-bioserc roberta-large-meld.ckpt --corpus meld -o models/bioserc
  speechcue convert-bioserc iemocap.ckpt --corpus iemocap --window 4 --encoder roberta-large -o models/iemocap
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("checkpoint", type=Path, help="the released file")
    parser.add_argument(
        "--corpus", required=True, choices=("iemocap", "meld", "emorynlp"), help="corpus that it was trained on"
    )
    parser.add_argument(
        "--encoder", default="FacebookAI/roberta-large", metavar="DIR_OR_ID", help="encoder that it was trained on"
    )
    parser.add_argument(
        "--window", type=int, help="turns read on each side of the target (default: the paper's for the corpus)"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the model")


def run(arguments: argparse.Namespace) -> None:
    """Convert and save."""
    from speechcue_hf.models.released_bioserc import convert_released_bioserc

    model, tokenizer = convert_released_bioserc(
        arguments.checkpoint, arguments.encoder, arguments.corpus, window=arguments.window
    )
    model.save_pretrained(arguments.output)
    tokenizer.save_pretrained(arguments.output)
    reads = "texts and biographies of whole dialogues" if model.config.biographies != "none" else "texts"
    print(f"The model is in {arguments.output}. It reads {reads}, and sees the future of each utterance.")
