"""``speechcue card``: write the model card of a run."""

from __future__ import annotations

import argparse
from pathlib import Path

from speechcue_hf.records import CARD_FILE, RESULTS_FILE

EXAMPLES = """examples:
  speechcue card runs/demo
  speechcue card runs/seeds      # of several seeds: beside the one that was best on the selection split
  speechcue card runs/demo --repo-id me/speechcue-demo --licence apache-2.0
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("run_dir", type=Path, help="folder that `speechcue train` wrote, of one seed or several")
    parser.add_argument("--repo-id", help="id that the model has or will have on the Hub")
    parser.add_argument("--licence", help="licence of the model as the Hub names it, such as apache-2.0")
    parser.add_argument("--speaker-names", action="store_true", help="show the names of speakers of own recordings")


def run(arguments: argparse.Namespace) -> None:
    """Write README.md into the run's folder."""
    from speechcue_hf.hub.card import model_card
    from speechcue_hf.hub.run_records import best_run

    run_dir = best_run(arguments.run_dir)
    given = {name: vars(arguments)[name] for name in ("repo_id", "licence", "speaker_names")}
    card = model_card(run_dir, **given)
    path = run_dir / CARD_FILE
    card.save(path)
    print(f"Written to {path}.")
    if not (run_dir / RESULTS_FILE).is_file():
        print("It says that the model has not been evaluated: run `speechcue evaluate`, then this command again.")
