"""``speechcue biographies``: have a chat model say who the speakers are, or take what was published."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechcue_hf.biographies.settings import BiographySettings, load_biography_prompt
from speechcue_hf.commands.arguments import add_dataset, command_line, positive_int, print_next
from speechcue_hf.commands.generator_options import (
    add_generator_arguments,
    add_rate_arguments,
    load_generator,
    load_generator_tokenizer,
    print_time_and_price,
)
from speechcue_hf.records import (
    BIOGRAPHIES_FILE,
    BIOGRAPHY_STORE_FILE,
    CORPUS_FILE,
    DESCRIBER_FILE,
    DISTRIBUTIONS_FILE,
    MEASUREMENT_FILE,
    BiographiesRecord,
    carry_records,
    write_record,
)

if TYPE_CHECKING:
    from datasets import DatasetDict
    from transformers import PreTrainedTokenizerBase

    from speechcue_hf.generation.estimate import RequestEstimate

EXAMPLES = """examples:
  speechcue biographies data/described -o data/biographies --model tiny
  speechcue biographies data/described -o data/biographies --model Qwen/Qwen3-4B-Instruct-2507 --refresh 4
  speechcue biographies data/described -o data/biographies --model Qwen/Qwen3-8B --server http://localhost:8000/v1
  speechcue biographies data/meld -o data/paper --preset bioserc --model meta-llama/Llama-2-70b-chat-hf --vllm
  speechcue biographies data/meld --preset bioserc --estimate --tokens-per-second 500 --price 0.1 0.4
  speechcue biographies data/meld -o data/paper --published data/meld.*_spdescV2_Llama-2-70b-chat-hf.json

By default (--scope history) the biography of a row is made from the turns before it. --scope dialogue, as in BiosERC,
shows the model the whole dialogue, its future included; rows, biographies.json and this command's output say so.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_dataset(parser, "folder that `speechcue describe` or `speechcue prepare` wrote")
    parser.add_argument("-o", "--output", type=Path, help="folder for the dataset with biographies")
    parser.add_argument("--estimate", action="store_true", help="only say how many requests and tokens it would take")
    parser.add_argument(
        "--preset", choices=("default", "bioserc"), default="default", help="ours, or the paper's prompt and scope"
    )
    parser.add_argument("--scope", choices=("history", "dialogue"), help="turns before each row, or all (the future!)")
    parser.add_argument(
        "--refresh", type=positive_int, metavar="TURNS", help="history: write again after so many (default: 8)"
    )
    parser.add_argument("--word-limit", type=positive_int, help="most words (default: 100; bioserc: 250)")
    parser.add_argument("--prompt", help="speechcue, bioserc, or a Jinja2 template file (default: the preset's)")
    parser.add_argument("--store", type=Path, help=f"where texts go at once (default: OUTPUT/{BIOGRAPHY_STORE_FILE})")
    parser.add_argument(
        "--published", type=Path, nargs="+", metavar="FILE", help="take BiosERC's <corpus>.<split>_spdescV2_<llm>.json"
    )
    add_rate_arguments(parser)
    add_generator_arguments(parser)


def run(arguments: argparse.Namespace) -> None:
    """Print the estimate; then, unless it was all that was asked for, write biographies and say what was made."""
    from speechcue_hf.corpora.parquet import read_dataset

    if arguments.output is None and (arguments.published or not arguments.estimate):
        raise ValueError("-o is missing: the folder for the dataset with biographies")
    dataset = read_dataset(arguments.dataset)
    store = arguments.output / BIOGRAPHY_STORE_FILE if arguments.output and not arguments.store else arguments.store
    if arguments.published:
        _take_published(dataset, arguments)
    elif arguments.estimate:
        _print_estimates(dataset, _biography_settings(arguments), load_generator_tokenizer(arguments), arguments, store)
    else:
        _write(dataset, _biography_settings(arguments), arguments, store)


def _biography_settings(arguments: argparse.Namespace) -> BiographySettings:
    """The preset with what the command line sets."""
    preset = BiographySettings.bioserc() if arguments.preset == "bioserc" else BiographySettings()
    given = {"scope": arguments.scope, "refresh": arguments.refresh, "word_limit": arguments.word_limit}
    given["prompt"] = None if arguments.prompt is None else load_biography_prompt(arguments.prompt)
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return replace(preset, **changes)


