"""The source distribution holds all that is tracked, and the wheel that is built from it all that the package reads."""

from __future__ import annotations

import email
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

import speechcue_hf

ROOT = Path(__file__).parents[1]
VERSION = speechcue_hf.__version__
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / ".git").exists(), reason="only a clone knows which files are tracked"),
]


def tracked() -> set[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with both, the wheel built from the source distribution."""
    copy, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in tracked():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target), str(copy)]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    return target


def test_the_source_distribution_holds_what_is_tracked(built: Path) -> None:
    with tarfile.open(built / f"speechcue_hf-{VERSION}.tar.gz") as archive:
        held = {str(PurePosixPath(*PurePosixPath(it.name).parts[1:])) for it in archive if it.isfile()}
    assert tracked() - held == {".gitignore"}


def test_the_wheel_holds_the_package_and_nothing_else(built: Path) -> None:
    with zipfile.ZipFile(built / f"speechcue_hf-{VERSION}-py3-none-any.whl") as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == {name for name in tracked() if name.startswith("speechcue_hf/") and not name.endswith(".gitignore")}


def test_the_metadata_says_where_to_read_on(built: Path) -> None:
    with zipfile.ZipFile(built / f"speechcue_hf-{VERSION}-py3-none-any.whl") as wheel:
        metadata = email.message_from_bytes(wheel.read(f"speechcue_hf-{VERSION}.dist-info/METADATA"))
    assert {line.split(",")[0] for line in metadata.get_all("Project-URL")} >= {"Documentation", "Source", "Changes"}
    assert metadata["License-Expression"] == "Apache-2.0" and metadata["Keywords"]


def test_one_version_is_named_everywhere() -> None:
    assert f"\nversion: {VERSION}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## {VERSION} (" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
