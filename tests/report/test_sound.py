"""Clips and curves against what Praat and PyAV say, called directly."""

import base64
import io

import av
import numpy as np
import parselmouth
import pytest

from speechcue_hf.corpora.demo import DEMO_FOLDER
from speechcue_hf.cues.analysis import Curves, clip_curves
from speechcue_hf.report.sound import compact_curves, encode_opus

CLIP = DEMO_FOLDER / "audio" / "party_01.ogg"


def points(text):
    return np.frombuffer(base64.b64decode(text), dtype=np.uint8).astype(float)


@pytest.fixture(scope="module")
def curves():
    return clip_curves(CLIP)


def test_a_clip_is_opus_of_the_same_sound(curves):
    encoded = encode_opus(curves.samples)
    with av.open(io.BytesIO(encoded)) as container:
        [stream] = container.streams
        assert (stream.codec_context.name, stream.codec_context.sample_rate) == ("opus", 48000)
        frames = [frame.to_ndarray()[0] for frame in container.decode(stream)]
    heard = np.concatenate(frames)[::3]
    assert len(heard) / 16000 == pytest.approx(curves.seconds, abs=0.05)
    length = min(len(heard), len(curves.samples))
    # Opus shifts the sound by some milliseconds; the best lag within 20 ms is taken.
    lags = [np.corrcoef(np.roll(heard[:length], -lag), curves.samples[:length])[0, 1] for lag in range(-320, 320)]
    assert max(lags) > 0.9
    assert len(encoded) < 24_000 / 8 * curves.seconds * 1.5 + 1000
    assert encode_opus(curves.samples) == encoded, "the same samples give the same bytes"


def test_intensity_is_praats_within_half_a_db(curves):
    compact = compact_curves(curves)
    samples = parselmouth.Sound(curves.samples, 16000)
    intensity = samples.to_intensity()
    drawn = points(compact["intensity"]) / 2
    centres = (np.arange(len(drawn)) + 0.5) * 0.02
    inside = (centres > intensity.xs()[0]) & (centres < intensity.xs()[-1])
    expected = np.array([intensity.get_value(time) for time in centres[inside]])
    # Half a step of 0.5 dB, and a line between frames where Praat draws a curve.
    assert np.abs(drawn[inside] - expected).max() < 0.25 + 1.0
    assert np.median(np.abs(drawn[inside] - expected)) < 0.2
    assert not drawn[~inside].any()


def test_pitch_is_that_of_the_cues_within_an_eighth_of_a_semitone(curves):
    compact = compact_curves(curves)
    steps = points(compact["pitch"])
    drawn = np.where(steps > 0, 40 * 2 ** ((steps - 1) / 48), np.nan)
    centres = (np.arange(len(drawn)) + 0.5) * 0.02
    nearest = np.abs(curves.pitch_times[None] - centres[:, None]).argmin(axis=1)
    expected = curves.pitch[nearest]
    inside = np.abs(curves.pitch_times[nearest] - centres) < 0.005
    assert (np.isnan(drawn) == np.isnan(expected))[inside].all() and (~np.isnan(expected)).sum() > 20
    voiced = inside & ~np.isnan(expected)
    assert np.abs(12 * np.log2(drawn[voiced] / expected[voiced])).max() <= 0.1251


def test_waveform_and_syllables_stand_where_they_are(curves):
    compact = compact_curves(curves)
    wave = points(compact["wave"]) / 255
    assert wave.max() == pytest.approx(np.abs(curves.samples).max(), abs=1 / 255)
    assert wave.argmax() == np.abs(curves.samples).argmax() // 320
    nuclei = points(compact["nuclei"]).cumsum() * 0.02
    assert nuclei == pytest.approx(curves.nuclei, abs=0.011)


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(100), np.zeros(16000)])
def test_what_is_silent_or_short_has_empty_curves(samples):
    compact = compact_curves(Curves(samples))
    assert not points(compact["pitch"]).any() and len(points(compact["wave"])) == max(1, -(-len(samples) // 320))