def _print_estimates(
    dataset: DatasetDict,
    settings: BiographySettings,
    tokenizer: PreTrainedTokenizerBase | None,
    arguments: argparse.Namespace,
    store: Path | None,
) -> None:
    """Print what the biographies will take beyond what the store has, in both scopes to compare them."""
    from speechcue_hf.biographies.requests import estimate_biographies
    from speechcue_hf.generation.estimate import TOKENS_PER_WORD
    from speechcue_hf.generation.store import stored_keys

    stored = stored_keys(store) if store else set[str]()
    scopes: dict[str, RequestEstimate] = {}
    print(f"Biographies of at most {settings.word_limit} words, prompt {settings.prompt.name}:")
    print(f"  {'scope':9}{'requests':>10}{'to write':>10}{'prompt tokens':>15}{'written, at most':>18}")
    for scope in ("history", "dialogue"):
        one = replace(settings, scope=scope)
        scopes[scope] = estimate_biographies(
            dataset, one, max_new_tokens=arguments.max_new_tokens, tokenizer=tokenizer, stored=stored
        )
        chosen = " <- this run" if scope == settings.scope else ""
        counts = scopes[scope]
        print(
            f"  {scope:9}{counts.requests:>10,}{counts.missing:>10,}{counts.prompt_tokens:>15,}"
            f"{counts.completion_tokens:>18,}{chosen}"
        )
    counted = "counted by the tokenizer" if tokenizer else f"guessed, {TOKENS_PER_WORD} a word"
    print(f"  Prompt tokens are {counted}.")
    print_time_and_price(scopes[settings.scope], arguments)
    print(f"  {_scope_line(settings)}")


def _scope_line(settings: BiographySettings) -> str:
    if settings.sees_future:
        return "Scope dialogue SEES THE FUTURE: each biography is made from the whole dialogue, later turns included."
    pace = "for each row" if settings.refresh == 1 else f"after {settings.refresh} turns"
    return f"Scope history sees no later turn: each biography is made from turns before its row, written again {pace}."


def _write(dataset: DatasetDict, settings: BiographySettings, arguments: argparse.Namespace, path: Path) -> None:
    from speechcue_hf.biographies.write import write_biographies, written_record
    from speechcue_hf.generation.store import open_store

    texts = (text or "" for rows in dataset.values() for text in rows["text"])
    generator, tokenizer = load_generator(arguments, texts)
    with open_store(path, generator=generator.identity, prompt=settings.prompt.identity) as store:
        _print_estimates(dataset, settings, tokenizer, arguments, path)
        written = write_biographies(dataset, generator, store, settings)
        record = written_record(written, generator, store, settings)
    _save(written, record, arguments)
    print(f"{path} keeps every text: run again to ask for what failed, and for nothing else.")


def _take_published(dataset: DatasetDict, arguments: argparse.Namespace) -> None:
    from speechcue_hf.biographies.published import join_published, published_record, read_published

    published = [read_published(path) for path in arguments.published]
    joined = join_published(dataset, published)
    print("Published biographies SEE THE FUTURE: each was made from the whole dialogue, later turns included.")
    _save(joined, published_record(joined, published), arguments)


def _save(dataset: DatasetDict, record: BiographiesRecord, arguments: argparse.Namespace) -> None:
    """Write the folder with its records, and say what is in it."""
    from speechcue_hf.corpora.parquet import write_dataset
    from speechcue_hf.corpora.writing import whole_folder

    carried = [MEASUREMENT_FILE, DESCRIBER_FILE, DISTRIBUTIONS_FILE]
    with whole_folder(arguments.output, command_line(arguments), [CORPUS_FILE, *carried]) as unfinished:
        write_dataset(dataset, unfinished)
        carry_records(arguments.dataset, unfinished, carried)
        write_record(record, unfinished)
    _print_rows(record.rows)
    print(f"{arguments.output} holds the dataset and {BIOGRAPHIES_FILE}.")
    if not any(counts["with_biography"] for counts in record.rows.values()):
        print("No row has a biography: a model that is to read them has nothing to learn from.")
        return
    run = arguments.output.parent / "run-biographies"
    print_next(
        "train", "--config", "quickstart", "--dataset", arguments.output, "-o", run, "prompt=speechcue_biography"
    )


def _print_rows(rows: Mapping[str, Any]) -> None:
    """Print for each split how many rows have a biography, and why others have none."""
    for split, counts in rows.items():
        cut = f", {counts['cut']:,} of them cut" if counts["cut"] else ""
        print(f"{split}: {counts['with_biography']:,} of {counts['all']:,} rows have a biography{cut}")
    reasons = sum((Counter(counts["without"]) for counts in rows.values()), Counter[str]())
    for reason, count in reasons.most_common(10):
        print(f"  {count:,} x {reason}")
