"""``speechcue convert-semollm``: turn SEmoLLM's released checkpoint into a model folder."""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from speechcue_hf.records import write_json

if TYPE_CHECKING:
    from speechcue_hf.models.released_semollm import Conversion

EXAMPLES = """examples:
  speechcue convert-semollm 43.pth --wavlm microsoft/wavlm-large --bert bert-base-uncased \\
      --llm meta-llama/Llama-2-7b-hf -o models/semollm
  speechcue convert-semollm lora.pth --lora-alpha 16 --wavlm wavlm-large --bert bert-base --llm llama-2-7b -o out
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("checkpoint", type=Path, help="the released file")
    parser.add_argument("--wavlm", required=True, metavar="DIR_OR_ID", help="WavLM that it was trained on")
    parser.add_argument("--bert", required=True, metavar="DIR_OR_ID", help="BERT that the Q-Former started as")
    parser.add_argument("--llm", required=True, metavar="DIR_OR_ID", help="Llama that it was trained on")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the model")
    parser.add_argument("--lora-alpha", type=float, help="scale of the LoRA, if the file holds one")
    parser.add_argument("--allow-unplaced", action="store_true", help="go on without weights that have no place")
    parser.add_argument(
        "--allow-missing",
        action="store_true",
        help="take from --wavlm and --llm what the file lacks of its WavLM, or of a language model that it has in part",
    )


def run(arguments: argparse.Namespace) -> None:
    """Convert, save, and report every weight."""
    from speechcue_hf.models.released_semollm import convert_released

    model, processor, conversion = convert_released(
        arguments.checkpoint,
        arguments.wavlm,
        arguments.bert,
        arguments.llm,
        lora_alpha=arguments.lora_alpha,
        allow_unplaced=arguments.allow_unplaced,
        allow_missing=arguments.allow_missing,
    )
    model.save_pretrained(arguments.output)
    processor.save_pretrained(arguments.output)
    record = {"checkpoint": arguments.checkpoint.name, **asdict(conversion)}
    write_json(record, arguments.output / "conversion.json")
    print(_report(conversion))
    print(f"The model is in {arguments.output}; conversion.json beside it names each weight.")


def _report(conversion: Conversion) -> str:
    from speechcue_hf.models.released_semollm import describe_missing

    used = Counter(name.split(".")[0] for name in conversion.used)
    lines = [
        f"used: {len(conversion.used)} ({', '.join(f'{part} {count}' for part, count in sorted(used.items()))})",
        f"merged into the language model: {len(conversion.merged)} of a LoRA",
        f"no weights, made anew: {len(conversion.constants)}",
        f"not in the file, as the given parts have them: {len(conversion.kept)}",
        *([f"  among them {describe_missing(conversion)}"] if conversion.missing else []),
        f"without a place: {len(conversion.unplaced)}",
        *(f"  {name}" for name in conversion.unplaced),
    ]
    return "\n".join(lines)
