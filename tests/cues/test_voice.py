import numpy as np
import parselmouth
import pytest
from parselmouth.praat import call

from speechcue_hf.cues.voice import harmonics_to_noise, jitter_and_shimmer, spectral_tilt, two_pass_pitch
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
    even = parselmouth.Sound(voice(120, 2), 16000)
    uneven = parselmouth.Sound(voice(120 * (1 + 0.03 * rng.normal(size=2000).repeat(16)), 2), 16000)
    jitters = [jitter_and_shimmer(sound, two_pass_pitch(sound))[0] for sound in (even, uneven)]
    assert jitters[0] < 0.005 < jitters[1]


def test_harmonicity_stays_within_a_tenth_of_a_decibel_of_praats():
    sound = parselmouth.Sound(voice(150, 2, noise=5e-3), 16000)
    expected = call(call(sound, "To Harmonicity (cc)", 0.01, 75, 0.1, 1.0), "Get mean", 0, 0)
    assert harmonics_to_noise(sound) == pytest.approx(expected, abs=0.1)
