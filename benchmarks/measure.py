"""Cost of measuring speech: a literal run of the paper's procedure, ours, and other packages, on the same clips.

    python benchmarks/measure.py

It needs espeak-ng and, for the rows of other packages, opensmile, swift-f0 and pyworld. Figures of one core are CPU
time of this process held to one processor.
"""

from __future__ import annotations

import argparse
import io
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
from datasets import Dataset, disable_progress_bars
from figures import recorded
from scipy.signal import resample_poly

from speechcue_hf import MeasurementSettings, measure_dataset, measure_speech
from speechcue_hf.audio import decode
from speechcue_hf.cues.analysis import RATE, analyse
from speechcue_hf.cues.engines import load_engine

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.cues import literal_praat
from tests.cues.measure_clips import say

TEXTS = (
    "I really cannot believe that you did that to my sister yesterday evening.",
    "Well, okay. Let us go and see what he wants from us.",
    "No!",
    "Oh my God, this is the best thing that has ever happened to anybody in this room, honestly.",
    "Where were you? I waited, and waited, for two hours.",
)
VOICES = ("en-us", "en-us+f2", "en-us+m3", "en-us+m7", "en-us+f4", "en-gb+klatt2")
PAPER = MeasurementSettings.speechcuellm()
ROUNDS = 3


def make_clips(count: int, folder: Path) -> list[Path]:
    """Write utterances of espeak-ng at 16 kHz, 16 bit, pitch and speed varied."""
    paths = []
    for i in range(count):
        options = ("-p", 20 + i * 7 % 60, "-s", 120 + i * 11 % 120)
        speech, rate = soundfile.read(
            io.BytesIO(say(TEXTS[i % len(TEXTS)], VOICES[i % len(VOICES)], *options)["bytes"])
        )
        paths.append(folder / f"clip{i:04d}.wav")
        soundfile.write(paths[-1], np.clip(resample_poly(speech, RATE, rate), -1, 1), RATE)
    return paths


def cpu_seconds(procedures: dict[str, Callable[[Path], object]], paths: Sequence[Path]) -> dict[str, float]:
    """CPU time of this process, its threads included, summed over clips.

    The procedures take turns on each clip and the fastest of ``ROUNDS`` turns counts, so that whatever else the machine
    does falls on all of them alike.
    """
    totals = dict.fromkeys(procedures, 0.0)
    for path in paths:
        fastest = dict.fromkeys(procedures, float("inf"))
        for _ in range(ROUNDS):
            for name, measure in procedures.items():
                start = time.process_time()
                measure(path)
                fastest[name] = min(fastest[name], time.process_time() - start)
        for name, seconds in fastest.items():
            totals[name] += seconds
    return totals


