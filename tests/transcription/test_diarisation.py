import sys
import types
from typing import NamedTuple

import pytest
import soundfile
import torch

from speechcue_hf.errors import TranscriptionError
from speechcue_hf.transcription.diarisation import load_diariser
from tests.transcription.spoken import RATE, recording


class Segment(NamedTuple):
    start: float
    end: float


class Annotation:
    def itertracks(self, yield_label):
        assert yield_label
        yield Segment(0.5, 2.0004), "A", "SPEAKER_00"
        yield Segment(1.5, 3.0), "B", "SPEAKER_01"


def pyannote(monkeypatch, result, known=True):
    """A module with the one class of pyannote.audio that is used here, as its documentation has it."""
    given = []

    class Pipeline:
        @classmethod
        def from_pretrained(cls, checkpoint, revision=None):
            given.append((checkpoint, revision))
            return cls() if known else None

        def __call__(self, file):
            given.append(file)
            return result

    module = types.ModuleType("pyannote.audio")
    module.Pipeline = Pipeline
    monkeypatch.setitem(sys.modules, "pyannote", types.ModuleType("pyannote"))
    monkeypatch.setitem(sys.modules, "pyannote.audio", module)
    return given


@pytest.mark.parametrize("release", [3, 4])
def test_segments_become_turns(monkeypatch, tmp_path, release):
    result = Annotation() if release == 3 else types.SimpleNamespace(speaker_diarization=Annotation())
    given = pyannote(monkeypatch, result)
    soundfile.write(tmp_path / "a.wav", recording([0.8], 2)[0], RATE)
    turns = load_diariser("me/diariser", "abc")(tmp_path / "a.wav")
    assert [(turn.start, turn.end, turn.speaker) for turn in turns] == [
        (0.5, 2.0, "SPEAKER_00"),
        (1.5, 3.0, "SPEAKER_01"),
    ]
    assert given[0] == ("me/diariser", "abc")
    assert given[1]["sample_rate"] == RATE
    assert given[1]["waveform"].dtype == torch.float32
    assert given[1]["waveform"].shape[0] == 1


def test_a_model_behind_conditions_is_told(monkeypatch):
    pyannote(monkeypatch, None, known=False)
    with pytest.raises(TranscriptionError, match="accept its conditions"):
        load_diariser("me/diariser")


def test_it_is_imported_only_where_it_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyannote.audio", None)
    with pytest.raises(TranscriptionError, match=r"pip install 'speechcue_hf\[diarise\]'"):
        load_diariser("me/diariser")
