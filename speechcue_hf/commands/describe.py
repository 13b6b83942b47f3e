"""``speechcue describe``: put measurements into words."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speechcue_hf.commands.arguments import add_dataset, add_picture_format, command_line, print_next
from speechcue_hf.errors import DescriberError
from speechcue_hf.records import (
    BIOGRAPHIES_FILE,
    CORPUS_FILE,
    DESCRIBER_FILE,
    DISTRIBUTIONS_FILE,
    MEASUREMENT_FILE,
    carry_records,
    find_record,
)

if TYPE_CHECKING:
    from datasets import DatasetDict

    from speechcue_hf.cues.describe import SpeechDescriber

EXAMPLES = """examples:
  speechcue describe data/measured -o data/described
  speechcue describe data/measured -o data/described --levels 3 --baseline running
  speechcue describe data/meld-measured -o data/paper --preset speechcuellm
  speechcue describe data/new -o data/new-described --describer runs/demo
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_dataset(parser, "folder that `speechcue measure` wrote")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the described dataset")
    parser.add_argument(
        "--preset",
        choices=("speechcuellm",),
        help="levels, baseline and wording of the paper on this corpus, IEMOCAP (config all) or MELD",
    )
    add_picture_format(parser)
    parser.add_argument("--levels", type=int, choices=(3, 4, 5, 6), help="number of levels (default: 5)")
    parser.add_argument(
        "--baseline",
        choices=("speaker", "gender", "overall", "running"),
        help="what a clip is compared with; running: the speaker's past turns (default: speaker)",
    )
    parser.add_argument("--wording", choices=("speechcue", "speechcuellm"), help="default: speechcue")
    parser.add_argument(
        "--speakers",
        nargs="+",
        metavar="NAME",
        help="only these are compared with themselves (default: all with 10 turns)",
    )
    parser.add_argument(
        "--describer",
        metavar="DIR_OR_ID",
        help="use this describer, a folder or Hub id, instead of fitting one on train",
    )


def run(arguments: argparse.Namespace) -> None:
    """Fit or load a describer, describe all splits, and say what was made."""
    from speechcue_hf.corpora.parquet import read_dataset, write_dataset
    from speechcue_hf.corpora.writing import whole_folder
    from speechcue_hf.cues.describe import SpeechDescriber, check_measured, describe_dataset
    from speechcue_hf.cues.paper import describe_like_paper
    from speechcue_hf.cues.settings import MeasurementSettings

    given = arguments.describer is not None
    for option in ("describer", "preset"):
        if vars(arguments)[option] and (options := _fit_options(arguments)):
            raise ValueError(f"--{option} brings its own {', '.join(options)}: leave --{', --'.join(options)} out")
    if given and arguments.preset:
        raise ValueError("--describer is a describer that was fitted already: leave --preset out")
    dataset = read_dataset(arguments.dataset)
    if arguments.preset:
        described, describer = describe_like_paper(dataset, find_record(MeasurementSettings, arguments.dataset))
    else:
        describer = SpeechDescriber.from_pretrained(arguments.describer) if given else _fit_on_train(dataset, arguments)
        check_measured(dataset.values(), describer.cues)
        described = describe_dataset(dataset, describer)
    carried = [MEASUREMENT_FILE, BIOGRAPHIES_FILE]
    with whole_folder(arguments.output, command_line(arguments), [CORPUS_FILE, *carried]) as unfinished:
        write_dataset(described, unfinished)
        carry_records(arguments.dataset, unfinished, carried)
        describer.save_pretrained(unfinished)
        if not given:
            from speechcue_hf.cues.plots import plot_distributions
            from speechcue_hf.pictures import picture_files

            for path in picture_files(unfinished / DISTRIBUTIONS_FILE, arguments.format):
                plot_distributions(dataset["train"], describer, path)
    print_summary(described, describer, arguments.output, pictured=not given)


def _fit_on_train(dataset: DatasetDict, arguments: argparse.Namespace) -> SpeechDescriber:
    """Fit a describer as the command line asks."""
    from speechcue_hf.cues.describe import SpeechDescriber
    from speechcue_hf.cues.settings import MeasurementSettings

    if "train" not in dataset:
        raise DescriberError(
            f"{arguments.dataset} has no train split to learn levels from, only {', '.join(dataset)}: "
            "use one that was fitted elsewhere with --describer DIR_OR_ID"
        )
    settings = find_record(MeasurementSettings, arguments.dataset)
    return SpeechDescriber.fit(dataset["train"], settings=settings, **_fit_options(arguments))


def _fit_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The parsed options of fitting, as keyword arguments of ``SpeechDescriber.fit``, without those not given."""
    options = {name: vars(arguments)[name] for name in ("levels", "baseline", "wording", "speakers")}
    return {name: value for name, value in options.items() if value is not None}


def print_summary(described: DatasetDict, describer: SpeechDescriber, output: Path, *, pictured: bool) -> None:
    """Say what was described against what, show an example, and name the next step."""
    rows = ", ".join(f"{split} {len(part):,}" for split, part in described.items())
    print(f"Described {rows} rows with {describer.levels} levels, wording {describer.wording}.")
    groups = ", ".join(f"{name} ({group.rows:,})" for name, group in describer.groups.items())
    print(f"Compared with (measured training rows): {groups}.")
    first = next(iter(described.values()))
    if len(first):
        print(f"For example: {first[0]['speech_description']} {first[0]['speech_impression']}")
    picture = f", {DISTRIBUTIONS_FILE}" if pictured else ""
    print(f"{output} holds the dataset, {DESCRIBER_FILE}{picture}.")
    print_next("train", "--config", "quickstart", "--dataset", output, "-o", output.parent / "run")
