"""Who speaks when, by a model of pyannote.audio, which is installed and imported only where it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from speechcue_hf.errors import TranscriptionError
from speechcue_hf.transcription.turns import SpokenTurn
from speechcue_hf.transcription.voice_activity import RATE, samples_of

Diariser = Callable[[Path], list[SpokenTurn]]
"""Gives the turns of a recording, without text; speakers are told apart within it."""


def load_diariser(model: str | Path, revision: str | None = None) -> Diariser:
    """Load a diariser, onto the GPU where there is one.

    Its weights may be files that run code as they are read: take models from people you trust.

    Args:
        model: Hub id, such as ``pyannote/speaker-diarization-community-1``, or folder.
        revision: Branch, tag or commit on the Hub.

    Raises:
        TranscriptionError: If pyannote.audio is not installed, or there is no such model or no leave to read it.
    """
    try:
        from pyannote.audio import Pipeline
    except ImportError as error:
        raise TranscriptionError(
            "telling speakers apart needs pyannote.audio, which is not installed: pip install 'speechcue_hf[diarise]'"
        ) from error
    import torch

    pipeline = Pipeline.from_pretrained(str(model), revision=revision)
    if pipeline is None:
        raise TranscriptionError(
            f"{model} cannot be read: accept its conditions on the Hub, and log in (hf auth login)"
        )
    if torch.cuda.is_available():
        pipeline.to(torch.device("cuda"))

    def diarise(recording: Path) -> list[SpokenTurn]:
        waveform = torch.from_numpy(samples_of(recording))[None]
        return _turns(pipeline({"waveform": waveform, "sample_rate": RATE}))

    return diarise


def _turns(found: Any) -> list[SpokenTurn]:
    """Turns of what a pipeline gives: from version 4 on the annotation is a part of it."""
    annotation = getattr(found, "speaker_diarization", found)
    return [
        SpokenTurn(round(segment.start, 3), round(segment.end, 3), speaker=str(speaker))
        for segment, _, speaker in annotation.itertracks(yield_label=True)
    ]
