from pathlib import Path

import numpy as np
import parselmouth
import pytest
import soundfile

from speechcue_hf.cues.analysis import clip_curves

CLIP = Path(__file__).parents[2] / "speechcue_hf/corpora/demo_data/audio/bicycle_00.ogg"


def test_curves_of_a_clip():
    curves = clip_curves(CLIP)
    samples, rate = soundfile.read(CLIP)
    assert curves.seconds == pytest.approx(len(samples) / rate, abs=1e-4)
    assert curves.pitch_times.shape == curves.pitch.shape
    # Praat itself, with its standard settings: within a semitone of ours on a voice that they fit.
    theirs = parselmouth.Sound(samples, rate).to_pitch(pitch_floor=50).selected_array["frequency"]
    assert np.nanmedian(curves.pitch) == pytest.approx(np.median(theirs[theirs > 0]), rel=2 ** (1 / 12) - 1)
    intensity = parselmouth.Sound(samples, rate).to_intensity()
    assert curves.intensity.max() == pytest.approx(intensity.values.max(), abs=1.0)
    assert 0 < len(curves.nuclei) < 10 * curves.seconds
    assert curves.nuclei.max() < curves.seconds


@pytest.mark.parametrize("seconds", [0.02, 0.5])
def test_curves_of_silence(tmp_path, seconds):
    soundfile.write(tmp_path / "silence.wav", np.zeros(int(seconds * 16000)), 16000)
    curves = clip_curves(tmp_path / "silence.wav")
    assert curves.seconds == pytest.approx(seconds)
    assert not curves.nuclei.size and not curves.pitch.size
