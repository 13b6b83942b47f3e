"""The most memory that ``speechcue prepare`` holds while it reads one long video.

    python benchmarks/memory.py

A video of one hour (AAC at 48 kHz in two channels beside a small picture, mp4) is made, and prepared by a process of
its own. What it printed stands in ``memory.md``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
from figures import recorded

RATE = 48_000


def main() -> None:
    """Make the video, prepare it, print a row."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--minutes", type=int, default=60)
    minutes = parser.parse_args().minutes
    with TemporaryDirectory() as folder:
        clips = Path(folder) / "clips"
        clips.mkdir()
        write_video(clips / "talk.mp4", minutes)
        (clips / "metadata.csv").write_text("file_name,text\ntalk.mp4,A long talk.\n", encoding="utf-8")
        memory, seconds = prepared(clips, Path(folder) / "prepared")
        size = (clips / "talk.mp4").stat().st_size / 1e6
    print("| minutes of mp4 | file, MB | most memory, MB | CPU, s |\n|---:|---:|---:|---:|")
    print(f"| {minutes} | {size:.0f} | {memory:.0f} | {seconds:.0f} |")


def write_video(path: Path, minutes: int) -> None:
    """Noise that swells and fades like syllables, four times a second, beside a picture a second."""
    random = np.random.default_rng(0)
    swell = np.abs(np.sin(2 * np.pi * 2 * np.arange(RATE) / RATE))
    with av.open(str(path), "w") as video:
        picture, sound = video.add_stream("mpeg4", rate=1), video.add_stream("aac", rate=RATE, layout="stereo")
        picture.width = picture.height = 64
        for _ in range(60 * minutes):
            grey = np.full((64, 64, 3), 128, dtype=np.uint8)
            video.mux(picture.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
            noise = (0.1 * swell * random.standard_normal((2, RATE))).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(noise, format="fltp", layout="stereo")
            frame.sample_rate = RATE
            video.mux(sound.encode(frame))
        video.mux(picture.encode(None))
        video.mux(sound.encode(None))


def prepared(clips: Path, output: Path) -> tuple[float, float]:
    """Prepare a folder; the most memory of the process in MB and its CPU time in s."""
    line = [sys.executable, "-m", "speechcue_hf.cli", "prepare", "folder", "--data-dir", str(clips), "-o", str(output)]
    environment = {**os.environ, "HF_DATASETS_CACHE": str(output.parent / "cache")}
    process = subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"prepare ended with {os.waitstatus_to_exitcode(status)}")
    return usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    with recorded("memory"):
        main()
