"""What ``speechcue quickstart`` shows and takes, for several seeds.

    python benchmarks/quickstart.py

Each seed is a process of its own, as a newcomer starts it. A seed decides the first parameters of the model, the order
of the rows and whose voices are exchanged. What it printed stands in ``quickstart.md``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from figures import recorded

from speechcue_hf.quickstart import scores


def main() -> None:
    """Run each seed, and print its row, then mean and deviation."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    found = []
    print("| seed | own voice | no voice | other voices | seconds | CPU, s |\n|---|---:|---:|---:|---:|---:|")
    for seed in parser.parse_args().seeds:
        with TemporaryDirectory() as folder:
            seconds, cpu = quickstart(Path(folder) / "made", seed)
            row = [100 * result.weighted_f1 for result in scores(Path(folder) / "made").values()]
        found.append(row)
        print(f"| {seed} | {' | '.join(f'{score:.1f}' for score in row)} | {seconds:.0f} | {cpu:.0f} |", flush=True)
    columns = [*zip(*found, strict=True)]
    shown = " | ".join(f"{statistics.mean(column):.1f} ± {statistics.stdev(column):.1f}" for column in columns)
    print(f"| mean ± sd | {shown} | | |")


def quickstart(output: Path, seed: int) -> tuple[float, float]:
    """Run it as a process of its own; its time on the clock and its CPU time, in s."""
    line = [sys.executable, "-m", "speechcue_hf.cli", "quickstart", "-o", str(output), "--seed", str(seed)]
    begun = time.monotonic()
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"quickstart ended with {os.waitstatus_to_exitcode(status)}")
    return time.monotonic() - begun, usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    with recorded("quickstart"):
        main()
