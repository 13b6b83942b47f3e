"""The paper's preset against Praat called directly, step by step, on clips of every kind."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from speechcue_hf.cues.engines import installed_engines
from speechcue_hf.cues.measure import measure_speech
from speechcue_hf.cues.settings import PAPER_COLUMNS, MeasurementSettings
from tests.cues import literal_praat
from tests.cues.measure_clips import SENTENCE, as_bytes, has_espeak, say, voice

PAPER = MeasurementSettings.speechcuellm()


RNG = np.random.default_rng(1)
SYNTHETIC = {
    "low": lambda: (voice(62, 2), 16000, "PCM_16"),
    "high": lambda: (voice(380, 2), 16000, "PCM_16"),
    "glide": lambda: (voice(np.linspace(90, 220, 32000), 2), 16000, "PCM_16"),
    "stereo": lambda: (np.stack([voice(120, 2), voice(180, 2, seed=2)], axis=1), 16000, "PCM_16"),
    "one_sided": lambda: (np.stack([voice(120, 2), np.zeros(32000)], axis=1), 16000, "PCM_16"),
    "8k": lambda: (voice(130, 2, 8000), 8000, "PCM_16"),
    "44.1k": lambda: (voice(130, 2, 44100), 44100, "PCM_24"),
    "48k": lambda: (voice(200, 1, 48000), 48000, "FLOAT"),
    "padded": lambda: (np.concatenate([np.zeros(8000), voice(110, 1), np.zeros(8000)]), 16000, "PCM_16"),
    "pause": lambda: (np.concatenate([voice(110, 1), np.zeros(12000), voice(150, 1)]), 16000, "PCM_16"),
    "one_syllable": lambda: (voice(140, 0.4, syllables=2.5), 16000, "PCM_16"),
    "0.13 s": lambda: (voice(140, 0.13), 16000, "PCM_16"),
    "noise": lambda: (RNG.normal(0, 0.1, 16000), 16000, "PCM_16"),
    "silence": lambda: (np.zeros(16000), 16000, "PCM_16"),
    "clipped": lambda: (np.clip(voice(120, 2, level=2), -1, 1), 16000, "PCM_16"),
    "offset": lambda: (voice(120, 2) + 0.3, 16000, "PCM_16"),
}


def assert_equal(path):
    literal = literal_praat.measure(path)
    # Of a voice that hardly moves, the fast engine's F0 is equal in eight digits and its small deviation in fewer.
    for engine, least in {"praat": 1e-12, "fast": 1e-5}.items():
        if engine not in installed_engines():
            continue
        ours = measure_speech({"audio": {"path": str(path), "bytes": None}}, replace(PAPER, engine=engine))
        for column, expected in literal.items():
            expected = None if expected is None or np.isnan(expected) else expected
            equal = None if expected is None else pytest.approx(expected, rel=1e-6, abs=least)
            assert ours[column] == equal, (engine, column)


@pytest.mark.parametrize("name", SYNTHETIC)
def test_equals_praat_on_synthetic_clips(tmp_path, name):
    samples, rate, subtype = SYNTHETIC[name]()
    path = tmp_path / "clip.wav"
    soundfile.write(path, samples, rate, subtype=subtype)
    assert_equal(path)


@pytest.mark.skipif(not has_espeak(), reason="espeak-ng is not installed")
@pytest.mark.parametrize("voice_name", ["en-us", "en-us+f2", "en-us+m7", "en-us+croak", "de+f4"])
@pytest.mark.parametrize("text", ["No!", SENTENCE])
def test_equals_praat_on_speech(tmp_path, voice_name, text):
    path = tmp_path / "clip.wav"
    path.write_bytes(say(text, voice_name)["bytes"])
    assert_equal(path)


def test_only_the_papers_columns_are_filled():
    measured = measure_speech({"audio": as_bytes(voice(120, 2))}, PAPER)
    assert {column for column, value in measured.items() if value is not None} == set(PAPER_COLUMNS)


def test_missing_values_as_published():
    noise = np.random.default_rng(0).normal(0, 0.1, 16000)
    measured = measure_speech({"audio": as_bytes(noise)}, PAPER)
    assert (measured["f0_mean_hz"], measured["f0_sd_hz"], measured["f0_range_hz"]) == (None, 0.0, 0.0)
    assert measured["articulation_rate_per_s"] is None
    assert measured["measurement_note"] == "pitch: no voiced frames; rhythm: no syllable nucleus"


def test_a_clip_too_short_for_praat_keeps_what_can_be_measured():
    measured = measure_speech({"audio": as_bytes(voice(200, 0.05))}, PAPER)
    assert measured["duration_s"] == 0.05
    assert measured["intensity_mean_db"] is None
    assert "loudness: Sound: shorter than window length" in measured["measurement_note"]


def test_one_hour_has_its_duration_and_a_reason(tmp_path):
    path = tmp_path / "hour.flac"
    with soundfile.SoundFile(path, "w", 16000, 1) as file:
        file.write(voice(120, 10))
        for _ in range(359):
            file.write(np.zeros(160000))
    tracemalloc.start()
    measured = measure_speech({"audio": {"path": str(path), "bytes": None}}, PAPER)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert {column for column, value in measured.items() if value is not None} == {"duration_s", "measurement_note"}
    assert measured["duration_s"] == 3600.0
    assert measured["measurement_note"] == "longer than 600 s: not measured"
    # A whole hour in float64 would take 460 MB.
    assert peak < 200e6


def test_five_minutes_are_measured_whole(tmp_path):
    settings = replace(PAPER, groups=("loudness",))
    quiet, loud = voice(120, 300, level=0.01), voice(120, 5, level=0.1)
    start, whole = (
        measure_speech({"audio": as_bytes(samples)}, settings) for samples in (quiet, np.append(quiet, loud))
    )
    assert whole["duration_s"] == 305
    assert whole["measurement_note"] is None
    assert whole["intensity_mean_db"] > start["intensity_mean_db"] + 3


def test_groups_leave_numbers_out_and_the_rest_as_it_is():
    row = {"audio": as_bytes(voice(120, 2))}
    whole = measure_speech(row, PAPER)
    less = measure_speech(row, replace(PAPER, groups=("loudness", "pitch", "rhythm")))
    assert less == {**whole, "hnr_mean_db": None}
