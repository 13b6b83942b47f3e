"""Command line of the campaign."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.campaign.runner import Tally, run_kind, table

SHARES = {
    "clips": 24,
    "annotations": 16,
    "records": 16,
    "kills": 20,
    "servers": 8,
    "hub": 6,
    "guard": 6,
    "scan": 4,
}
"""Kind → percent of the time, or of the cases."""
ENDLESS = 10**9


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__, allow_abbrev=False)
    parser.add_argument("--seed", type=int, default=0, help="another seed makes other cases (default: %(default)s)")
    parser.add_argument("--minutes", type=float, help="stop after this time (default: 3, or none with --cases)")
    parser.add_argument(
        "--cases", type=int, help="stop after so many cases of all kinds together, which are the same each time"
    )
    parser.add_argument("--only", choices=SHARES, metavar="KIND", help=f"one kind of cases: {', '.join(SHARES)}")
    parser.add_argument("--case", type=int, help="with --only: run the case of this number again; its folder stays")
    parser.add_argument("--workshop", type=Path, help="folder to work in (default: a new one in the system's)")
    arguments = parser.parse_args()
    if arguments.case is not None and arguments.only is None:
        parser.error("--case needs --only")
    return arguments


def campaign(arguments: argparse.Namespace, workshop: Path) -> list[Tally]:
    kinds = {arguments.only: 100} if arguments.only else SHARES
    minutes = arguments.minutes or (None if arguments.cases or arguments.case is not None else 3.0)
    tallies = []
    for kind, percent in kinds.items():
        until = time.time() + (60 * minutes * percent / 100 if minutes else ENDLESS)
        first, last = 0, max(1, arguments.cases * percent // 100) if arguments.cases else ENDLESS
        if arguments.case is not None:
            first, last = arguments.case, arguments.case + 1
        tally = run_kind(kind, arguments.seed, first, last, until, workshop / kind)
        print(f"{kind}: {tally.cases} cases, {sum(tally.faults.values())} faults", file=sys.stderr, flush=True)
        tallies.append(tally)
    return tallies


if __name__ == "__main__":
    given = parsed()
    place = (given.workshop or Path(tempfile.mkdtemp(prefix="campaign-"))).resolve()
    found = campaign(given, place)
    print(table(found))
    print(f"The folders of cases that failed are in {place}.", file=sys.stderr)
    sys.exit(any(tally.failures for tally in found))
