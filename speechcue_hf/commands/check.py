"""``speechcue check``: a corpus on disk beside its release."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from datasets import load_dataset_builder

from speechcue_hf.commands.arguments import add_list
from speechcue_hf.commands.prepare import add_corpus_arguments, corpus_options
from speechcue_hf.corpora.check import (
    Counts,
    Leak,
    Splits,
    clip_statuses,
    count_splits,
    differences,
    leaks,
    release_counts,
    unexpected_clips,
)
from speechcue_hf.corpora.paper_dialogues import PaperDialogues, differences_from, read_dialogues
from speechcue_hf.errors import CorpusError

EXAMPLES = """examples:
  speechcue check demo
  speechcue check meld --data-dir MELD.Raw
  speechcue check iemocap --data-dir IEMOCAP_full_release --config ser-4 --fold 1
  speechcue check meld --data-dir MELD.Raw --against meld.train.json meld.pkl

Exit code 1 when the corpus differs from its release.
"""

CLIPS_NAMED = 10
SHARED_NAMED = 3
WIDEST = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_corpus_arguments(parser)
    add_list(
        parser,
        "--against",
        metavar="FILE",
        help="data files of BiosERC (.json) or InstructERC (.pkl), whose texts and labels are compared as well",
    )


def run(arguments: argparse.Namespace) -> None:
    """Print counts, clips and leaks."""
    options = corpus_options(arguments)
    papers = [part for name in arguments.against or () for part in read_dialogues(Path(name))]
    builder = load_dataset_builder(**options, verify=True)
    difference: CorpusError | None = None
    try:
        splits: Splits = builder.read(builder.data_dir())
    except CorpusError as error:
        difference = error
        splits = load_dataset_builder(**options, verify=False).read(builder.data_dir())
    found = count_splits(splits)
    expected = release_counts(arguments.corpus, builder.config.name, found)
    statuses = clip_statuses(arguments.corpus, [row for rows in splits.values() for row in rows])
    _print_counts(found, expected)
    _print_clips(statuses)
    _print_leaks(leaks(splits))
    problems = [*differences(found, expected), *unexpected_clips(arguments.corpus, statuses)]
    problems += _compare(splits, builder.emotions(), papers)
    if difference:
        raise difference
    if problems:
        raise CorpusError(f"{builder.data_dir()} differs from the release in {len(problems)} places: {problems[0]}")
    print(
        "\n" + ("No difference from the release." if expected else "There is no release to compare this corpus with.")
    )


def _compare(splits: Splits, emotions: Sequence[str], papers: Sequence[PaperDialogues]) -> list[str]:
    """Print how the corpus agrees with each split of the papers' files, and return what does not."""
    problems = []
    for paper in papers:
        found = differences_from(splits, emotions, paper)
        print(f"\n{paper.file}, {paper.split}: {len(paper.dialogues):,} dialogues" + ("" if found else ", all alike"))
        for line in found:
            print(f"  {line}")
        problems += found
    return problems


def _print_counts(found: Mapping[str, Counts], expected: Mapping[str, Counts]) -> None:
    """Print a table: one row per count, one column per split; where the release has another number, that beside it."""
    names = dict.fromkeys(name for counts in (*found.values(), *expected.values()) for name in counts)
    print("".join([f"{'':<14}", *(f"{split:>22}" for split in found)]))
    for name in names:
        cells = [_count_cell(counts.get(name, 0), expected.get(split, {}).get(name)) for split, counts in found.items()]
        print("".join([f"{name:<14}", *(f"{cell:>22}" for cell in cells)]))


def _count_cell(found: int, expected: int | None) -> str:
    """A number, and what it should be if it is another."""
    return f"{found:,}" if expected in (None, found) else f"{found:,} (expected {expected:,})"


def _print_clips(statuses: Mapping[str, str]) -> None:
    """Print how many clips are in each state, and the first of those that are not ok."""
    print("\nclips")
    for status, number in Counter(statuses.values()).most_common():
        print(f"  {status:<12}{number:>8,}")
    bad = [f"{name} ({status})" for name, status in statuses.items() if status in ("missing", "corrupt", "miscut")]
    for name in bad[:CLIPS_NAMED]:
        print(f"    {name}")
    if len(bad) > CLIPS_NAMED:
        print(f"    and {len(bad) - CLIPS_NAMED:,} more")


def _print_leaks(found: list[Leak]) -> None:
    """Print what splits share, with the longest examples."""
    print("\nshared between splits" + ("" if found else ": nothing"))
    for leak in found:
        print(f"  {leak.first} and {leak.second}: {leak.rows:,} {leak.what} of {leak.first} recur in {leak.second}")
        for thing in leak.shared[:SHARED_NAMED]:
            print(f"    {thing[:WIDEST]}{'…' if len(thing) > WIDEST else ''}")
