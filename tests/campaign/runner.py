"""Runs cases in worker processes with a deadline, and counts what they find."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.campaign.fault import KINDS

ROOT = Path(__file__).parents[2]
DEADLINE = 180.0
"""Seconds between two signs of life of a worker; a case takes a few."""
START = 600.0
"""Seconds until a worker is ready: it makes what its cases change."""


@dataclass
class Tally:
    """What the cases of one kind came to.

    Attributes:
        kind: The module of the cases.
        seed: That they are drawn with.
        cases: That were run.
        inputs: What they were given: files that were changed, kills, faults.
        faults: Of each kind, how many.
        failures: Number of the case, kind of the fault, and what happened.
    """

    kind: str
    seed: int
    cases: int = 0
    inputs: int = 0
    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[int, str, str]] = field(default_factory=list)


def run_kind(kind: str, seed: int, first: int, last: int, until: float, workshop: Path) -> Tally:
    """Run the cases from ``first`` up to before ``last``, or until the time is over."""
    tally, started = Tally(kind, seed), time.monotonic()
    while first < last and time.time() < until:
        first = _run_worker(tally, [kind, seed, first, last, until, workshop], first)
    tally.seconds = time.monotonic() - started
    return tally


def _run_worker(tally: Tally, arguments: list[Any], first: int) -> int:
    """Run one worker to its end, to its death or to a deadline; the number of the next case."""
    line = [sys.executable, "-m", "tests.campaign.worker", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    worker = subprocess.Popen(
        line, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    number, does = first - 1, []
    try:
        for message in _messages(worker):
            if "does" in message:
                does.append(message["does"])
                tally.inputs += 1
            elif "faults" in message:
                tally.cases += 1
                for kind, said in message["faults"]:
                    _note(tally, number, kind, does, said)
            elif "case" in message:
                number, does = message["case"], []
            elif "done" in message:
                return sys.maxsize
        said = f"the process died with code {worker.wait()}"
        _note(tally, number, "traceback", does, said)
    except TimeoutError as error:
        _note(tally, number, "hang", does, str(error))
    finally:
        _end(worker)
    if number < first:
        raise RuntimeError(f"the worker of {tally.kind} did not start, see {arguments[-1]}/log: {tally.failures[-1]}")
    tally.cases += 1
    return number + 1


def _messages(worker: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """What a worker says, until it ends."""
    lines: queue.Queue[str] = queue.Queue()

    def read() -> None:
        assert worker.stdout is not None
        for line in worker.stdout:
            lines.put(line)
        lines.put("")

    threading.Thread(target=read, daemon=True).start()
    patience = START
    while True:
        try:
            line = lines.get(timeout=patience)
        except queue.Empty:
            raise TimeoutError(f"no sign of life for {patience:.0f} s") from None
        if not line:
            return
        patience = DEADLINE
        yield json.loads(line)


def _end(worker: subprocess.Popen[str]) -> None:
    """The worker and what it started."""
    if worker.poll() is None:
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


def _note(tally: Tally, number: int, kind: str, does: list[str], said: str) -> None:
    tally.faults[kind] += 1
    tally.failures.append((number, kind, "; ".join(does) + "\n" + said))
    again = f"python -m tests.campaign --seed {tally.seed} --only {tally.kind} --case {number}"
    print(f"{kind}: {again}", *does, said, "", sep="\n", flush=True)


def table(tallies: list[Tally]) -> str:
    """One row for each kind of cases, in Markdown."""
    heads = ["kind", "cases", "inputs", "minutes", "tracebacks", "hangs", "lost rows", "leaks", "requests"]
    rows = [
        [it.kind, it.cases, it.inputs, f"{it.seconds / 60:.1f}", *(it.faults[kind] for kind in KINDS)] for it in tallies
    ]
    total = ["all", *(sum(row[place] for row in rows) for place in (1, 2))]
    total += [f"{sum(it.seconds for it in tallies) / 60:.1f}"]
    total += [sum(it.faults[kind] for it in tallies) for kind in KINDS]
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows, total]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