def one_core(paths: Sequence[Path]) -> None:
    """Print CPU time on one core, and how many times less than the literal procedure."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    ours = {
        "the paper's eight, exact": PAPER,
        "the paper's without HNR, exact": replace(PAPER, groups=("loudness", "pitch", "rhythm")),
        "our default (21 cues)": MeasurementSettings(),
        "our default with HNR": MeasurementSettings(groups=(*MeasurementSettings().groups, "hnr")),
    }
    ours |= {f"{name}, fast engine": replace(settings, engine="fast") for name, settings in ours.items()}
    procedures: dict[str, Callable[[Path], object]] = {"literal procedure": literal_praat.measure}
    for name, settings in ours.items():
        procedures[name] = lambda path, settings=settings: measure_speech(_row(path), settings)
    procedures |= _opensmile() | _swift_f0() | _world()
    seconds = sum(soundfile.info(path).duration for path in paths)
    print(f"\nCPU time on one core, {len(paths)} clips, {seconds:.0f} s of audio at 16 kHz:\n")
    print("| procedure | ms per s of audio | times faster than literal |\n|---|---:|---:|")
    costs = cpu_seconds(procedures, paths)
    for name, cost in costs.items():
        print(f"| {name} | {1000 * cost / seconds:.2f} | {costs['literal procedure'] / cost:.2f} |", flush=True)
    os.sched_setaffinity(0, allowed)


def rates(paths: Sequence[Path]) -> None:
    """Print CPU time on one core for the same clips at the sampling rates of recordings."""
    print("\nCPU time on one core by sampling rate, fast engine, ms per s of audio:\n")
    print("| sampling rate | literal procedure | the paper's eight | times faster | our default | times faster |")
    print("|---|---:|---:|---:|---:|---:|")
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    seconds = sum(soundfile.info(path).duration for path in paths)
    procedures: dict[str, Callable[[Path], object]] = {
        "literal": literal_praat.measure,
        "paper": lambda path: measure_speech(_row(path), replace(PAPER, engine="fast")),
        "default": lambda path: measure_speech(_row(path), MeasurementSettings(engine="fast")),
    }
    for rate in (RATE, 44100, 48000):
        costs = cpu_seconds(procedures, [_at_rate(path, rate) for path in paths])
        literal, paper, default = (1000 * cost / seconds for cost in costs.values())
        print(
            f"| {rate / 1000:g} kHz | {literal:.2f} | {paper:.2f} | {literal / paper:.2f} | {default:.2f} "
            f"| {literal / default:.2f} |",
            flush=True,
        )
    os.sched_setaffinity(0, allowed)


def parts(paths: Sequence[Path]) -> None:
    """Print what decoding, analyses and the rest of a row take of a clip."""
    fast = MeasurementSettings(engine="fast")
    engine = load_engine("fast")
    clips = {path: decode(path) for path in paths}
    procedures: dict[str, Callable[[Path], object]] = {
        "whole": lambda path: measure_speech(_row(path), fast),
        "decoding": decode,
        "analyses": lambda path: analyse(clips[path], fast.groups, engine),
    }
    whole, decoding, analyses = (1000 * cost / len(paths) for cost in cpu_seconds(procedures, paths).values())
    print(
        f"\nA clip by our default, fast engine, CPU time: decoding {decoding:.2f} ms, analyses {analyses:.2f} ms, "
        f"the rest of the row {whole - decoding - analyses:.2f} ms"
    )


def _at_rate(path: Path, rate: int) -> Path:
    """The clip at another sampling rate, in a folder beside it."""
    other = path.parent / str(rate) / path.name
    other.parent.mkdir(exist_ok=True)
    samples, own = soundfile.read(path)
    soundfile.write(other, np.clip(resample_poly(samples, rate, own), -1, 1), rate)
    return other


def two_cores(paths: Sequence[Path]) -> None:
    """Print wall time with two processes, start of the workers included; the best of ``ROUNDS`` for both."""
    print(f"\nWall time, two processes, {len(paths)} clips:\n")
    print("| procedure | s | times faster |\n|---|---:|---:|")
    literal, ours = [], []
    for i in range(ROUNDS):
        literal.append(_wall_seconds(lambda: _literal_in_pool(paths)))
        rows = [{"utterance_id": f"{i}-{path.stem}", **_row(path)} for path in paths]
        dataset = Dataset.from_list(rows)
        ours.append(_wall_seconds(lambda dataset=dataset: measure_dataset(dataset, num_proc=2)))
    print(f"| literal procedure, multiprocessing.Pool(2) | {min(literal):.1f} | 1.00 |")
    print(
        f"| measure_dataset(num_proc=2), our default | {min(ours):.1f} | {min(literal) / min(ours):.2f} |", flush=True
    )


def threads(paths: Sequence[Path]) -> None:
    """Print wall time of the fast engine in one process by one thread and by two; the best of ``ROUNDS`` for both."""
    print(f"\nWall time of the fast engine in one process, {len(paths)} clips:\n")
    print("| procedure | threads | s | times faster |\n|---|---:|---:|---:|")
    for name, settings in {"the paper's eight": PAPER, "our default": MeasurementSettings()}.items():
        fast = replace(settings, engine="fast")
        alone = None
        for count in (1, 2):
            with ThreadPoolExecutor(count) as pool:
                work = partial(_in_pool, pool, paths, fast)
                seconds = min(_wall_seconds(work) for _ in range(ROUNDS))
            alone = alone or seconds
            print(f"| {name} | {count} | {seconds:.2f} | {alone / seconds:.2f} |", flush=True)


def _in_pool(pool: ThreadPoolExecutor, paths: Sequence[Path], settings: MeasurementSettings) -> None:
    list(pool.map(lambda path: measure_speech(_row(path), settings), paths))


def memory(folder: Path, counts: Sequence[int]) -> None:
    """Print the peak memory of a process of its own for each number of clips."""
    print(
        "\nPeak memory of one process, clips read from disk, MB:\n\n| clips | Praat | fast engine |\n|---:|---:|---:|"
    )
    for count in counts:
        command = [sys.executable, __file__, "--clips", str(folder), "--peak", str(count)]
        found = [
            subprocess.run([*command, engine], check=True, capture_output=True, text=True).stdout.strip()
            for engine in ("praat", "fast")
        ]
        print(f"| {count} | {' | '.join(found)} |")


def peak(folder: Path, count: int, engine: str) -> None:
    """Measure ``count`` clips (repeated where there are fewer) and print this process's peak memory in MB."""
    paths = sorted(folder.glob("*.wav"))
    rows = [{"utterance_id": str(i), **_row(paths[i % len(paths)])} for i in range(count)]
    measure_dataset(Dataset.from_list(rows), MeasurementSettings(engine=engine))
    # Not by getrusage, which counts what the process that started this one held.
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    print(int(line.split()[1]) // 1024)


def _wall_seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _literal_in_pool(paths: Sequence[Path]) -> None:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pool.map(literal_praat.measure, paths, chunksize=8)


def _opensmile() -> dict[str, Callable[[Path], object]]:
    try:
        import opensmile
    except ImportError:
        return {}
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals, num_workers=1)
    return {"openSMILE eGeMAPSv02": lambda path: smile.process_file(str(path))}


