import numpy as np
import pytest

from speechcue_hf.cues.engines import load_engine
from speechcue_hf.cues.voice import spectral_tilt, two_pass_pitch
from tests.cues.measure_clips import voice

NOISE = np.random.default_rng(0).normal(0, 0.1, 64000)


@pytest.mark.parametrize("power", [0, 1, 2])
def test_tilt_of_coloured_noise_is_known(power):
    spectrum = np.fft.rfft(NOISE)
    frequencies = np.maximum(np.fft.rfftfreq(len(NOISE), 1 / 16000), 1)
    coloured = np.fft.irfft(spectrum / frequencies ** (power / 2))
    # A power density that falls with frequency to the power of p falls by 3.01 p dB an octave.
    assert spectral_tilt(coloured, 16000) == pytest.approx(-3.01 * power, abs=0.3)


def test_tilt_needs_a_window():
    assert spectral_tilt(NOISE[:100], 16000) is None


def test_jitter_grows_with_the_unevenness_of_the_periods():
    rng = np.random.default_rng(0)
    even = voice(120, 2)
    uneven = voice(120 * (1 + 0.03 * rng.normal(size=2000).repeat(16)), 2)
    engine = load_engine("praat")
    jitters = [
        engine.jitter_and_shimmer(samples, 16000, two_pass_pitch(samples, 16000, engine))[0]
        for samples in (even, uneven)
    ]
    assert jitters[0] < 0.005 < jitters[1]


def test_harmonicity_stays_within_a_tenth_of_a_decibel_of_praats():
    samples, engine = voice(150, 2, noise=5e-3), load_engine("praat")
    fine, coarse = (engine.harmonicity(samples, 16000, accurate).mean() for accurate in (True, False))
    assert coarse == pytest.approx(fine, abs=0.1)
