"""Size of reports, time to write them, and time until a browser shows them.

    SPEECHCUE_CORPORA=/path/to/corpora python benchmarks/report.py [--browser /usr/bin/chromium]

Two reports: MELD's 13,708 turns with the published measurements in words (the folder must hold ``meld/*_sent_emo.csv``
and ``meld/*_audio_features.csv``; no clips), and the demo corpus with sound. ``--browser`` needs Playwright
(``pip install playwright``), which drives the browser that is named; "opens" is from the navigation until the first
turns can be used, "next page" from the click until the next 25 turns are drawn: CPU time of the page's main thread, and
time on the clock, which depends on what else the machine does. "Scrolling" is the CPU time of the main thread for one
step of a mouse wheel, of which a smooth screen shows one every 16 ms.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from datasets import DatasetDict, disable_progress_bars, load_dataset
from figures import recorded

from speechcue_hf import SpeechDescriber, describe_dataset, measure_dataset, write_dataset
from speechcue_hf.corpora.joining import put_beside
from speechcue_hf.cues.published import join_measurements
from speechcue_hf.report.build import write_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession, Page

REPEATS = 5
WHEEL_STEPS, STEP_PIXELS = 40, 100


def meld() -> DatasetDict:
    """Text and labels of the release beside the published measurements, described."""
    folder = Path(os.environ["SPEECHCUE_CORPORA"]) / "meld"
    release = load_dataset("speechcue/meld", data_dir=str(folder), verify=False)
    measured = join_measurements(release, sorted(folder.glob("*_audio_features.csv")))
    return describe_dataset(measured, SpeechDescriber.fit(measured["train"]))


def demo() -> DatasetDict:
    """The demo corpus, described, with its clips."""
    dataset = load_dataset("speechcue/demo")
    measured = measure_dataset(dataset)
    described = describe_dataset(measured, SpeechDescriber.fit(measured["train"]))
    return DatasetDict(
        {split: put_beside(rows, dataset[split].select_columns("audio")) for split, rows in described.items()}
    )


def opening(page: Path, browser: str) -> list[str]:
    """Medians: until the page can be used, until its second page of turns is there, and of a step of scrolling."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        times = list(_times(started, page))
        started.close()
    *seconds, step = (median(column) for column in zip(*times, strict=True))
    return [*(f"{value:.2f} s" for value in seconds), f"{1000 * step:.1f} ms"]


def _times(browser: Browser, path: Path) -> Iterator[tuple[float, ...]]:
    for _ in range(REPEATS):
        page = browser.new_page()
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        start = time.perf_counter()
        page.goto(path.as_uri())
        page.wait_for_selector(".turn")
        opened, busy = time.perf_counter() - start, _busy(session)
        start = time.perf_counter()
        page.locator(".next").first.click()
        page.locator(".where", has_text="page 2 of").first.wait_for()
        turned, turned_busy = time.perf_counter() - start, _busy(session)
        yield busy, opened, turned_busy - busy, turned, _scrolling(page, session)
        page.close()


def _scrolling(page: Page, session: CDPSession) -> float:
    """CPU seconds of the main thread for a step of a mouse wheel."""
    page.mouse.move(300, 300)
    before = _busy(session)
    for _ in range(WHEEL_STEPS):
        page.mouse.wheel(0, STEP_PIXELS)
        page.wait_for_timeout(16)
    return (_busy(session) - before) / WHEEL_STEPS


def _busy(session: CDPSession) -> float:
    """CPU seconds of the page's main thread so far."""
    [metric] = [it for it in session.send("Performance.getMetrics")["metrics"] if it["name"] == "TaskDuration"]
    return metric["value"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--browser", help="a Chromium that Playwright drives")
    parser.add_argument("-o", "--output", type=Path, help="keep the reports in this folder")
    arguments = parser.parse_args()
    if "SPEECHCUE_CORPORA" not in os.environ:
        sys.exit("set SPEECHCUE_CORPORA to the folder that holds meld/")
    disable_progress_bars()
    print(f"Load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.\n")
    print(
        "| report | turns | clips | size | written (CPU s) | opens: CPU | clock | next page: CPU | clock | scrolling |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for name, made in (("MELD, text and published measurements", meld), ("demo corpus, with sound", demo)):
            data, page = Path(folder) / made.__name__, (arguments.output or Path(folder)) / f"{made.__name__}.html"
            write_dataset(made(), data)
            start = time.process_time()
            said = write_report([data], page)
            written = time.process_time() - start
            times = opening(page, arguments.browser) if arguments.browser else ["–"] * 5
            figures = [f"{said['turns']:,}", said["clips"], f"{said['megabytes']:.1f} MB", f"{written:.1f}", *times]
            print(f"| {' | '.join(map(str, [name, *figures]))} |")


if __name__ == "__main__":
    with recorded("report"):
        main()