def _swift_f0() -> dict[str, Callable[[Path], object]]:
    try:
        from swift_f0 import SwiftF0
    except ImportError:
        return {}
    detector = SwiftF0(threads=1)
    return {"swift-f0, F0 alone": lambda path: detector.detect(*soundfile.read(path, dtype="float32"))}


def _world() -> dict[str, Callable[[Path], object]]:
    try:
        import pyworld
    except ImportError:
        return {}

    def dio(path: Path) -> object:
        samples, rate = soundfile.read(path)
        return pyworld.stonemask(samples, *pyworld.dio(samples, rate), rate)

    return {
        "WORLD DIO and StoneMask, F0 alone": dio,
        "WORLD Harvest, F0 alone": lambda path: pyworld.harvest(*soundfile.read(path)),
    }


def _row(path: Path) -> dict[str, dict[str, object]]:
    return {"audio": {"path": str(path), "bytes": None}}


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--count", type=int, default=60, help="clips for the figures of one core")
    parser.add_argument(
        "--parallel", type=int, default=400, help="clips for the figures of two cores and of memory; 0 without"
    )
    parser.add_argument("--clips", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    disable_progress_bars()
    if arguments.peak:
        count, engine = arguments.peak
        peak(arguments.clips, int(count), engine)
        return
    with tempfile.TemporaryDirectory() as folder:
        paths = make_clips(max(arguments.count, arguments.parallel), Path(folder))
        one_core(paths[: arguments.count])
        if arguments.parallel:
            two_cores(paths[: arguments.parallel])
            memory(Path(folder), (250, 1000))
            threads(paths[: arguments.parallel])
        rates(paths[: arguments.count])
        parts(paths[: arguments.count])


if __name__ == "__main__":
    with recorded("measure"):
        main()
