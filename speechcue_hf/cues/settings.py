"""What can be measured in a clip, and the choice of what is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from speechcue_hf import __version__
from speechcue_hf.cues.engines import ENGINES, EngineName
from speechcue_hf.cues.table import ALWAYS, PAPER_CUES, columns_of, groups, measurement_columns
from speechcue_hf.records import MEASUREMENT_FILE, Record

PAPER_COLUMNS = tuple(cue.column for cue in PAPER_CUES)
"""The eight numbers of SpeechCueLLM, in the order of its published files."""

_PRESET_GROUPS = {
    "default": ("loudness", "pitch", "rhythm", "voice_quality", "recording", "turn_taking"),
    "speechcuellm": ("loudness", "pitch", "rhythm", "hnr"),
}


@dataclass(frozen=True)
class MeasurementSettings(Record):
    """Which procedure measures, and which groups of measurements it makes.

    Attributes:
        groups: Of :func:`speechcue_hf.cues.table.groups`. Harmonicity (``hnr``) costs more than all else together and
            is off by default, as are the groups of cues that programs add.
        preset: ``default`` (see ``speechcue_hf.cues.analysis``) or ``speechcuellm``, the paper's procedure
            (see ``speechcue_hf.cues.speechcuellm``), which knows its eight numbers only.
        release: The release of this package that measures; the datasets cache does not reuse what another one measured.
        engine: Who analyses: ``praat``; ``fast``, kernels that give Praat's numbers in less time (extra ``fast``); or
            ``torch``, tensors that give them, on a GPU where there is one (extra ``train``). Levels and words are the
            same, so that all may be mixed.
        published: SHA-256 of the files that the numbers were taken from; empty where clips were measured here.

    Raises:
        ValueError: If the preset, a group or the engine is unknown.

    Example:
        >>> MeasurementSettings(groups=("loudness",)).columns
        ('duration_s', 'intensity_mean_db', 'intensity_sd_db')
    """

    groups: tuple[str, ...] = _PRESET_GROUPS["default"]
    preset: str = "default"
    release: str = __version__
    published: tuple[str, ...] = ()
    engine: EngineName = "praat"

    FILE: ClassVar[str] = MEASUREMENT_FILE
    FIX: ClassVar[str] = "measure again with `speechcue measure`"

    def __post_init__(self) -> None:
        if self.preset not in _PRESET_GROUPS:
            raise ValueError(f"preset {self.preset!r} is unknown; the presets are {', '.join(_PRESET_GROUPS)}")
        if self.engine not in ENGINES:
            raise ValueError(f"engine {self.engine!r} is unknown; the engines are {', '.join(ENGINES)}")
        known = tuple(groups()) if self.preset == "default" else _PRESET_GROUPS[self.preset]
        for group in self.groups:
            if group not in known:
                raise ValueError(f"preset {self.preset!r} has no group {group!r}; its groups are {', '.join(known)}")

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> MeasurementSettings:
        """Make settings of the values of their file, which names all of them; what this release does is no default."""
        for name in ("groups", "preset", "release"):
            if name not in values:
                raise KeyError(name)
        return super().from_values(values)

    @classmethod
    def speechcuellm(cls) -> MeasurementSettings:
        """The eight numbers of SpeechCueLLM (NAACL 2025 Findings), exactly as the paper measured them."""
        return cls(groups=_PRESET_GROUPS["speechcuellm"], preset="speechcuellm")

    @property
    def columns(self) -> tuple[str, ...]:
        """The measurement columns that these settings fill, in their order."""
        chosen = {*columns_of(group=ALWAYS)}.union(*(groups()[group] for group in self.groups))
        known = measurement_columns() if self.preset == "default" else PAPER_COLUMNS
        return tuple(column for column in known if column in chosen)
