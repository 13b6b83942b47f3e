"""Files from strangers: nothing but the file is opened, what is not whole says so, and nothing ends a dataset."""

import io
import os
import struct

import numpy as np
import pytest
import soundfile

from speechcue_hf.audio import DAMAGED, ENDS_EARLY, decode, probe
from speechcue_hf.cli import main
from speechcue_hf.corpora.clips import clip_status
from speechcue_hf.corpora.parquet import read_dataset
from speechcue_hf.cues.measure import measure_speech
from speechcue_hf.errors import AudioError
from tests.media import as_wav, encoded, speex, spoken

SECONDS = len(spoken()) / 16000


def opened(content):
    return decode({"path": None, "bytes": content})


def naming_others(address, secret):
    """Files that name other files and addresses: what FFmpeg, left alone, follows."""
    port = address.split(":")[1]
    return {
        "hls": f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:5\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:5,\n"
        f"http://{address}/a.ts\n#EXTINF:5,\n{secret}\n#EXT-X-ENDLIST\n",
        "hls_master": f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhttp://{address}/b.m3u8\n",
        "m3u": f"http://{address}/c.wav\n{secret}\n",
        "concat": f"ffconcat version 1.0\nfile 'http://{address}/d.wav'\nfile '{secret}'\n",
        "pls": f"[playlist]\nFile1=http://{address}/e.wav\nNumberOfEntries=1\n",
        "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {port} RTP/AVP 0\n",
        "dash": f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet '
        f'mimeType="audio/mp4"><Representation id="1" bandwidth="1"><BaseURL>http://{address}/f.mp4</BaseURL>'
        "</Representation></AdaptationSet></Period></MPD>",
        "rtsp": f"RTSPtext\nrtsp://{address}/g\n",
    }


@pytest.mark.parametrize("suffix", [".m3u8", ".wav", ".mp4", ".sdp", ".mp3"])
def test_a_file_that_names_others_opens_none_of_them(tmp_path, listener, suffix):
    address, seen = listener
    secret = tmp_path / "outside.wav"
    secret.write_bytes(as_wav(spoken()))
    for kind, text in naming_others(address, secret).items():
        path = tmp_path / f"{kind}{suffix}"
        path.write_text(text)
        for read in (decode, probe):
            with pytest.raises(AudioError, match="cannot be decoded"):
                read(path)
    assert seen == []


def test_a_playlist_in_a_folder_is_a_corrupt_row_from_beginning_to_end(tmp_path, listener):
    address, seen = listener
    secret = tmp_path / "outside.wav"
    secret.write_bytes(as_wav(spoken()))
    folder = tmp_path / "conversations"
    folder.mkdir()
    texts = naming_others(address, secret)
    names = [f"{kind}.{suffix}" for kind, suffix in zip(texts, ("m3u8", "mp4", "wav", "mkv") * 2, strict=True)]
    for name, text in zip(names, texts.values(), strict=True):
        (folder / name).write_text(text)
    (folder / "whole.wav").write_bytes(as_wav(spoken()))
    (folder / "metadata.csv").write_text("file_name\n" + "\n".join([*names, "whole.wav"]) + "\n")
    assert main(["prepare", "folder", "--data-dir", str(folder), "-o", str(tmp_path / "data")]) == 0
    assert main(["measure", str(tmp_path / "data"), "-o", str(tmp_path / "measured")]) == 0
    rows = read_dataset(tmp_path / "measured")["train"]
    assert list(rows["audio_status"]) == ["corrupt"] * len(names) + ["ok"]
    assert all("cannot be decoded" in note for note in rows["measurement_note"][: len(names)])
    assert rows[len(names)]["measurement_note"] is None and rows[len(names)]["f0_mean_hz"] is not None
    assert seen == []


def test_an_mp4_that_refers_to_another_file_is_not_followed(tmp_path):
    """The data reference of a track names a file, as editing programs write it."""
    whole = encoded(spoken(44100), 44100, "mp4", "aac")
    (tmp_path / "outside.mp4").write_bytes(whole)
    alias = str(tmp_path / "outside.mp4").encode() + b"\0"
    here = struct.pack(">I4sI", 12, b"url ", 1)
    assert whole.count(here) == 1
    there = struct.pack(">I4sI", 12 + len(alias), b"url ", 0) + alias
    grown = whole.replace(here, there)
    for box in (b"dref", b"dinf", b"minf", b"mdia", b"trak", b"moov"):
        place = grown.index(box) - 4
        size = struct.unpack(">I", grown[place : place + 4])[0] + len(alias)
        grown = grown[:place] + struct.pack(">I", size) + grown[place + 4 :]
    # Its own sound is blanked out: only the other file has any.
    start = grown.index(b"mdat") + 4
    blank = grown[:start] + bytes(len(grown[start : grown.index(b"moov") - 4])) + grown[grown.index(b"moov") - 4 :]
    (tmp_path / "a.mp4").write_bytes(blank)
    with pytest.raises(AudioError):
        decode(tmp_path / "a.mp4")


