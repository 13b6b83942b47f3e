from typing import Any

import numpy as np
import pytest
import torch

from speechcue_hf.models.semollm.clips_semollm import prepare_clip, read_samples, resample

LIMITS: dict[str, Any] = {
    "rate": 16_000, "target_rate": 16_000, "max_seconds": 1.0, "shortest": 400, "long_audio": "cut",
}  # fmt: skip


@pytest.mark.parametrize(("dtype", "full"), [(np.int8, 128), (np.int16, 2**15), (np.int32, 2**31)])
def test_integers_are_scaled_to_one(dtype: type[np.integer[Any]], full: int) -> None:
    samples = read_samples(np.array([0, -full, full // 2], dtype=dtype), "clip 0")
    assert samples.tolist() == [0.0, -1.0, 0.5]


def test_eight_bit_wav_is_silent_at_128() -> None:
    assert read_samples(np.array([128, 0, 192], dtype=np.uint8), "clip 0").tolist() == [0.0, -1.0, 0.5]


def test_channels_are_averaged_whichever_axis_they_lie_on() -> None:
    left, right = np.linspace(0, 1, 50), np.linspace(1, 0, 50)
    for stereo in (np.stack([left, right]), np.stack([left, right], axis=1), torch.tensor(np.stack([left, right]))):
        assert np.allclose(read_samples(stereo, "clip 0"), 0.5)


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (np.array([0.0, np.nan]), "clip 3: .*not finite"),
        (np.array([0.0, np.inf]), "clip 3: .*not finite"),
        (np.array([]), "clip 3: holds no samples"),
        (np.zeros((2, 3, 4)), r"clip 3: .*\(2, 3, 4\)"),
        (np.array(0.5), "clip 3: .*dimensions"),
        (np.zeros(9, dtype=np.int64), "clip 3: int64 samples have no known full scale"),
        (np.array(["a.wav"]), "clip 3: .*no known full scale"),
    ],
)
def test_what_is_no_clip_is_named(clip: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_samples(clip, "clip 3")


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000])
def test_resampled_tone_is_the_tone_at_the_new_rate(rate: int) -> None:
    def tone(at: int) -> Any:
        time = np.arange(at) / at
        return (np.sin(2 * np.pi * 440 * time) * np.sin(np.pi * time) ** 2).astype(np.float32)

    assert np.allclose(resample(tone(rate), rate, 16_000), tone(16_000), atol=1e-4)


def test_what_the_new_rate_cannot_hold_does_not_come_back_as_another_tone() -> None:
    time = np.arange(48_000) / 48_000
    high = (np.sin(2 * np.pi * 12_000 * time) * np.hanning(48_000)).astype(np.float32)
    assert np.abs(resample(high, 48_000, 16_000)).max() < 1e-4
    with pytest.raises(ValueError, match="must be positive"):
        resample(high, 0, 16_000)


def test_clips_are_brought_within_the_limits_and_say_so() -> None:
    clip = np.linspace(-1, 1, 40_000)
    (cut,), note = prepare_clip(clip, "clip 0", **LIMITS)
    assert np.allclose(cut, clip[:16_000])
    assert note == "cut: the first 1.00 s of 2.50 s"
    windows, note = prepare_clip(clip, "clip 0", **LIMITS | {"long_audio": "window"})
    assert np.allclose(np.concatenate(windows), clip)
    assert {len(window) for window in windows} == {13_333, 13_334}
    assert note == "windowed: 2.50 s in 3 windows"
    (short,), note = prepare_clip(clip[:100], "clip 0", **LIMITS)
    assert short.tolist() == [*clip[:100].astype(np.float32).tolist(), *[0.0] * 300]
    assert note == "padded: 0.0063 s to 0.0250 s"
    assert prepare_clip(clip[:16_000], "clip 0", **LIMITS)[1] == ""
    with pytest.raises(ValueError, match="'cut' or 'window'"):
        prepare_clip(clip, "clip 0", **LIMITS | {"long_audio": "drop"})
