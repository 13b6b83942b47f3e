"""Faults of the Hub while something is published: whole or not at all, and the same command again ends it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random

import pytest

from tests.campaign.commands import speechcue
from tests.campaign.fault import Fault
from tests.campaign.surroundings import HUB
from tests.hub.hub_server import TOKEN
from tests.hub.hub_server import Fault as HubFault

Attempt = Callable[[Random, Path], Iterator[str]]

FROZEN = Path(__file__).parents[1] / "upgrade" / "0.1.0"
PLACES = [
    ("GET", "whoami"),
    ("POST", "/api/repos/create"),
    ("POST", "validate-yaml"),
    ("POST", "/preupload/"),
    ("POST", "/info/lfs/"),
    ("PUT", "/lfs/"),
    ("POST", "/commit/"),
    ("GET", "/api/(models|datasets)/"),
    ("GET", "/tree/"),
    ("GET", "/resolve/"),
    ("HEAD", "/resolve/"),
    ("POST", "/paths-info/"),
    ("GET", "/refs"),
]
STATUSES = (400, 401, 403, 404, 408, 409, 412, 413, 422, 429, 500, 502, 503, 504)
BODIES = (
    {},
    {"error": None},
    {"error": "x" * 5000},
    {"error": {"a": []}},
    {"files": None},
    {"objects": []},
    {"sha": 3},
)
LINES = {
    "dataset": ["publish", "dataset", "data", "--repo-id", "tester/out", "--prompt", "speechcue"],
    "model": ["publish", "model", "run", "--repo-id", "tester/out", "--licence", "apache-2.0"],
}


def ready(folder: Path) -> Attempt:
    """Waits are short, and what is published without a fault is known."""
    patch = pytest.MonkeyPatch()
    patch.setattr("time.sleep", lambda seconds: None)
    # The scan has a kind of cases of its own, and would take most of the time here.
    patch.setattr("speechcue_hf.hub.publish_dataset.check_files", lambda *files, **options: None)
    patch.setattr("speechcue_hf.hub.publish_model.check_files", lambda *files, **options: None)
    whole = {}
    for kind in LINES:
        work = folder / kind
        work.mkdir(parents=True)
        given(work)
        said = published(work, kind)
        assert said.code == 0, said
        whole[kind] = HUB.files(kind, "tester/out")
    return partial(attempt, whole)


def given(folder: Path) -> None:
    shutil.copytree(FROZEN / "data" / "described", folder / "data")
    shutil.copytree(FROZEN / "runs" / "encoders" / "seed-1", folder / "run")


def published(folder: Path, kind: str):
    before = os.getcwd()
    os.chdir(folder)
    try:
        return speechcue(*LINES[kind])
    finally:
        os.chdir(before)


def attempt(whole: dict[str, dict[str, bytes]], random: Random, folder: Path) -> Iterator[str]:
    """Faults, then the same again without."""
    given(folder)
    HUB.clear()
    kind = random.choice([*LINES])
    for _ in range(random.choice([1, 1, 2, 4])):
        fault = drawn(random)
        HUB.faults.append(fault)
        cut = "cut" if fault.cut else f"{fault.status}{', done' if fault.late else ''}"
        yield f"{kind}: {fault.method} {fault.path} {cut}, {fault.times} times"
    first = published(folder, kind)
    if TOKEN in first.text:
        raise Fault("leak", "the token is told")
    HUB.faults.clear()
    if first.code == 0:
        check(whole[kind], kind)
    elif (kind, "tester/out") in HUB.repositories:
        # The answer to the last request may have been lost, with all of it done.
        there = set(HUB.files(kind, "tester/out"))
        if there and there != set(whole[kind]):
            raise Fault("lost row", f"a part was published: {sorted(there)}")
    second = published(folder, kind)
    if second.code:
        raise Fault("lost row", f"without faults it fails: {second.text}")
    check(whole[kind], kind)


def drawn(random: Random) -> HubFault:
    method, path = random.choice(PLACES)
    times, body = random.choice([1, 2, 20]), random.choice(BODIES)
    if random.random() < 0.25:
        return HubFault(method, path, times=min(times, 2), cut=True)
    headers = random.choice([{}, {"Retry-After": "86400"}, {"Retry-After": "x"}, {"RateLimit": '"api";r=0;t=99999'}])
    return HubFault(method, path, random.choice(STATUSES), times, headers, body, late=random.random() < 0.3)


def check(whole: dict[str, bytes], kind: str) -> None:
    """All files are there, with what is in them.

    Raises:
        Fault: If not.
    """
    there = HUB.files(kind, "tester/out")
    if differing := sorted(name for name in {*whole, *there} if whole.get(name) != there.get(name)):
        raise Fault("lost row", f"these files differ from what is published without faults: {differing}")
