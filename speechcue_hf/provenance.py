"""How the rows of a dataset folder were made, and whether a model may be asked about rows made like that."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speechcue_hf.cues.describe import SpeechDescriber
from speechcue_hf.errors import EvaluationError
from speechcue_hf.records import (
    BIOGRAPHIES_FILE,
    DESCRIBER_FILE,
    DISTRIBUTIONS_FILE,
    BiographiesRecord,
    Shown,
    beside,
    find_record,
)


@dataclass(frozen=True)
class Provenance:
    """How rows were made.

    Args:
        folder: The dataset folder; None for rows of which nothing is known.
        describer_sha256: Fingerprint of the describer that worded them.
        biographies: How their biographies were made.
    """

    folder: Path | None = None
    describer_sha256: str | None = None
    biographies: BiographiesRecord | None = None

    @classmethod
    def of(cls, folder: Path) -> Provenance:
        """Read what lies beside the rows of a dataset folder, or of a file of rows."""
        describer = find_record(SpeechDescriber, folder)
        fingerprint = None if describer is None else describer.fingerprint
        return cls(beside(folder), fingerprint, find_record(BiographiesRecord, folder))

    @property
    def shown(self) -> dict[str, Any]:
        """What the records of training and evaluation say of it: values of :class:`speechcue_hf.records.Shown`."""
        return {
            "describer_sha256": self.describer_sha256,
            "biographies": self.biographies and self.biographies.shaping,
            "biographies_sha256": self.biographies and self.biographies.fingerprint,
        }

    def copy_beside(self, model: Path) -> None:
        """Put the records beside a model that was trained on the rows, and the picture of the thresholds."""
        for name in (DESCRIBER_FILE, DISTRIBUTIONS_FILE, BIOGRAPHIES_FILE):
            if self.folder is not None and (self.folder / name).is_file():
                shutil.copyfile(self.folder / name, model / name)


NOT_KNOWN = Provenance()
"""Of rows that come from no dataset folder."""


def check_alike(trained: Shown, found: Mapping[str, Any], *, described: bool, biographies: bool) -> None:
    """Refuse rows that were made otherwise than those of a model's training.

    Args:
        trained: The record of the training.
        found: :attr:`Provenance.shown` of the rows, and the ``biography_scope`` of what the model is shown of them.
        described: Whether the model reads descriptions.
        biographies: Whether it reads biographies.

    Raises:
        EvaluationError: If describer or biographies differ; the message names both.
    """
    if described and trained.describer_sha256 != found["describer_sha256"]:
        raise EvaluationError(
            f"The model was trained on speech worded by describer {_short(trained.describer_sha256)}, this dataset was "
            f"worded by {_short(found['describer_sha256'])}. Describe it with the describer.json beside the model."
        )
    if biographies:
        _check_biographies(trained.biographies or {}, found["biographies"] or {})
        _check_biographies({"scope": trained.biography_scope}, {"scope": found["biography_scope"]})


def _check_biographies(trained: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    for name in sorted({*trained, *found}):
        if trained.get(name) != found.get(name):
            raise EvaluationError(
                f"The model was trained on biographies with {name} {trained.get(name)}, those of this dataset have "
                f"{found.get(name)}. Write them with `speechcue biographies` as biographies.json beside the model says."
            )


def _short(sha256: str | None) -> str:
    return "none" if sha256 is None else sha256[:12]
