"""The default against truth: sweeps of one parameter of espeak-ng within one voice."""

import pytest
from scipy.stats import spearmanr

from speechcue_hf.cues.measure import measure_speech
from speechcue_hf.cues.settings import MeasurementSettings
from tests.cues.measure_clips import SENTENCE, has_espeak, say

pytestmark = pytest.mark.skipif(not has_espeak(), reason="espeak-ng is not installed")

SWEEPS = {
    "f0_median_hz": ("-p", range(0, 100, 11)),
    "intensity_mean_db": ("-a", range(20, 201, 20)),
    "articulation_rate_per_s": ("-s", range(100, 281, 20)),
}
SETTINGS = MeasurementSettings(groups=("loudness", "pitch", "rhythm"))


@pytest.mark.parametrize("column", SWEEPS)
@pytest.mark.parametrize("voice", ["en-us", "en-us+m1", "en-us+m7", "en-gb+klatt2", "en-us+croak", "en-us+f2", "de+f4"])
def test_a_sweep_of_one_parameter_is_ranked(voice, column):
    option, steps = SWEEPS[column]
    measured = [measure_speech({"audio": say(SENTENCE, voice, option, step)}, SETTINGS)[column] for step in steps]
    assert spearmanr(list(steps), measured).statistic >= 0.95


def test_low_voices_are_not_octave_doubled():
    """The lowest pitch of espeak's lowest male voice lies near 60 Hz, below the paper's floor of 75 Hz."""
    low = measure_speech({"audio": say(SENTENCE, "en-us+m1", "-p", 0)}, SETTINGS)
    assert 55 < low["f0_median_hz"] < 70
    paper = measure_speech({"audio": say(SENTENCE, "en-us+m1", "-p", 0)}, MeasurementSettings.speechcuellm())
    assert paper["f0_mean_hz"] > 80
