import pytest
import torch

from speechcue_hf.models.tiny_semollm import build_tiny_semollm
from speechcue_hf.training.augmentation import Augmentation
from speechcue_hf.training.semollm_trainer import augmented
from tests.training.test_augmentation import needs_torchaudio


def test_states_are_masked_alike_whether_computed_or_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = build_tiny_semollm(["a high voice"])[0].model.speech_encoder
    samples, mask = torch.randn(2, 4000, generator=torch.Generator().manual_seed(0)), torch.ones(2, 4000)
    mask[1, 2000:] = 0
    states, frames = encoder(samples, mask)
    kept = {"labels": mask, "speech_states": states.half(), "speech_states_mask": frames}
    computed = {"labels": mask, "input_features": samples, "input_features_mask": mask}
    monkeypatch.setattr(Augmentation, "states", lambda self, clip: clip * (torch.arange(clip.shape[1]) > 0)[:, None])
    for inputs in (kept, computed):
        found = augmented(inputs, encoder, Augmentation(time_masks=1))
        assert set(found) == {"labels", "speech_states", "speech_states_mask"}
        assert torch.equal(found["speech_states_mask"], frames)
        assert not found["speech_states"][:, :, 0].any()
        torch.testing.assert_close(found["speech_states"][:, :, 1:].float(), states[:, :, 1:], atol=2e-3, rtol=2e-3)
    assert kept["speech_states"][:, :, 0].any(), "what is kept stays as it is"


@needs_torchaudio
def test_masks_leave_the_padding_out_and_differ_between_clips() -> None:
    states = torch.ones(2, 3, 50, 8)
    frames = torch.arange(50) < torch.tensor([[50], [20]])
    inputs = {"speech_states": states, "speech_states_mask": frames}
    torch.manual_seed(0)
    settings = Augmentation(time_masks=1, longest_time_mask=40, largest_time_share=0.5)
    for _ in range(20):
        masked = augmented(inputs, torch.nn.Identity(), settings)["speech_states"][:, 0, :, 0] == 0
        assert masked[0].sum() <= 25 and masked[1].sum() <= 10 and not masked[1, 20:].any()
    assert masked.any() and masked[0, :20].tolist() != masked[1, :20].tolist()
