"""The pipeline of transformers gives what the explainer gives."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from transformers import pipeline

import speechcue_hf.inference.pipelines  # noqa: F401
from speechcue_hf.errors import DescriberError
from speechcue_hf.inference.explain import Explainer
from speechcue_hf.inference.settings import InferenceSettings
from speechcue_hf.models.loading import load_speech_model
from tests.speech_models import describe, spoken_rows, write_clip, write_model

TASK = "speech-emotion-explanation"


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipeline")
    describer, described = describe(spoken_rows(folder / "clips"))
    return write_model(folder / "model", describer, described)


@pytest.fixture(scope="module")
def explain(model_folder):
    return pipeline(TASK, model=str(model_folder), device=-1)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    clips = [write_clip(folder / f"{f0}.wav", f0, 0.1, seconds=f0 / 400) for f0 in (120, 180, 240)]
    return [str(clip) for clip in [*clips, folder / "gone.wav"]]


def likely(found):
    return pytest.approx(found["probabilities"], abs=1e-4)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_files_one_by_one_and_in_batches(explain, model_folder, clips, batch_size):
    expected = list(Explainer.from_pretrained(model_folder, settings=InferenceSettings(new_tokens=4))(clips))
    found = explain(clips, batch_size=batch_size, new_tokens=4)
    assert [entry["clip"] for entry in found] == clips
    assert "No such file" in found[3]["error"] and found[3]["emotion"] is None
    for entry, explanation in zip(found[:3], expected, strict=False):
        assert entry["probabilities"] == pytest.approx(dict(explanation.probabilities), abs=1e-4)
        assert (entry["explanation"], entry["marked"]) == (explanation.explanation, explanation.marked)


def test_samples_and_bytes_are_heard_like_their_file(explain, clips):
    samples, rate = soundfile.read(clips[0])
    path = explain(clips[0], new_tokens=1)
    with open(clips[0], "rb") as file:
        assert explain(file.read(), new_tokens=1)["probabilities"] == likely(path)
    stereo = np.stack([samples, samples])
    whole = (samples * 32768).astype(np.int16)
    for array in (samples, samples.astype(np.float32), stereo, stereo.T, whole):
        found = explain({"array": array, "sampling_rate": rate}, new_tokens=1)
        assert found["probabilities"] == likely(path) and found["clip"] == "audio bytes"
    assert "not finite" in explain({"array": samples * np.nan, "sampling_rate": rate})["error"]


@pytest.mark.parametrize(
    ("array", "rate", "message"),
    [
        (np.zeros(9, np.int64), 16_000, r"got int64 of shape \(9,\)"),
        (np.zeros((2, 3, 4)), 16_000, r"of shape \(2, 3, 4\)"),
        (np.array(0.5), 16_000, r"of shape \(\)"),
        (np.zeros(9), 0, "must be positive, got 0 Hz"),
    ],
)
def test_what_are_no_samples_is_refused(explain, array, rate, message):
    with pytest.raises(ValueError, match=message):
        explain({"array": array, "sampling_rate": rate})


def test_a_loaded_model_is_told_where_its_records_lie(model_folder, clips, tmp_path):
    model, processor = load_speech_model(model_folder)
    found = pipeline(TASK, model=model, processor=processor, source=model_folder, emotions=["sad", "glad"], device=-1)
    assert set(found(clips[0], new_tokens=1)["probabilities"]) == {"sad", "glad"}
    with pytest.raises(DescriberError, match=r"holds no describer\.json"):
        pipeline(TASK, model=model, processor=processor, source=tmp_path, emotions=["sad", "glad"], device=-1)
