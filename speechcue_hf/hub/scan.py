"""The last look at what goes out: no token, no user name and no path of this machine in any file."""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from speechcue_hf.errors import PublishingError
from speechcue_hf.hub.reading import readings, texts_of_file

_TOKEN = re.compile(
    r"(?<![A-Za-z0-9])(?:hf_[A-Za-z0-9]{30,}|api_org_[A-Za-z0-9]{30,}|sk-[A-Za-z0-9_-]{20,}|github_pat_\w{40,}"
    r"|gh[a-z]_[A-Za-z0-9]{30,}|npm_[A-Za-z0-9]{36}|AIza[\w-]{35}|ya29\.[\w-]{20,}|GOCSPX-[\w-]{20,}"
    r"|xox[a-z]-[A-Za-z0-9-]{16,}|nvapi-[\w-]{40,}|gsk_[A-Za-z0-9]{40,}|r8_[A-Za-z0-9]{30,}|dckr_pat_[\w-]{20,}"
    r"|(?:Bearer|Basic)\s+[A-Za-z0-9._~+/-]{20,}=*)"
)
"""Of what this package's users hold and detect-secrets does not know, or knows in an older form only."""

_HOME = re.compile(
    r"(?<![\w.-])(?:/(?:home|Users|root)/+|\\\\[\w.-]+\\|[A-Za-z]:[\\/]+Users[\\/]+"
    r"|/(?:scratch|gpfs|lustre|mnt|media|private/var|var/folders)/+[\w.-]+/+)[\w.-]+"
)
"""Homes, disks and shares of any system; in an address they stand after a host, and are no path."""

_SHORTEST_NAME = 5
"""Of a user name that is looked for; ``root`` or ``ann`` stand in ordinary text."""

_SHORTEST_SECRET = 12
_SECRET_VARIABLE = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|_KEY$|APIKEY")
_NOT_ASKED = frozenset({"IPPublicDetector", "ArtifactoryDetector", "Base64HighEntropyString", "HexHighEntropyString"})
"""Detectors that take words of a vocabulary, version numbers and fingerprints for secrets."""

_BY_NAME = frozenset(
    {"CloudantDetector", "IbmCloudIamDetector", "IbmCosHmacDetector", "KeywordDetector", "SoftlayerDetector"}
)
_NAMED = re.compile(
    r"(?:key|pass\w{0,8}|pwd|pw|token|secret\w{0,12}|contrase\w{0,4})[\"'\])]*\s{0,9}(?::=|=>|=|:)\s{0,9}(?=[\"'a-z]|\w{16})",
    re.IGNORECASE,
)
"""Slow detectors are asked only where a name of a secret is given a value."""

_WINDOW, _OVERLAP = 1 << 16, 1 << 10
"""Characters searched at a time, and of which two windows share."""


def check_files(files: Sequence[Path], folders: Sequence[Path] = ()) -> None:
    """Refuse files that tell of this machine or of its user.

    Looked into are texts of any encoding, Parquet row by row with its names and metadata, and the metadata of pictures
    and weights; each as it stands, and as it reads unescaped, out of base64, and without what nobody sees.

    Args:
        files: What is to be uploaded.
        folders: Folders of this machine whose path must not appear, beside home and the working folder.

    Raises:
        PublishingError: If a file holds a token or another secret, the user's name or a local path, or is not what its
            name says; it names the file, the place in it and what was found, but never shows a secret.
    """
    patterns = [("a path of this machine", _HOME), *_local(folders)]
    own = _own_secrets()
    for path in files:
        for place, text in texts_of_file(path):
            where = f"{path.name}, {place}," if place else path.name
            for reading in readings(text):
                for part in _windows(reading):
                    _check_text(part, where, patterns, own)


def _check_text(
    text: str, where: str, patterns: Sequence[tuple[str, re.Pattern[str]]], own: Sequence[tuple[str, str]]
) -> None:
    secret = next((name for name, value in own if value in text), None)
    if secret is not None:
        raise PublishingError(f"{where} holds the value of {secret} on this machine: take it out of the file")
    if _TOKEN.search(text):
        raise PublishingError(f"{where} holds an access token: revoke it, and take it out of the file")
    if kind := _secret_of_library(text):
        raise PublishingError(f"{where} holds a secret ({kind}): revoke it, and take it out of the file")
    for what, pattern in patterns:
        if found := pattern.search(text):
            raise PublishingError(
                f"{where} holds {what} ({found[0]!r}): take it out, or make the file again with the command that wrote "
                "it"
            )


@cache
def _detectors() -> list[Any]:
    """Those of detect-secrets that know a secret by its form, or by the name that it is given."""
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    kinds: Any = get_mapping_from_secret_type_to_class().values()
    return [kind() for kind in kinds if kind.__name__ not in _NOT_ASKED]


def _secret_of_library(text: str) -> str | None:
    """The kind of secret that detect-secrets finds in a text."""
    named = _NAMED.search(text)
    for detector in _detectors():
        if (named or type(detector).__name__ not in _BY_NAME) and next(iter(detector.analyze_string(text)), None):
            return str(detector.secret_type)
    return None


def _own_secrets() -> list[tuple[str, str]]:
    """The secrets of this machine's user, whatever their form: name → value."""
    from huggingface_hub import get_token

    held = [(name, value) for name, value in os.environ.items() if _SECRET_VARIABLE.search(name.upper())]
    return [
        (name, value) for name, value in [*held, ("hf auth login", get_token() or "")] if len(value) >= _SHORTEST_SECRET
    ]


def _local(folders: Sequence[Path]) -> Iterator[tuple[str, re.Pattern[str]]]:
    """What is looked for on this machine in particular."""
    for folder in {Path.home(), Path.cwd(), *(path.absolute() for path in folders)}:
        if len(folder.parts) > 1:
            yield "a path of this machine", re.compile(re.escape(str(folder)) + r"(?![\w.-])")
    user = getpass.getuser()
    if len(user) >= _SHORTEST_NAME:
        yield "the name of this machine's user", re.compile(rf"\b{re.escape(user)}\b")


def _windows(text: str) -> Iterator[str]:
    """A text in parts that no pattern takes long for; what lies across a border is whole in one of them."""
    for start in range(0, max(1, len(text) - _OVERLAP), _WINDOW - _OVERLAP):
        yield text[start : start + _WINDOW]
