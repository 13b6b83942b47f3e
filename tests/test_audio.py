import numpy as np
import pytest
import soundfile

from speechcue_hf.audio import decode, probe
from speechcue_hf.errors import AudioError

RATE = 16000
TONE = 0.5 * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)


def write_video(path, samples=None, rate=RATE):
    """An mp4 with ten black pictures, and AAC where samples are given."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
        audio = container.add_stream("aac", rate=rate, layout="mono") if samples is not None else None
        for _ in range(10):
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))))
        container.mux(video.encode(None))
        if audio is not None:
            frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = rate, 0
            container.mux(audio.encode(frame))
            container.mux(audio.encode(None))


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_wav_comes_back_as_written(tmp_path, subtype):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([TONE, -TONE], axis=1), RATE, subtype=subtype)
    clip = decode(path)
    assert clip.samples.shape == (2, RATE)
    assert clip.samples.dtype == np.float64
    assert (clip.rate, clip.duration, probe(path).duration) == (RATE, 1.0, 1.0)
    np.testing.assert_allclose(clip.samples[0], TONE, atol=2**-15)
    np.testing.assert_allclose(clip.samples[1], -TONE, atol=2**-15)


@pytest.mark.parametrize("suffix", ["flac", "ogg"])
def test_flac_and_ogg(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, TONE, RATE)
    assert decode(path).samples.shape == (1, RATE)
    assert probe(path).duration == 1.0


def test_bytes_win_over_the_path(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, TONE, RATE)
    np.testing.assert_array_equal(
        decode({"path": "elsewhere.wav", "bytes": path.read_bytes()}).samples, decode(path).samples
    )


def test_mp4_with_aac_starts_in_time(tmp_path):
    path = tmp_path / "a.mp4"
    click = np.zeros(RATE)
    click[8000:8400] = TONE[:400]
    write_video(path, click)
    clip = decode(path)
    assert clip.rate == RATE
    # The encoder's priming samples must be gone: the click is where it was.
    assert abs(int(np.abs(np.correlate(clip.samples[0], click, "full")).argmax()) - (RATE - 1)) < 8
    assert probe(path).duration == pytest.approx(1.0, abs=0.07)
    assert clip.duration == pytest.approx(1.0, abs=0.07)


def test_limit_stops_decoding_and_keeps_the_duration(tmp_path):
    soundfile.write(tmp_path / "a.wav", TONE, RATE)
    write_video(tmp_path / "a.mp4", TONE)
    for name in ("a.wav", "a.mp4"):
        clip = decode(tmp_path / name, limit=0.25)
        assert clip.samples.shape == (1, 4000)
        assert clip.duration == pytest.approx(1.0, abs=0.07)


def test_errors_name_the_file_and_the_cause_and_no_folder(tmp_path):
    soundfile.write(tmp_path / "whole.wav", TONE, RATE)
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "cut.wav").write_bytes((tmp_path / "whole.wav").read_bytes()[:20])
    (tmp_path / "header.wav").write_bytes((tmp_path / "whole.wav").read_bytes()[:44])
    (tmp_path / "noise.mp4").write_bytes(b"no video" * 50)
    write_video(tmp_path / "silent.mp4")
    causes = {
        "empty.wav": "empty",
        "cut.wav": "cannot be decoded",
        "header.wav": "no audio samples",
        "noise.mp4": "cannot be decoded",
        "silent.mp4": "no audio track",
        "gone.wav": "No such file",
    }
    for name, cause in causes.items():
        for read in (decode, probe):
            with pytest.raises(AudioError, match=cause) as caught:
                read(tmp_path / name)
            assert str(caught.value).startswith(name)
            assert str(tmp_path) not in str(caught.value)


def test_not_a_number_is_an_error(tmp_path):
    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan, 0.1] * 100), RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"nan\.wav: holds samples that are not finite"):
        decode(tmp_path / "nan.wav")


def test_neither_path_nor_bytes():
    with pytest.raises(AudioError, match="neither"):
        decode({"path": None, "bytes": None})