def test_a_pipe_is_no_clip(tmp_path):
    os.mkfifo(tmp_path / "a.wav")
    with pytest.raises(AudioError, match=r"a\.wav: is no file"):
        decode(tmp_path / "a.wav")


def wav_of(rate=16000, channels=1, frames=1600):
    data = bytes(2 * channels * frames)
    head = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, 0, 2 * channels, 16)
    return b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVE" + head + b"data" + struct.pack("<I", len(data)) + data


@pytest.mark.parametrize(
    ("header", "cause"),
    [
        ({"rate": 96_000_001}, "a sampling rate of 96,000,001 Hz"),
        ({"rate": 16_800_000}, "a sampling rate of 16,800,000 Hz"),
        ({"rate": 1}, "a sampling rate of 1 Hz"),
        ({"channels": 1000, "frames": 16}, "1000 channels"),
    ],
)
def test_what_no_speech_can_be_is_a_note_in_its_row(header, cause):
    measured = measure_speech({"audio": {"path": "a.wav", "bytes": wav_of(**header)}})
    assert cause in measured["measurement_note"] and measured["duration_s"] is None
    assert clip_status(wav_of(**header), None) == "corrupt"


def test_rates_and_channels_of_studios_are_read():
    assert opened(wav_of(rate=384_000)).rate == 384_000
    assert opened(wav_of(channels=16)).samples.shape == (16, 1600)


def test_a_declared_length_beyond_a_day_is_refused():
    """A flac whose header claims two days of one second of sound."""
    file = io.BytesIO()
    soundfile.write(file, spoken()[:16000], 16000, format="FLAC")
    flac = bytearray(file.getvalue())
    total = 16000 * 2 * 24 * 3600
    # The last 36 bits before the MD5 sum of the stream's first block.
    flac[21] = flac[21] & 0xF0 | total >> 32
    flac[22:26] = struct.pack(">I", total & 0xFFFFFFFF)
    with pytest.raises(AudioError, match="lasts 48 h by its header"):
        opened(bytes(flac))


def test_a_small_file_that_decodes_to_gigabytes_stops_at_the_bound(monkeypatch):
    monkeypatch.setattr("speechcue_hf.audio.MOST_AMPLITUDES", 2**20)
    file = io.BytesIO()
    soundfile.write(file, np.zeros((2**18, 8)), 48000, format="FLAC")
    assert len(file.getvalue()) < 20_000
    with pytest.raises(AudioError, match="holds more than 1,048,576 amplitudes"):
        opened(file.getvalue())


@pytest.mark.parametrize("place", ["speechcue_hf.audio._clip", "speechcue_hf.cues.analysis.digital_silence"])
def test_memory_that_runs_out_is_the_note_of_the_clip(monkeypatch, place):
    def run_out(*arguments):
        raise MemoryError

    monkeypatch.setattr(place, run_out)
    measured = measure_speech({"audio": {"path": "a.wav", "bytes": as_wav(spoken())}})
    assert "does not fit the memory" in measured["measurement_note"]


