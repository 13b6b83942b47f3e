"""Turns of a recording: each clip is what numpy cuts out of it, and what does not fit is refused."""

import io
import tracemalloc

import numpy as np
import pytest
import soundfile

from speechcue_hf.audio import Probe, decode
from speechcue_hf.corpora import recordings
from speechcue_hf.corpora.recordings import (
    MisfitError,
    Part,
    Spoken,
    channel_number,
    choose_part,
    cut_clips,
    cut_turns,
    find_parts,
    spoken,
    whole_or_cut,
)
from speechcue_hf.errors import AudioError
from tests.media import as_wav, encoded
from tests.media import spoken as voice_of

RATE = 16000
PARTS = [Part(1.0, 2.5), Part(0.0, 1.2), Part(1.9, 4.0)]
"""Out of order, and two of them overlap."""


@pytest.fixture
def stereo():
    """Six seconds of a voice beside a tone, as whole numbers of 16 bits, shape ``(frames, 2)``."""
    voice = voice_of()[: 6 * RATE]
    tone = 0.2 * np.sin(2 * np.pi * 300 * np.arange(len(voice)) / RATE)
    return np.round(np.stack([voice, tone], axis=1) * 2**15) / 2**15


def heard(clip):
    return soundfile.read(io.BytesIO(clip.flac), always_2d=True)[0]


def bounds(part):
    return slice(round(part.start * RATE), round(part.end * RATE))


def test_parts_are_what_numpy_cuts_to_the_last_sample(stereo):
    recording = {"path": "call.wav", "bytes": as_wav(stereo)}
    for part, clip in zip(PARTS, cut_clips([(recording, part) for part in PARTS]), strict=True):
        assert clip.status == "ok" and clip.flac[:4] == b"fLaC"
        np.testing.assert_array_equal(heard(clip), stereo[bounds(part)])


def test_one_channel_of_a_part_and_of_the_whole(stereo):
    recording = {"path": "call.wav", "bytes": as_wav(stereo)}
    part, whole = cut_clips([(recording, Part(1.0, 2.0, channel=1)), (recording, Part(channel=0))])
    np.testing.assert_array_equal(heard(part), stereo[RATE : 2 * RATE, 1:])
    np.testing.assert_array_equal(heard(whole), stereo[:, :1])


@pytest.mark.parametrize("subtype", ["PCM_24", "FLOAT"])
def test_samples_of_more_bits_keep_24(stereo, subtype):
    fine = stereo / 300
    [clip] = cut_clips([({"path": None, "bytes": as_wav(fine, subtype=subtype)}, Part(1.0, 2.0))])
    np.testing.assert_allclose(heard(clip), fine[RATE : 2 * RATE], atol=2.0**-23)


def test_floats_at_the_scale_of_integers_come_to_full_scale(stereo):
    large = {"path": None, "bytes": as_wav(stereo * 2**15, subtype="FLOAT")}
    [clip] = cut_clips([(large, Part(1.0, 2.0))])
    np.testing.assert_allclose(heard(clip), stereo[RATE : 2 * RATE], atol=2.0**-23)


def test_of_a_lossy_recording_parts_are_what_decoding_all_of_it_gives():
    content = {"path": None, "bytes": encoded(voice_of(), RATE, "mp4", "aac")}
    whole = decode(content).samples
    for part, clip in zip(PARTS, cut_clips([(content, part) for part in PARTS]), strict=True):
        np.testing.assert_allclose(heard(clip).T, np.clip(whole[:, bounds(part)], -1, 1), atol=2.0**-15)


def test_a_recording_is_decoded_once_and_not_held(tmp_path, monkeypatch):
    seconds, opened = 600, []
    noise = np.random.default_rng(0).normal(0, 0.1, seconds * RATE)
    soundfile.write(tmp_path / "long.wav", noise, RATE)
    read = recordings.read_sound
    monkeypatch.setattr(recordings, "read_sound", lambda audio, use: opened.append(audio) or read(audio, use))
    parts = [(tmp_path / "long.wav", Part(float(start), start + 10.0)) for start in range(0, seconds, 10)]
    tracemalloc.start()
    assert sum(clip.status == "ok" for clip in cut_clips(parts)) == 60
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(opened) == 1
    # All of it decoded takes 77 MB.
    assert peak < 16e6


