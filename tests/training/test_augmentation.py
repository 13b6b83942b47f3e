import sys

import numpy as np
import pytest
import torch

from speechcue_hf.errors import TrainingError
from speechcue_hf.training import augmentation
from speechcue_hf.training.augmentation import Augmentation, add_white_noise, change_gain, change_speed

RATE = 16_000


def has_torchaudio() -> bool:
    try:
        augmentation._torchaudio()
    except TrainingError:
        return False
    return True


needs_torchaudio = pytest.mark.skipif(not has_torchaudio(), reason="no torchaudio: .ci/run's second environment has it")


def tone(hz: float, seconds: float = 1.0) -> torch.Tensor:
    return torch.from_numpy(0.1 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)).float()


def loudest_hz(samples: torch.Tensor) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(samples.numpy())))) * RATE / len(samples)


def level_db(samples: torch.Tensor) -> float:
    return float(10 * np.log10(np.mean(np.square(samples.double().numpy()))))


@needs_torchaudio
@pytest.mark.parametrize("gain_db", [-12.0, 6.0])
def test_gain_is_exact_in_db(gain_db: float) -> None:
    clip = tone(200)
    assert level_db(change_gain(clip, gain_db)) - level_db(clip) == pytest.approx(gain_db, abs=1e-4)


@needs_torchaudio
@pytest.mark.parametrize("snr_db", [0.0, 15.0])
def test_noise_lies_as_far_below_speech_as_asked(snr_db: float) -> None:
    clip = tone(200)
    noise = add_white_noise(clip, snr_db) - clip
    assert level_db(clip) - level_db(noise) == pytest.approx(snr_db, abs=1e-3)
    power = np.abs(np.fft.rfft(noise.numpy())) ** 2
    assert power[: len(power) // 2].mean() == pytest.approx(power[len(power) // 2 :].mean(), rel=0.1), "white"


@needs_torchaudio
@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_speed_changes_duration_and_pitch_together(factor: float) -> None:
    faster = change_speed(tone(200), RATE, factor)
    assert len(faster) == pytest.approx(RATE / factor, abs=1)
    assert loudest_hz(faster) == pytest.approx(200 * factor, abs=1.5)


@needs_torchaudio
def test_masks_stay_within_their_limits_and_cover_all_layers_alike() -> None:
    torch.manual_seed(0)
    settings = Augmentation(
        time_masks=2, longest_time_mask=9, largest_time_share=0.1, width_masks=1, widest_width_mask=4
    )
    changed = 0
    for _ in range(50):
        masked = settings.states(torch.ones(3, 60, 16)) == 0
        assert (masked == masked[0]).all()
        frames, features = masked[0].all(dim=1), masked[0].all(dim=0)
        assert frames.sum() <= 2 * 6, "two masks of a tenth of 60 frames"
        assert features.sum() <= 4
        assert masked[0].sum() == frames.sum() * 16 + features.sum() * 60 - frames.sum() * features.sum()
        changed += int(masked.any())
    assert changed > 30


@needs_torchaudio
def test_draws_differ_from_clip_to_clip_and_follow_the_seed() -> None:
    settings = Augmentation(speeds=(0.9, 1.0, 1.1), gain_db=6.0, snr_db=(10.0, 20.0))
    torch.manual_seed(1)
    first = [settings.samples(tone(200), RATE) for _ in range(20)]
    assert sorted({len(clip) for clip in first}) == pytest.approx([RATE / 1.1, RATE, RATE / 0.9], abs=1)
    levels = [level_db(clip) - level_db(tone(200)) for clip in first]
    assert -6.1 <= min(levels) < -2 and 2 < max(levels) <= 6.5
    torch.manual_seed(1)
    again = [settings.samples(tone(200), RATE) for _ in range(20)]
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))


@needs_torchaudio
def test_noise_leaves_silence_silent() -> None:
    assert not add_white_noise(torch.zeros(100), 10.0).any()


def test_a_torchaudio_that_does_not_import_is_an_error_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchaudio", None)
    with pytest.raises(TrainingError, match=r"needs a torchaudio that matches torch .*speechcue_hf\[torchaudio\]"):
        change_gain(tone(200), 3.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"speeds": (3.0,)}, "between 0.5 and 2"),
        ({"gain_db": -1.0}, "not be negative"),
        ({"largest_time_share": 2.0}, "between 0 and 1"),
        ({"snr_db": (20.0, 10.0)}, "least, most"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Augmentation(**settings)


def test_what_a_setting_changes_is_known() -> None:
    assert Augmentation(gain_db=3.0).changes_style and not Augmentation(snr_db=(5.0, 9.0)).changes_style
    assert Augmentation(snr_db=(5.0, 9.0)).changes_samples and not Augmentation(time_masks=1).changes_samples
    assert Augmentation(time_masks=1).changes_states
