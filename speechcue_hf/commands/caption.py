"""``speechcue caption``: what was measured, in captions that an audio model learns to write."""

from __future__ import annotations

import argparse
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechcue_hf.captions.tasks import caption_task
from speechcue_hf.commands.arguments import add_dataset, add_list, command_line
from speechcue_hf.commands.generator_options import add_generator_arguments, load_generator
from speechcue_hf.records import (
    CAPTION_STORE_FILE,
    CAPTIONS_FILE,
    CORPUS_FILE,
    DESCRIBER_FILE,
    MEASUREMENT_FILE,
    CaptionsRecord,
    beside,
    carry_records,
    write_record,
)

if TYPE_CHECKING:
    from datasets import DatasetDict

EXAMPLES = """examples:
  speechcue caption data/described -o data/captions
  speechcue caption data/described -o data/captions --tasks style emotion emotion+pitch explanation
  speechcue caption data/described -o data/captions --tasks gender+pitch+volume
  speechcue caption data/described -o data/written --tasks explanation --model Qwen/Qwen3-4B-Instruct-2507
  speechcue caption data/described -o data/written --model Qwen/Qwen3-8B --server http://localhost:8000/v1

Tasks are style (gender, pitch, speed, volume, transcript), explanation (these and the emotion), or parts joined by +.
Each utterance gets one row per task. A caption that contradicts its measurements is refused, with the reason.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_dataset(parser, "folder that `speechcue describe` wrote")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the captions")
    add_list(parser, "--tasks", metavar="TASK", help="default: style")
    parser.add_argument("--store", type=Path, help=f"where texts go at once (default: OUTPUT/{CAPTION_STORE_FILE})")
    add_generator_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Write captions by template or, with ``--model``, by a chat model, and say what was made."""
    from speechcue_hf.captions.build import caption_dataset, caption_record
    from speechcue_hf.corpora.parquet import carry_identity, read_dataset, write_dataset
    from speechcue_hf.corpora.writing import whole_folder
    from speechcue_hf.cues.describe import SpeechDescriber

    tasks = [caption_task(name) for name in dict.fromkeys(arguments.tasks or ["style"])]
    dataset, describer = read_dataset(arguments.dataset), SpeechDescriber.from_pretrained(beside(arguments.dataset))
    captions, generator = caption_dataset(dataset, tasks, describer.levels), None
    if arguments.model is not None:
        captions, generator = _write(captions, arguments)
    record = caption_record(
        captions, tasks, describer_sha256=describer.fingerprint, baseline=describer.baseline, generator=generator
    )
    carried = [MEASUREMENT_FILE, DESCRIBER_FILE]
    with whole_folder(arguments.output, command_line(arguments), [CORPUS_FILE, *carried]) as unfinished:
        write_dataset(captions, unfinished)
        carry_identity(arguments.dataset, dataset, unfinished)
        carry_records(arguments.dataset, unfinished, carried)
        write_record(record, unfinished)
    print_summary(captions, record, arguments.output)


def _write(captions: DatasetDict, arguments: argparse.Namespace) -> tuple[DatasetDict, dict[str, Any]]:
    from speechcue_hf.captions.write import REQUEST_PROMPT, write_captions
    from speechcue_hf.generation.store import open_store

    texts = (text or "" for rows in captions.values() for text in rows["caption"])
    generator, _ = load_generator(arguments, texts)
    path = arguments.store or arguments.output / CAPTION_STORE_FILE
    with open_store(path, generator=generator.identity, prompt=REQUEST_PROMPT) as store:
        return write_captions(captions, generator, store), generator.identity


def print_summary(captions: DatasetDict, record: CaptionsRecord, output: Path) -> None:
    """Print how many rows have a caption, why others have none, one caption of each task, and what to mind."""
    for split, counts in record.rows.items():
        print(f"{split}: {counts['captions']:,} of {counts['all']:,} rows have a caption")
    reasons = sum((Counter(counts["without"]) for counts in record.rows.values()), Counter[str]())
    for reason, count in reasons.most_common(10):
        print(f"  {count:,} x {reason}")
    for row in _examples(captions, len(record.tasks)):
        print(f"{row['task']}: {row['caption']}")
    if not any(counts["captions"] for counts in record.rows.values()):
        print("No row has a caption: there is nothing to train on.")
        return
    if record.baseline in ("speaker", "running"):
        print(
            f"The levels compare speakers with themselves (baseline {record.baseline}), which one clip cannot tell: "
            "for a model that hears clips, describe with --baseline gender or overall."
        )
    print(f"{output} holds the captions and {CAPTIONS_FILE}; the clips stay where `speechcue prepare` put them.")


def _examples(captions: DatasetDict, tasks: int) -> list[dict[str, Any]]:
    """The first caption of each task."""
    found: dict[str, dict[str, Any]] = {}
    for row in chain.from_iterable(captions.values()):
        if row["caption"] is not None:
            found.setdefault(row["task"], row)
        if len(found) == tasks:
            break
    return list(found.values())