@pytest.mark.parametrize(
    ("form", "codec", "rate", "suffix"),
    [
        ("avi", "ac3", 44100, "avi"),
        ("wav", "g722", 16000, "wav"),
        ("wav", "g726", 8000, "wav"),
        ("wav", "wmav2", 44100, "wav"),
        ("asf", "wmav2", 44100, "wma"),
        ("au", "pcm_s16be", 16000, "wav"),
    ],
)
def test_the_second_decoder_reads_what_the_first_refuses(tmp_path, form, codec, rate, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(encoded(spoken(rate), rate, form, codec, 16000 if codec == "g726" else 64000))
    clip = decode(path)
    assert (clip.rate, clip.notes, clip_status(path, None)) == (rate, (), "ok")
    assert clip.duration == pytest.approx(SECONDS, abs=0.06)
    reference = measure_speech({"audio": {"path": "a.wav", "bytes": as_wav(spoken(rate), rate)}})
    measured = measure_speech({"audio": {"path": str(path), "bytes": None}})
    assert measured["f0_median_hz"] == pytest.approx(reference["f0_median_hz"], rel=0.03)
    assert measured["intensity_mean_db"] == pytest.approx(reference["intensity_mean_db"], abs=1.0)


def test_speex_in_ogg():
    clip = opened(speex(packets=100))
    assert (clip.rate, clip.duration, clip.notes) == (8000, 2.0, ())
    assert clip_status(speex(packets=100), None) == "ok"
    assert opened(speex(packets=100)[:1500]).notes == (ENDS_EARLY,)


def test_a_wav_whose_length_was_never_written():
    """A recorder that was switched off: zero in both lengths."""
    whole = as_wav(spoken())
    zero = whole[:4] + bytes(4) + whole[8:40] + bytes(4) + whole[44:]
    clip = opened(zero)
    assert (clip.duration, clip.notes, clip_status(zero, None)) == (SECONDS, (), "ok")
    np.testing.assert_array_equal(clip.samples, opened(whole).samples)
    # What writes to a pipe claims two or four gigabytes.
    for claim in (b"\xff\xff\xff\xff", b"\x00\xf0\xff\x7f"):
        stream = opened(whole[:4] + claim + whole[8:40] + claim + whole[44:])
        assert (stream.duration, stream.notes) == (SECONDS, ())


def test_a_wav_without_samples_stays_an_error():
    with pytest.raises(AudioError, match="no audio samples"):
        opened(as_wav(spoken()[:0]))


WHOLE = {
    "wav": lambda: as_wav(spoken()),
    "wav24": lambda: as_wav(np.stack([spoken()] * 2, axis=1), subtype="PCM_24"),
    "aiff": lambda: encoded(spoken(), 16000, "aiff", "pcm_s16be"),
    "flac": lambda: encoded(spoken(), 16000, "flac", "flac"),
    "ogg": lambda: _ogg(),
    "opus": lambda: encoded(spoken(48000), 48000, "ogg", "libopus"),
    "mp3": lambda: encoded(spoken(44100), 44100, "mp3", "libmp3lame"),
    "webm": lambda: encoded(spoken(48000), 48000, "webm", "libopus"),
    "mkv": lambda: encoded(spoken(44100), 44100, "matroska", "aac"),
    "avi": lambda: encoded(spoken(44100), 44100, "avi", "ac3"),
    "g722": lambda: encoded(spoken(), 16000, "wav", "g722"),
    "mp4 in fragments": lambda: encoded(
        spoken(44100), 44100, "mp4", "aac", movflags="frag_keyframe+empty_moov", frag_duration="500000"
    ),
    "asf": lambda: encoded(spoken(44100), 44100, "asf", "wmav2"),
    "tta": lambda: encoded(spoken(44100), 44100, "tta", "tta"),
}


def _ogg():
    file = io.BytesIO()
    soundfile.write(file, spoken(), 16000, format="OGG", subtype="VORBIS")
    return file.getvalue()


@pytest.mark.parametrize("kind", WHOLE)
def test_a_file_that_ends_early_says_so(kind):
    whole = WHOLE[kind]()
    assert (opened(whole).notes, probe({"path": None, "bytes": whole}).ends_early) == ((), False)
    for share in (0.4, 0.7):
        part = whole[: int(len(whole) * share)]
        clip = opened(part)
        assert ENDS_EARLY in clip.notes and clip.duration < 0.9 * SECONDS
        assert clip_status(part, None) == "truncated"
        assert ENDS_EARLY in measure_speech({"audio": {"path": None, "bytes": part}})["measurement_note"]


def test_an_mp4_whose_index_stands_first_says_so_too(tmp_path):
    import av

    with av.open(str(tmp_path / "a.mp4"), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        frame = av.AudioFrame.from_ndarray(spoken(44100)[None].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 44100, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    whole = (tmp_path / "a.mp4").read_bytes()
    assert clip_status(whole, None) == "ok"
    assert clip_status(whole[: len(whole) // 2], None) == "truncated"
    assert opened(whole[: len(whole) // 2]).notes == (ENDS_EARLY,)


@pytest.mark.parametrize("kind", ["flac", "ogg", "opus", "mp3", "mkv"])
def test_damage_costs_what_is_damaged_and_not_the_clip(kind):
    whole = WHOLE[kind]()
    middle = len(whole) // 2
    clip = opened(whole[:middle] + b"\xff" * 80 + whole[middle + 80 :])
    assert clip.notes == (DAMAGED,)
    # The packets of an Ogg page share a checksum; after damage older releases of FFmpeg look for the next flac frame,
    # or the next cluster of a Matroska.
    lost = {"mp3": 0.2, "flac": 0.5}.get(kind, 2.0)
    assert SECONDS - lost < clip.duration < SECONDS + 0.1


def test_a_track_that_changes_its_rate_on_the_way_keeps_that_of_its_beginning():
    """Two recordings of an mp3 player, one behind the other."""
    both = encoded(spoken(44100), 44100, "mp3", "libmp3lame") + encoded(spoken(22050), 22050, "mp3", "libmp3lame")
    clip = opened(both)
    assert clip.rate == 44100
    assert clip.duration == pytest.approx(2 * SECONDS, abs=0.3)


def test_tags_in_another_encoding_are_no_error():
    tagged = bytearray(encoded(spoken(44100), 44100, "avi", "ac3"))
    place = tagged.index(b"Lavf")
    tagged[place : place + 4] = "Möwe".encode("latin-1")
    assert opened(bytes(tagged)).notes == ()


@pytest.mark.parametrize("channels", [6, 8, 12])
def test_many_channels_through_ffmpeg(channels):
    """PyAV hands out planes of eight channels and more from beyond the memory of their frame."""
    samples = np.outer(np.arange(1, channels + 1) / 100, np.ones(16000))
    # A wav in a format that only FFmpeg takes: without a length.
    whole = as_wav(samples.T)
    place = whole.index(b"data") + 4
    clip = opened(whole[:place] + bytes(4) + whole[place + 4 :])
    np.testing.assert_allclose(clip.samples, samples, atol=2**-15)
