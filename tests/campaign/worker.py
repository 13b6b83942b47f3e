"""One process of a campaign: runs cases of one kind, one after the other, and tells of each in a line of JSON.

    python -m tests.campaign.worker KIND SEED FIRST LAST UNTIL WORKSHOP

The parent watches over deadlines: what hangs or dies takes this process with it, and nothing else.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import time
import traceback
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any, TextIO

from tests.campaign.fault import Fault
from tests.campaign.surroundings import LISTENER, surround

ADDRESS_SPACE = 16 * 2**30
"""In bytes: a file that asks for more gets a MemoryError, and the machine stays usable."""


def own_output(log: Path) -> TextIO:
    """The pipe to the parent; what anything else prints goes to a file."""
    pipe = os.fdopen(os.dup(1), "w")
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    return pipe


def main(kind: str, seed: str, first: str, last: str, until: str, workshop: str) -> None:
    place = Path(workshop).resolve()
    place.mkdir(parents=True, exist_ok=True)
    pipe = own_output(place / "log")
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    surround(place)

    def tell(**values: Any) -> None:
        print(json.dumps(values), file=pipe, flush=True)

    attempt = import_module(f"tests.campaign.{kind}").ready(place / "ready")
    tell(ready=True)
    for number in range(int(first), int(last)):
        if time.time() > float(until):
            break
        run(attempt, Random(f"{kind} {seed} {number}"), place / str(number), number, tell)
    tell(done=True)


def run(attempt: Any, random: Random, folder: Path, number: int, tell: Any) -> None:
    """One case, in a folder of its own that is kept if something was found."""
    folder.mkdir()
    faults = []
    tell(case=number)
    try:
        for does in attempt(random, folder):
            tell(case=number, does=does)
        LISTENER.check()
    except Fault as fault:
        faults.append([fault.kind, str(fault)])
    except Exception as error:
        faults.append(["traceback", "".join(traceback.format_exception(error)[-12:])])
    tell(case=number, faults=faults)
    if not faults:
        shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        shutil.rmtree(folder.parent / "home" / "datasets")


if __name__ == "__main__":
    main(*sys.argv[1:])
