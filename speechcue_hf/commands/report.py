"""``speechcue report``: a corpus and runs on it as one page to read, hear and show."""

from __future__ import annotations

import argparse
from pathlib import Path

from speechcue_hf.report.build import MOST_MEGABYTES

EXAMPLES = """examples:
  speechcue report data/described -o report.html
  speechcue report data/described data/demo runs/cues -o report.html      # with clips, which data/demo holds
  speechcue report data/described runs/text runs/cues --audio none -o report.html
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "paths",
        type=Path,
        nargs="+",
        metavar="PATH",
        help="dataset folders, the first of which gives the turns and the others what it lacks, such as clips, and "
        "folders that `speechcue evaluate` wrote, of one seed or several",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="the HTML file")
    parser.add_argument(
        "--audio",
        type=_megabytes,
        default=MOST_MEGABYTES,
        metavar="none|N",
        help="most megabytes of clips, the scored split first (default: %(default)g)",
    )
    parser.add_argument("--title", help="of the page (default: the names of the folders)")


def run(arguments: argparse.Namespace) -> None:
    """Write the page and say what is in it."""
    from speechcue_hf.report.build import write_report

    made = write_report(arguments.paths, arguments.output, audio=arguments.audio, title=arguments.title)
    left_out = f", {made['clips_left_out']:,} clips left out" if made["clips_left_out"] else ""
    print(
        f"{arguments.output} shows {made['turns']:,} turns, {made['runs']} runs and {made['clips']:,} clips{left_out} "
        f"({made['megabytes']:.1f} MB). Open it in a browser."
    )


def _megabytes(text: str) -> float | None:
    """``none`` or a number above 0."""
    if text == "none":
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be none or a number of megabytes above 0, got {text!r}")
    return value
