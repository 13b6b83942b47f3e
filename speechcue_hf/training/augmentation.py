"""Augmentation of training clips with torchaudio; never of clips that are evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

import torch
from torch import Tensor

from speechcue_hf.errors import TrainingError
from speechcue_hf.values import fitted, meant


@dataclass(frozen=True)
class Augmentation:
    """What is changed, anew for each clip and epoch, by torch's random generator.

    Args:
        speeds: Factors of the speed, one of which is drawn; pitch changes with it, as on a tape. Empty: none.
        gain_db: Most dB that a clip is made louder or softer by.
        snr_db: Least and most dB that speech is above added white noise; None adds none.
        time_masks: SpecAugment: stretches of frames set to 0.
        longest_time_mask: Most frames of one.
        largest_time_share: Most of a clip's frames that one may cover, 0 to 1.
        width_masks: SpecAugment: bands of features set to 0.
        widest_width_mask: Most features of one.

    Raises:
        ValueError: If a setting is out of its range.
    """

    speeds: tuple[float, ...] = ()
    gain_db: float = 0.0
    snr_db: tuple[float, float] | None = None
    time_masks: int = 0
    longest_time_mask: int = 20
    largest_time_share: float = 0.2
    width_masks: int = 0
    widest_width_mask: int = 16

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Augmentation:
        """Make one of the settings of a recipe.

        Raises:
            ValueError: If there is no such setting, or it has no such value.

        Example:
            >>> Augmentation.of({"speeds": [0.9, 1.1]}).speeds
            (0.9, 1.1)
        """
        hints = get_type_hints(cls)
        if wrong := [name for name in settings if name not in hints]:
            raise ValueError(f"augmentation: the setting {wrong[0]!r} {meant(str(wrong[0]), hints)}")
        try:
            return cls(**{name: fitted(name, value, hints[name]) for name, value in settings.items()})
        except TypeError as error:
            raise ValueError(f"augmentation: {error}") from error

    def __post_init__(self) -> None:
        if any(not 0.5 <= speed <= 2.0 for speed in self.speeds):
            raise ValueError(f"speeds must lie between 0.5 and 2, got {self.speeds}")
        if self.gain_db < 0 or min(self.time_masks, self.width_masks) < 0:
            raise ValueError("gain_db, time_masks and width_masks must not be negative")
        if not 0 <= self.largest_time_share <= 1:
            raise ValueError(f"largest_time_share must lie between 0 and 1, got {self.largest_time_share}")
        if self.snr_db is not None and self.snr_db[0] > self.snr_db[1]:
            raise ValueError(f"snr_db is (least, most), got {self.snr_db}")

    @property
    def changes_samples(self) -> bool:
        """Whether there is something to do before the speech encoder."""
        return bool(self.speeds or self.gain_db or self.snr_db)

    @property
    def changes_states(self) -> bool:
        """Whether there is something to do after the speech encoder."""
        return bool(self.time_masks or self.width_masks)

    @property
    def changes_style(self) -> bool:
        """Whether captions that tell pitch, pace or volume would no longer be true; none tells of noise."""
        return bool(self.speeds or self.gain_db)

    def samples(self, samples: Tensor, rate: int) -> Tensor:
        """Change a clip.

        Args:
            samples: Shape ``(samples,)``.
            rate: Samples per second, in Hz.

        Returns:
            Shape ``(samples,)``; another number of them where the speed was changed.
        """
        if self.speeds:
            samples = change_speed(samples, rate, self.speeds[int(torch.randint(len(self.speeds), ()))])
        if self.gain_db:
            samples = change_gain(samples, float(torch.empty(()).uniform_(-self.gain_db, self.gain_db)))
        if self.snr_db is not None:
            samples = add_white_noise(samples, float(torch.empty(()).uniform_(*self.snr_db)))
        return samples

    def states(self, states: Tensor) -> Tensor:
        """Mask what the speech encoder made of a clip, the same frames and features in all layers (SpecAugment, 2019).

        Args:
            states: Shape ``(layers, frames, width)`` or ``(frames, width)``.

        Returns:
            The same shape.
        """
        functional = _torchaudio().functional
        # On the CPU, whose generator the other draws are from. One mask for a spectrogram of ones serves all layers;
        # torchaudio's axes are features, then frames.
        mask = torch.ones(1, states.shape[-1], states.shape[-2], dtype=states.dtype)
        for _ in range(self.time_masks):
            mask = functional.mask_along_axis(mask, self.longest_time_mask, 0.0, 2, self.largest_time_share)
        for _ in range(self.width_masks):
            mask = functional.mask_along_axis(mask, self.widest_width_mask, 0.0, 1)
        return states * mask[0].T.to(states.device)


def change_speed(samples: Tensor, rate: int, factor: float) -> Tensor:
    """Play a clip faster or slower, as a tape: pitch rises and falls with the speed.

    Args:
        samples: Shape ``(samples,)``.
        rate: Samples per second, in Hz.
        factor: Of the speed; 2 halves the duration.

    Returns:
        Shape ``(samples / factor,)``, rounded up.
    """
    changed: Tensor = _torchaudio().functional.speed(samples, rate, factor)[0]
    return changed


def change_gain(samples: Tensor, gain_db: float) -> Tensor:
    """Make a clip louder or softer.

    Args:
        samples: Any shape.
        gain_db: In dB; 20 is ten times the amplitude.

    Returns:
        The same shape; not clipped.
    """
    changed: Tensor = _torchaudio().functional.gain(samples, gain_db)
    return changed


def add_white_noise(samples: Tensor, snr_db: float) -> Tensor:
    """Add white Gaussian noise.

    Args:
        samples: Shape ``(samples,)``.
        snr_db: Energy of the clip over that of the noise, in dB.

    Returns:
        The same shape; silence stays as it is, for no noise is softer than it by a number of dB.
    """
    if not bool(samples.any()):
        return samples
    noisy: Tensor = _torchaudio().functional.add_noise(samples, torch.randn_like(samples), torch.tensor(snr_db))
    return noisy


def _torchaudio() -> Any:
    """The library, imported in this one place."""
    try:
        import torchaudio  # type: ignore[import-not-found]
    except (ImportError, OSError, RuntimeError) as error:
        raise TrainingError(
            f"augmentation needs a torchaudio that matches torch {torch.__version__}, and there is none ({error}): "
            "pip install 'speechcue_hf[torchaudio]', which installs the pair, or leave augmentation out"
        ) from error
    return torchaudio
