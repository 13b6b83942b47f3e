"""How long loading takes: full-size IEMOCAP and MELD made for the purpose, first from the release, then from the cache.

Run from the root of the repository::

    python benchmarks/loading.py

The trees have the counts of the releases (``verify=True`` accepts them) with tiny clips. Every row is a process of its
own and its time that of ``load_dataset``, imports left out. The last rows show what ``datasets`` alone would add to
every call: it lists all files below ``data_dir`` before it starts a packaged builder.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from figures import recorded  # noqa: E402

from speechcue_hf.corpora import meld  # noqa: E402
from speechcue_hf.corpora.check import release_counts  # noqa: E402
from speechcue_hf.corpora.iemocap import LABELS, VALIDATION_DIALOGUES, erc_split  # noqa: E402
from tests.corpora import trees  # noqa: E402

TIMED = """
import json, os, sys, time
{imports}
argument = json.loads(sys.argv[1])
wall, cpu = time.perf_counter(), sum(os.times()[:4])
{work}
print(json.dumps([count, time.perf_counter() - wall, sum(os.times()[:4]) - cpu]))
"""
LOAD = TIMED.format(
    imports="import speechcue_hf; from datasets import load_dataset",
    work="count = sum(len(rows) for rows in load_dataset(**argument).values())",
)
LIST = TIMED.format(
    imports="from datasets.data_files import DataFilesDict, get_data_patterns",
    work="files = DataFilesDict.from_patterns(get_data_patterns(argument), base_path=argument)\n"
    "count = sum(len(names) for names in files.values())",
)
SESSIONS = {1: 28, 2: 30, 3: 32, 4: 30, 5: 31}
HAPPY_BY_VOTE = {"train": 36, "validation": 4, "test": 13}
UNDECIDED = {"train": 1700, "validation": 200, "test": 554}
RARE = {"sur": 107, "fea": 40, "oth": 3, "dis": 2}


def iemocap_tree(folder: Path) -> None:
    """151 dialogues with the label counts of the release in each split, 10,039 clips and 47 XX turns."""
    dialogues: dict[str, list[trees.IemocapTurn]] = {name: [] for name in iemocap_dialogues()}
    for split in HAPPY_BY_VOTE:
        names = cycle(name for name in dialogues if erc_split(name) == split)
        for label, categories in iemocap_labels(split):
            turns = dialogues[next(names)]
            number, start = f"{'FM'[len(turns) % 2]}{len(turns):03d}", 2.0 * len(turns)
            turns.append(trees.IemocapTurn(number, start, start + 1.5, "I don't  know.", label, categories))
    for turns in list(dialogues.values())[:47]:
        turns.append(trees.IemocapTurn("FXX0", 900.0, 901.0, "Uh-huh."))
    for dialogue, turns in dialogues.items():
        trees.iemocap_dialogue(folder, dialogue, turns, trees.wav(0.1))


def iemocap_dialogues() -> Iterator[str]:
    """Names of 151 dialogues, those of the validation split as in the release."""
    for session, count in SESSIONS.items():
        known = [name for name in sorted(VALIDATION_DIALOGUES) if name.startswith(f"Ses{session:02d}")]
        yield from known
        yield from (f"Ses{session:02d}{'FM'[n % 2]}_made{n:02d}" for n in range(count - len(known)))


def iemocap_labels(split: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Label and annotators' categories of every labelled turn of a split."""
    short = {name: label for label, name in LABELS.items()}
    counts = {short[name]: n for name, n in release_counts("iemocap", "erc-6", {})[split].items() if name in short}
    counts["hap"] -= HAPPY_BY_VOTE[split]
    for label, number in {**counts, **(RARE if split == "train" else {})}.items():
        yield from [(label, ("Neutral state;", "Other;"))] * number
    yield from [("xxx", ("Happiness;", "Happiness;", "Other;"))] * HAPPY_BY_VOTE[split]
    yield from [("xxx", ("Anger;", "Happiness;"))] * UNDECIDED[split]


def meld_tree(folder: Path) -> None:
    """The rows and label counts of the release, and a small mp4 for each row but the one known to be missing."""
    for split, name in meld.NAMES.items():
        counts = release_counts("meld", "default", {})[split]
        labels = [label for label in meld.EMOTIONS for _ in range(counts[label])]
        ids = [row.removeprefix(f"{name}_dia").split("_utt") for row in meld.release_rows(split)]
        rows = [
            (n, "Hey.", "Ross", label, "neutral", *numbers)
            for n, (label, numbers) in enumerate(zip(labels, ids, strict=True))
        ]
        trees.meld_csv(folder / f"{name}_sent_emo.csv", rows)
        trees.meld_clips(folder / meld.MEDIA[split], rows)
    (folder / "dev_splits_complete/dia110_utt7.mp4").unlink()


def print_row(corpus: str, call: str, script: str, argument: object) -> None:
    """Run a script in a process of its own and print a row of the table."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    command = [sys.executable, "-c", script, json.dumps(argument)]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    count, wall, cpu = json.loads(shown.stdout.splitlines()[-1])
    print(f"| {corpus} | {call} | {count:,} | {wall:.2f} | {cpu:.2f} |", flush=True)


def main() -> None:
    """Make the trees, load them and print a Markdown table."""
    print("# Loading full-size corpora\n")
    load = os.getloadavg()[0]
    print(
        f"`python benchmarks/loading.py`, Python {platform.python_version()}, {os.cpu_count()} cores, load {load:.1f}\n"
    )
    print("| corpus | call | rows or files | wall, s | CPU, s |")
    print("|---|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as scratch:
        for corpus, tree in {"iemocap": iemocap_tree, "meld": meld_tree}.items():
            release = Path(scratch) / corpus
            tree(release)
            name = "all" if corpus == "iemocap" else "default"
            options = {"path": f"speechcue/{corpus}", "name": name, "data_dir": str(release)}
            options["cache_dir"] = f"{scratch}/cache"
            fresh = {**options, "cache_dir": f"{scratch}/fresh", "num_proc": 2}
            calls = {"first, one process": options, "from the cache": options, "first, two processes": fresh}
            for call, arguments in calls.items():
                print_row(corpus, call, LOAD, arguments)
            print_row(corpus, "listing `data_dir` as `datasets` would", LIST, str(release))


if __name__ == "__main__":
    with recorded("loading"):
        main()
