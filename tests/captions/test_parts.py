import numpy as np
import pytest

from speechcue_hf.captions.parts import CUE_WORDS, cue_word
from speechcue_hf.cues.levels import LEVEL_NAMES, QUANTILES, level_indices


@pytest.mark.parametrize("levels", [3, 4, 5, 6])
@pytest.mark.parametrize(
    ("quantile", "word"),
    [(0.05, "slow"), (0.2, "slow"), (0.4, "normal"), (0.6, "normal"), (0.8, "fast"), (0.95, "fast")],
)
def test_the_middle_half_of_the_training_values_is_normal(levels, quantile, word):
    """Whatever the number of levels: the words cut at the quarters."""
    index = level_indices(np.array([[quantile]]), np.array([[QUANTILES[levels]]]))[0, 0]
    row = {"articulation_rate_per_s_level": LEVEL_NAMES[levels][index]}
    assert cue_word("speed", row, levels) == word


def test_the_mean_stands_in_for_the_median_pitch():
    assert cue_word("pitch", {"f0_median_hz_level": None, "f0_mean_hz_level": "low"}, 3) == "low"
    assert cue_word("pitch", {"f0_median_hz_level": "high", "f0_mean_hz_level": "low"}, 3) == "high"
    assert cue_word("pitch", {}, 3) is None


def test_words_are_lowest_first():
    assert [words[0] for words in CUE_WORDS.values()] == ["low", "slow", "quiet"]