def test_recordings_that_are_not_whole_keep_their_rows(tmp_path, stereo, caplog):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(as_wav(stereo)[: 44 + 4 * 3 * RATE])
    cut = list(cut_clips([(broken, part) for part in (Part(0.0, 2.0), Part(2.0, 4.0), Part(5.0, 6.0))]))
    assert [clip.status for clip in cut] == ["ok", "truncated", "truncated"]
    assert len(heard(cut[1])) == RATE and cut[2].flac is None
    (tmp_path / "none.wav").write_bytes(b"RIFF and nothing more")
    [clip] = cut_clips([(tmp_path / "none.wav", Part(0.0, 1.0))])
    assert clip.status == "corrupt" and clip.flac is None and "none.wav" in clip.note
    assert "none.wav" in caplog.text
    [short] = cut_clips([({"path": None, "bytes": as_wav(stereo)}, Part(1.0, 1.1))])
    assert short.status == "too_short"


@pytest.mark.parametrize(
    ("length", "start", "end", "shared", "expected"),
    [
        (4.9, 10.0, 15.0, False, None),
        (5.2, 10.0, 15.0, False, None),
        (60.0, 10.0, 15.0, False, Part(10.0, 15.0)),
        (14.9, 10.0, 15.0, False, Part(10.0, 15.0)),
        (15.0, 10.0, 15.0, True, Part(10.0, 15.0)),
        (5.0, 0.0, 5.0, True, Part(0.0, 5.0)),
        (8.0, 10.0, 15.0, False, "as a clip already cut it should last 5 s.*as a recording it ends before .* 15 s"),
        (3.0, 0.0, 5.0, False, "lasts 3.000 s: as a clip already cut it should last 5 s"),
        (5.0, 0.0, 5000.0, False, "if times are in ms, divide them by 1000"),
        (20.0, 5000.0, 9000.0, True, "if times are in ms, divide them by 1000"),
        (14.0, 10.0, 15.0, True, "several turns name it, and as a recording it ends before the turn does, at 15 s"),
    ],
)
def test_a_file_is_a_clip_or_a_recording_or_refused(length, start, end, shared, expected):
    found = Probe(length, False, 1)
    if not isinstance(expected, str):
        assert choose_part(found, start, end, None, shared=shared) == expected
    else:
        with pytest.raises(MisfitError, match=expected):
            choose_part(found, start, end, None, shared=shared)


def test_utterances_that_nothing_tells_apart_are_refused(tmp_path, stereo):
    file = tmp_path / "call.wav"
    file.write_bytes(as_wav(stereo))

    def parts(*said):
        return list(find_parts([Spoken(f"row {number}", file, *it) for number, it in enumerate(said, 1)]))

    assert parts((None, None, 0), (None, None, 1)) == [Part(channel=0), Part(channel=1)]
    assert parts((None, None, None)) == [None]
    assert parts((None, None, 1)) == [Part(channel=1)]
    for said, place, message in [
        ([(None, None), (None, None)], "file_name", "same clip as that of row 2, without times"),
        ([(None, None, 0), (None, None, None)], "file_name", "same clip as that of row 2"),
        ([(0.0, 1.0), (None, None)], "start", "row 1 gives times in the same file"),
        ([(0.0, 1.0), (1.0, None)], "end", "is not given, and row 1 names the same file"),
        ([(0.0, 1.0, 2), (1.0, 2.0)], "channel", "no channel 2: the file has 2 channels, 0 to 1"),
        ([(1.0, 1.0)], "end", "1.0 s is the start, 1.0 s"),
        ([(-1.0, 1.0)], "start", "-1 s lies before the beginning"),
    ]:
        with pytest.raises(MisfitError, match=message) as refused:
            parts(*said)
        assert refused.value.said == place


def test_channels_by_name():
    assert [channel_number(name) for name in ("left", " Right ", 3, "0", "1.0")] == [0, 1, 3, 0, 1]
    for name in ("middle", "-1", "1.5", "²"):
        with pytest.raises(ValueError, match="is no channel: give its number, from 0, or left or right"):
            channel_number(name)


def test_the_clip_of_one_utterance(tmp_path, stereo):
    file = tmp_path / "call.wav"
    file.write_bytes(as_wav(stereo))
    whole, cut, beside = (
        whole_or_cut(file, next(cut_turns([utterance])))
        for utterance in (
            spoken(file),
            spoken({"path": str(file)}, start=1.0, end=2.0, channel="left"),
            spoken({"path": str(file), "start": 1.0, "end": 2.0, "channel": 0}),
        )
    )
    assert whole == {"path": str(file), "bytes": None}
    np.testing.assert_array_equal(soundfile.read(io.BytesIO(cut["bytes"]))[0], stereo[RATE : 2 * RATE, 0])
    assert beside == cut
    file.write_bytes(as_wav(np.zeros((RATE, 12))))
    with pytest.raises(AudioError, match="12 channels, more than the 8 of a FLAC: name one"):
        whole_or_cut(file, next(cut_turns([spoken(file, start=0.0, end=0.5)])))
