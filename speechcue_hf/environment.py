"""What this machine has installed, what is wrong with it, and what to do about it."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

LIBRARIES = (
    "speechcue_hf",
    "datasets",
    "transformers",
    "trl",
    "peft",
    "accelerate",
    "torch",
    "torchaudio",
    "huggingface-hub",
    "praat-parselmouth",
    "soundfile",
    "av",
    "numpy",
    "scipy",
    "scikit-learn",
)
SPACE_NEEDED = 5 * 10**9
"""Bytes: MELD's cached rows and an 8-billion-parameter adapter run with some checkpoints fit in it."""


@dataclass(frozen=True)
class Finding:
    """What was found of one thing that was looked at, and what to do; a note stops nothing, a problem something."""

    state: Literal["ok", "note", "problem"]
    what: str
    fix: str = ""


def library_versions() -> dict[str, str]:
    """Versions of Python and of the installed libraries whose version can change a result."""
    installed = {name: version(name) for name in LIBRARIES if _is_installed(name)}
    return {"python": platform.python_version(), **installed}


def examine() -> list[Finding]:
    """Look at everything that has stopped a run before."""
    from huggingface_hub import constants, get_token

    return [
        python_finding(sys.version_info[:2]),
        torchaudio_finding(library_versions()),
        *(extra_finding(name) for name in ("train", "bio", "audio-model")),
        token_finding(get_token()),
        space_finding(Path(constants.HF_HOME)),
    ]


def python_finding(running: tuple[int, int]) -> Finding:
    """Whether the running Python, by its major and minor version, is one that the package is tested on."""
    if (3, 10) <= running <= (3, 13):
        return Finding("ok", f"Python {running[0]}.{running[1]}")
    return Finding("problem", f"Python {running[0]}.{running[1]} is not supported", "use Python 3.10 to 3.13")


def torchaudio_finding(versions: dict[str, str]) -> Finding:
    """Whether torchaudio, if it is there, works with torch: transformers fails to import with one that does not."""
    if "torchaudio" not in versions:
        return Finding("ok", "torchaudio is not installed (only augmentation needs it)")
    pair = f"torchaudio {versions['torchaudio']} with torch {versions.get('torch', '(none)')}"
    attempt = subprocess.run([sys.executable, "-c", "import torchaudio"], capture_output=True, text=True, check=False)
    if attempt.returncode == 0:
        return Finding("ok", pair)
    reason = attempt.stderr.strip().splitlines()[-1] if attempt.stderr.strip() else "no message"
    return Finding(
        "problem",
        f"{pair} does not import ({reason}); transformers, peft and trl fail with it",
        "pip uninstall torchaudio, or install the matched pair: pip install 'speechcue_hf[torchaudio]'",
    )


def extra_finding(extra: str) -> Finding:
    """Whether all packages of an extra, such as ``train``, are installed."""
    missing = [name for name in extra_requirements(extra) if not _is_installed(name)]
    if not missing:
        return Finding("ok", f"extra [{extra}] is complete")
    return Finding("note", f"extra [{extra}] lacks {', '.join(missing)}", f"pip install 'speechcue_hf[{extra}]'")


def extra_requirements(extra: str | None) -> list[str]:
    """Names of the distributions that an extra of this package asks for, or that all of it does (None)."""
    marked = re.compile(rf"extra\s*==\s*['\"]{re.escape(extra)}['\"]" if extra else r"^(?!.*\bextra\s*==)")
    return [re.split(r"[^\w.-]", line)[0] for line in requires("speechcue_hf") or [] if marked.search(line)]


def token_finding(token: str | None) -> Finding:
    """Whether there is a Hugging Face token; the token itself is never shown."""
    if token:
        return Finding("ok", "a Hugging Face token is set")
    return Finding("note", "no Hugging Face token: gated models and uploads will be refused", "hf auth login")


def space_finding(folder: Path) -> Finding:
    """Whether the disk of the Hugging Face cache, or of the nearest folder above it that exists, has room."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free >= SPACE_NEEDED:
        return Finding("ok", f"{free / 1e9:.0f} GB free for the Hugging Face cache")
    return Finding(
        "problem",
        f"only {free / 1e9:.1f} GB free for the Hugging Face cache",
        "set HF_HOME to a disk with room, or clear it with `hf cache prune`",
    )


def _is_installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True
