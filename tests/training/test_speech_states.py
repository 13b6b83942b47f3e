import json
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import DatasetDict

from speechcue_hf.errors import TrainingError
from speechcue_hf.training.speech_states import clip_inputs, keep_states, read_clip, states_of
from tests.models.semollm.tiny_model import build_tiny_semollm
from tests.training.spoken_corpus import spoken_corpus

pytestmark = pytest.mark.slow

SECONDS = 6.0


@pytest.fixture(scope="module")
def clips() -> DatasetDict:
    return spoken_corpus({"train": 5, "validation": 2})[0]


@pytest.fixture(scope="module")
def tiny() -> tuple:
    return build_tiny_semollm(["a high voice"])


def test_kept_states_are_those_of_each_clip_alone_in_half_precision(
    clips: DatasetDict, tiny: tuple, tmp_path: Path
) -> None:
    model, processor = tiny
    encoder = model.model.speech_encoder
    kept = keep_states(clips, encoder, processor, tmp_path, seconds=SECONDS)
    for row, clip in zip(kept["train"], clips["train"], strict=True):
        samples, rate = read_clip(clip["audio"], SECONDS)
        states, mask = encoder(**clip_inputs(processor, [samples], [rate], SECONDS))
        assert row["utterance_id"] == clip["utterance_id"] and row["frames"] == mask.sum()
        found = states_of(row, layers=3)
        assert found.dtype == torch.float16 and found.shape == states[0].shape
        np.testing.assert_allclose(found.float(), states[0], rtol=2e-3, atol=2e-3)


def test_the_kept_sum_is_the_layers_by_their_weights(clips: DatasetDict, tiny: tuple, tmp_path: Path) -> None:
    model, processor = tiny
    weights = torch.tensor([0.5, -1.0, 2.0])
    kept = keep_states(
        clips, model.model.speech_encoder, processor, tmp_path, seconds=SECONDS, layer_weights=weights
    )["train"][1]  # fmt: skip
    samples, rate = read_clip(clips["train"][1]["audio"], SECONDS)
    states, _ = model.model.speech_encoder(**clip_inputs(processor, [samples], [rate], SECONDS))
    shares = np.exp(weights.numpy()) / np.exp(weights.numpy()).sum()
    np.testing.assert_allclose(states_of(kept, 1)[0].float(), np.tensordot(shares, states[0], 1), rtol=2e-3, atol=2e-3)


def test_states_are_computed_once_and_bytes_are_as_said(
    clips: DatasetDict, tiny: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, processor = tiny
    first = keep_states(clips, model.model.speech_encoder, processor, tmp_path, seconds=SECONDS)["train"]
    assert all(len(row["speech_states"]) == 2 * 3 * 32 * row["frames"] for row in first)
    monkeypatch.setattr(type(model.model.speech_encoder), "forward", lambda *_: pytest.fail("encoded again"))
    again = keep_states(clips, model.model.speech_encoder, processor, tmp_path, seconds=SECONDS)["train"]
    assert again.to_list() == first.to_list()


def test_states_of_another_encoder_length_or_corpus_are_refused(
    clips: DatasetDict, tiny: tuple, tmp_path: Path
) -> None:
    model, processor = tiny
    encoder = model.model.speech_encoder
    keep_states(clips, encoder, processor, tmp_path, seconds=SECONDS)
    with pytest.raises(TrainingError, match=r"states.json tells of states that differ in seconds: name another folder"):
        keep_states(clips, encoder, processor, tmp_path, seconds=3.0)
    with pytest.raises(TrainingError, match="differ in kind, weights"):
        keep_states(clips, encoder, processor, tmp_path, seconds=SECONDS, layer_weights=torch.zeros(3))
    other = build_tiny_semollm(["a high voice"], seed=1)[0].model.speech_encoder
    with pytest.raises(TrainingError, match="differ in encoder_sha256"):
        keep_states(clips, other, processor, tmp_path, seconds=SECONDS)
    louder = build_tiny_semollm(["a high voice"])[1]
    louder.feature_extractor.do_normalize = False
    with pytest.raises(TrainingError, match="differ in feature_extractor"):
        keep_states(clips, encoder, louder, tmp_path, seconds=SECONDS)
    fewer = DatasetDict({"train": clips["train"].select([1, 0])})
    with pytest.raises(TrainingError, match=r"train.arrow holds states of other utterances"):
        keep_states(fewer, encoder, processor, tmp_path, seconds=SECONDS)
    swapped = [row["audio"] for row in clips["train"]]
    swapped[2], swapped[4] = swapped[4], swapped[2]
    other_clips = clips["train"].remove_columns("audio").add_column("audio", swapped)
    with pytest.raises(
        TrainingError, match=r"train.arrow holds states of 2 clips that have changed .* 'train2': delete"
    ):
        keep_states(DatasetDict({"train": other_clips}), encoder, processor, tmp_path, seconds=SECONDS)
    assert "path" not in json.loads((tmp_path / "states.json").read_text())
