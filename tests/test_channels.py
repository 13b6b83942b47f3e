"""One channel, whatever a recorder made of channels, offset and scale: the voice alone is the reference."""

import numpy as np
import pytest

from speechcue_hf.audio import DAMAGED, ENDS_EARLY, Clip
from speechcue_hf.channels import INTEGER_SCALE, at_full_scale, mixed, one_channel
from speechcue_hf.cues.loudness import has_mains_hum
from speechcue_hf.cues.measure import clip_columns, measure_speech
from speechcue_hf.cues.settings import MeasurementSettings
from speechcue_hf.errors import AudioError
from tests.cues.measure_clips import voice
from tests.media import as_wav, spoken

RATE = 16000


def measured(samples, subtype="FLOAT", settings=None):
    row = {"audio": {"path": "a.wav", "bytes": as_wav(samples, RATE, subtype)}}
    return measure_speech(row, settings or MeasurementSettings())


def assert_same(found, expected, rel=1e-6):
    for column in clip_columns():
        assert found[column] == (expected[column] and pytest.approx(expected[column], rel=rel, abs=1e-6)), column


def test_antiphase_is_measured_as_one_channel_alone():
    left = spoken()
    assert_same(measured(np.stack([left, -left], axis=1)), measured(left))
    assert_same(measured(np.stack([0.5 * left, -left], axis=1)), measured(0.75 * left), rel=1e-3)


def test_the_level_does_not_jump_with_the_power_of_the_other_channel():
    left = spoken()
    alone = measured(left)["intensity_mean_db"]
    powers = np.geomspace(1e-5, 1.0, 41)
    levels = [measured(np.stack([left, np.sqrt(it) * left], axis=1))["intensity_mean_db"] for it in powers]
    # Steps of some half a decibel where the other channel changes by 1.25 dB; the cut at 1e-4 made one of 6 dB.
    assert np.abs(np.diff(levels)).max() < 0.7
    assert levels[:9] == pytest.approx([alone] * 9, abs=1e-2)
    assert levels[-1] == pytest.approx(alone, abs=1e-6)


def test_ordinary_channels_are_averaged_to_the_last_digit():
    random = np.random.default_rng(0)
    left = voice(120, 1)
    for other in (left, 0.7 * left + random.normal(0, 1e-3, len(left)), 0.4 * left):
        np.testing.assert_array_equal(one_channel(np.stack([left, other])), np.stack([left, other]).mean(axis=0))
    np.testing.assert_array_equal(one_channel(left[None]), left)
    np.testing.assert_array_equal(one_channel(np.stack([left, np.zeros_like(left)])), left)


@pytest.mark.parametrize("offset", [0.02, 0.1, 0.5])
def test_an_offset_changes_nothing(offset):
    samples = 0.3 * spoken()
    expected, found = measured(samples), measured(samples + offset)
    assert_same({**found, "pause_ratio": expected["pause_ratio"]}, expected, rel=5e-3)
    assert found["shimmer_local_ratio"] == pytest.approx(expected["shimmer_local_ratio"], rel=5e-3)
    assert found["measurement_note"] is None


def test_floats_at_the_scale_of_integers_are_brought_to_full_scale_and_marked():
    samples = np.round(32768 * spoken())
    found, expected = measured(samples), measured(samples / 32768)
    assert_same(found, expected)
    assert (found["measurement_note"], expected["measurement_note"]) == (INTEGER_SCALE, None)
    # A little beyond full scale is what lossy codecs do.
    assert measured(4 * spoken())["measurement_note"] is None


def test_an_unknown_scale_is_not_guessed():
    found = measured(2**31 * spoken())
    assert "unknown scale" in found["measurement_note"] and found["intensity_mean_db"] is None
    with pytest.raises(AudioError, match="unknown scale"):
        at_full_scale(Clip(np.full((1, 10), 1e9), RATE, 1.0))


def test_the_paper_measures_the_file_as_it_is():
    """Praat called directly, on both channels, offset and scale included."""
    import parselmouth

    paper = MeasurementSettings.speechcuellm()
    left = spoken()
    for samples in (np.stack([left, 0.1 * left + 0.2], axis=1), 32768 * left[:, None]):
        found = measured(samples, settings=paper)
        levels = parselmouth.Sound(samples.astype(np.float32).T.astype(float), RATE).to_intensity().values[0]
        assert found["intensity_sd_db"] == pytest.approx(float(levels.std()), rel=1e-12)


@pytest.mark.parametrize("frequency", [50.0, 60.0, 49.9])
def test_a_hum_that_praat_takes_for_a_voice_is_marked(frequency):
    samples = spoken()
    time = np.arange(len(samples)) / RATE
    hum = np.sin(2 * np.pi * frequency * time) + 0.5 * np.sin(4 * np.pi * frequency * time + 1)
    for level in (-35, -20, -5):
        found = measured(samples + 10 ** (level / 20) * np.abs(samples).max() * hum)
        assert found["measurement_note"].startswith("recording: mains hum")
    assert measured(samples)["measurement_note"] is None


def test_no_voice_is_a_hum():
    random = np.random.default_rng(0)
    assert not any(has_mains_hum(voice(f0, 2), RATE) for f0 in (45, 55, 65, 80, 100, 110, 120, 180, 240))
    assert not has_mains_hum(random.normal(size=2 * RATE), RATE)
    assert not has_mains_hum(np.cumsum(random.normal(size=2 * RATE)), RATE)
    assert not has_mains_hum(np.zeros(100), RATE)


def test_models_hear_the_mix_and_keep_the_notes():
    left = spoken()
    clip = mixed(Clip(np.stack([32768 * left, -32768 * left]), RATE, 1.0, (ENDS_EARLY, DAMAGED)))
    np.testing.assert_allclose(clip.samples, left[None], atol=1e-12)
    assert clip.notes == (ENDS_EARLY, DAMAGED, INTEGER_SCALE)
