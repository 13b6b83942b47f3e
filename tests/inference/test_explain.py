"""Explanations beside measurements; the figures of Praat are asked for directly."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import parselmouth
import pytest
import soundfile

from speechcue_hf.captions.tasks import SEMOLLM_TASKS, caption_task
from speechcue_hf.cues.describe import SpeechDescriber
from speechcue_hf.errors import DescriberError, EvaluationError
from speechcue_hf.inference.explain import Explainer, Explanation, check_claims, find_clips
from speechcue_hf.inference.settings import InferenceSettings
from speechcue_hf.inference.speech import taught_tasks
from speechcue_hf.inference.speech_model import SpeechLanguageModel
from speechcue_hf.records import CaptionsRecord, read_record
from tests.speech_models import EMOTIONS, describe, spoken_rows, write_clip, write_model


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explain")
    describer, described = describe(spoken_rows(folder / "clips"))
    return write_model(folder / "model", describer, described)


@pytest.fixture(scope="module")
def explainer(model_folder):
    return Explainer.from_pretrained(model_folder, settings=InferenceSettings(batch_size=2, new_tokens=4))


def test_claims_beside_measurements():
    text = "The emotion is sad. The speaker speaks with low pitch, slow speed and loud volume."
    claims = check_claims(text, {"pitch": "high", "speed": None, "volume": "loud"})
    assert [(claim.cue, claim.stated, claim.measured, claim.contradicted) for claim in claims] == [
        ("pitch", "low", "high", True),
        ("speed", "slow", None, False),
        ("volume", "loud", "loud", False),
    ]
    marked = Explanation("clip", explanation=text, claims=claims).marked
    assert marked == (
        "The emotion is sad. The speaker speaks with low pitch [measured: high], slow speed and loud volume."
    )


def test_a_level_that_is_denied_though_measured_is_marked():
    text = "Not loud, but the pitch isn't low."
    explanation = Explanation("clip", explanation=text, claims=check_claims(text, {"pitch": "high", "volume": "loud"}))
    assert [(claim.stated, claim.contradicted) for claim in explanation.claims] == [
        ("not loud", True),
        ("not low", False),
    ]
    assert explanation.marked == "Not loud [measured: loud], but the pitch isn't low."


def test_two_false_claims_are_both_marked():
    text = "Low pitch and loud volume."
    explanation = Explanation("clip", explanation=text, claims=check_claims(text, {"pitch": "high", "volume": "quiet"}))
    assert explanation.marked == "Low pitch [measured: high] and loud volume [measured: quiet]."


def test_what_a_model_says_is_judged_by_praat(explainer, tmp_path, monkeypatch):
    """The model is made to say that every clip is high and quiet; the levels are cut where the describer cut them."""
    said = "The emotion is sad. The speaker speaks with high pitch and quiet volume."
    monkeypatch.setattr(SpeechLanguageModel, "write_answers", lambda self, clips, *rest: [said] * len(clips))
    clips = [write_clip(tmp_path / f"{f0}.wav", f0, gain) for f0, gain in ((95, 0.5), (180, 0.08), (280, 0.01))]
    thresholds = explainer.describer.groups["overall"].cues
    for clip, explanation in zip(clips, explainer(clips), strict=True):
        sound = parselmouth.Sound(str(clip))
        pitch = parselmouth.praat.call(sound.to_pitch(None, 60.0, 500.0), "Get quantile", 0, 0, 0.5, "Hertz")
        loudness = parselmouth.praat.call(sound.to_intensity(), "Get mean", 0, 0, "energy")
        values = {"pitch": ("f0_median_hz", pitch), "volume": ("intensity_mean_db", loudness)}
        words = {"pitch": ("low", "normal", "high"), "volume": ("quiet", "normal", "loud")}
        for claim in explanation.claims:
            column, value = values[claim.cue]
            measured = words[claim.cue][sum(value > bound for bound in thresholds[column].thresholds)]
            assert (claim.measured, claim.contradicted) == (measured, claim.stated != measured)
        assert len(explanation.claims) == 2


@pytest.mark.parametrize(
    ("said", "gender", "compared"),
    [
        ("A woman with low pitch.", None, "female"),
        ("A woman with low pitch.", "male", "male"),
        ("A voice with low pitch.", None, None),
        ("A man or a woman with low pitch.", None, None),
    ],
)
def test_levels_are_of_the_gender_that_is_known_or_stated(explainer, tmp_path, monkeypatch, said, gender, compared):
    real, asked = SpeechDescriber.describe_clip, []

    def describe_clip(self, clip, *, gender):
        asked.append(gender)
        return real(self, clip, gender=gender)

    monkeypatch.setattr(SpeechDescriber, "describe_clip", describe_clip)
    monkeypatch.setattr(SpeechLanguageModel, "write_answers", lambda self, clips, *rest: [said] * len(clips))
    list(explainer([write_clip(tmp_path / "clip.wav", 150, 0.1)], gender=gender))
    assert asked == [compared]


def test_clips_that_cannot_be_heard_keep_their_place(explainer, tmp_path):
    good = write_clip(tmp_path / "good.wav", 150, 0.1)
    silent = write_clip(tmp_path / "silent.wav", 150, 0.0)
    tiny = write_clip(tmp_path / "tiny.wav", 150, 0.1, seconds=0.001)
    stereo = tmp_path / "stereo.flac"
    soundfile.write(stereo, [[0.1, 0.0], [0.0, 0.1]] * 12000, 44100, subtype="PCM_24")
    long = write_clip(tmp_path / "long.wav", 150, 0.1, seconds=12.5)
    (tmp_path / "broken.wav").write_bytes(b"RIFF....")
    nan = tmp_path / "nan.wav"
    soundfile.write(nan, [0.0, float("nan")] * 4000, 16000, subtype="FLOAT")
    clips = [good, tmp_path / "gone.wav", silent, tmp_path / "broken.wav", nan, tiny, stereo, long]
    found = {explanation.clip: explanation for explanation in explainer(clips)}
    assert list(found) == [str(clip) for clip in clips]
    errors = {explanation.clip: explanation.error for explanation in found.values() if explanation.error}
    assert list(errors) == [str(clip) for clip in (tmp_path / "gone.wav", tmp_path / "broken.wav", nan)]
    assert "No such file" in errors[str(tmp_path / "gone.wav")] and "not finite" in errors[str(nan)]
    for clip in (good, silent, tiny, stereo, long):
        assert found[str(clip)].emotion in EMOTIONS
        assert sum(found[str(clip)].probabilities.values()) == pytest.approx(1)
        assert found[str(clip)].explanation.startswith(f"The emotion is {found[str(clip)].emotion}.")
    assert found[str(long)].note.startswith("heard: the first 12 s of 12.50 s")
    assert found[str(silent)].note == "digital silence"
    json.dumps([explanation.to_dict() for explanation in found.values()])


def test_bytes_are_explained_like_their_file(explainer, tmp_path):
    clip = write_clip(tmp_path / "clip.wav", 150, 0.1)
    from_path, from_bytes = explainer([clip, {"path": None, "bytes": clip.read_bytes()}])
    assert from_bytes.clip == "audio bytes"
    assert from_bytes.probabilities == pytest.approx(from_path.probabilities, abs=1e-4)
    assert from_bytes.claims == from_path.claims


def test_a_part_of_a_recording_is_explained_like_its_clip(explainer, tmp_path):
    """The recording has another voice on its right, and before and after the part."""
    samples, rate = soundfile.read(write_clip(tmp_path / "clip.wav", 150, 0.1), dtype="int16")
    other = np.resize(soundfile.read(write_clip(tmp_path / "other.wav", 280, 0.3), dtype="int16")[0], 3 * len(samples))
    left = np.concatenate([other[: len(samples)], samples, other[: len(samples)]])
    soundfile.write(tmp_path / "call.wav", np.stack([left, other], axis=1), rate)
    seconds = len(samples) / rate
    part = {"path": str(tmp_path / "call.wav"), "start": seconds, "end": 2 * seconds, "channel": "left"}
    of_clip, of_part = explainer([tmp_path / "clip.wav", part])
    assert of_part.clip == f"{tmp_path / 'call.wav'} (start {seconds}, end {2 * seconds}, channel left)"
    assert of_part.probabilities == pytest.approx(of_clip.probabilities, abs=1e-4)
    expected = explainer.describer.describe_clip(tmp_path / "clip.wav")
    found = explainer.describer.describe_clip(part)
    apart = explainer.describer.describe_clip(part["path"], start=seconds, end=2 * seconds, channel=0)
    for row in (found, apart):
        assert row["f0_median_hz"] == expected["f0_median_hz"] and row["duration_s"] == pytest.approx(seconds)
        assert row["speech_description"] == expected["speech_description"]
    with pytest.raises(ValueError, match="there is no channel 2: the file has 2 channels, 0 to 1"):
        explainer.describer.describe_clip(part["path"], channel=2)


def test_what_a_model_was_taught(model_folder):
    record = read_record(CaptionsRecord, model_folder)
    assert record.emotions == tuple(EMOTIONS)
    assert [task.name for task in taught_tasks(record)] == ["emotion", "explanation"]
    assert [task.name for task in taught_tasks(None)] == ["emotion", "explanation"]
    for names, found in [
        (["emotion+pitch"], ("emotion+pitch", "emotion+pitch")),
        (SEMOLLM_TASKS, ("emotion", "style")),
        (["pitch+volume", "emotion+pitch"], ("emotion+pitch", "emotion+pitch")),
        (["style"], ("emotion", "style")),
    ]:
        taught = replace(record, tasks=dict.fromkeys(names))
        assert tuple(task.name for task in taught_tasks(taught)) == found


def test_a_voice_described_apart_from_its_emotion_explains_it_too(explainer, tmp_path, monkeypatch):
    asked = []

    def write(self, clips, task, beginnings, *rest):
        asked.append((task.name, beginnings))
        return ["The speaker speaks with high pitch."] * len(clips)

    monkeypatch.setattr(SpeechLanguageModel, "write_answers", write)
    clip = write_clip(tmp_path / "clip.wav", 95, 0.1)
    (explanation,) = replace(explainer, classifier=replace(explainer.classifier, explain=caption_task("style")))([clip])
    assert asked == [("style", [""])]
    opening = f"The emotion is {explanation.emotion}."
    assert explanation.marked == f"{opening} The speaker speaks with high pitch [measured: low]."


@pytest.mark.parametrize(
    ("missing", "error", "message"),
    [
        ("describer.json", DescriberError, "holds no describer.json"),
        ("captions.json", EvaluationError, "which emotions it knows .captions.json is not there"),
    ],
)
def test_what_must_lie_beside_a_model(model_folder, tmp_path, missing, error, message):
    folder = shutil.copytree(model_folder, tmp_path / "model")
    (folder / missing).unlink()
    with pytest.raises(error, match=message):
        Explainer.from_pretrained(folder)


def test_emotions_can_be_named(model_folder, tmp_path):
    folder = shutil.copytree(model_folder, tmp_path / "model")
    (folder / "captions.json").unlink()
    assert Explainer.from_pretrained(folder, names=["sad", "glad"]).classifier.names == ("sad", "glad")


def test_another_kind_of_model_is_refused(model_folder, tmp_path):
    from speechcue_hf.models.tiny import build_tiny_model

    model, tokenizer = build_tiny_model(["angry"], vocabulary=300)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    for name in ("describer.json", "captions.json"):
        shutil.copyfile(model_folder / name, tmp_path / name)
    with pytest.raises(EvaluationError, match="does not hear them: it cannot explain one"):
        Explainer.from_pretrained(tmp_path, names=EMOTIONS)


def test_files_and_folders(tmp_path):
    for name in ("b/two.FLAC", "b/a/one.wav", "b/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_clips([tmp_path / "gone.wav", tmp_path / "b"])
    assert found == [tmp_path / "gone.wav", tmp_path / "b/a/one.wav", tmp_path / "b/two.FLAC"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(EvaluationError, match="empty holds no audio file"):
        find_clips([tmp_path / "empty"])


def test_a_batch_needs_a_clip():
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        InferenceSettings(batch_size=0)
