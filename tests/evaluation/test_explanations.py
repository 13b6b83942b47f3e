"""Evaluation of a model that hears and of what it states, against scikit-learn, Praat and explanations made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import parselmouth
import pytest
import soundfile
from datasets import Audio, ClassLabel, Dataset
from sklearn import metrics

from speechcue_hf.captions.build import caption_dataset
from speechcue_hf.captions.check import contradicted
from speechcue_hf.captions.reading import Claim
from speechcue_hf.captions.tasks import caption_task
from speechcue_hf.corpora.joining import with_clips
from speechcue_hf.cues.describe import SpeechDescriber, describe_dataset
from speechcue_hf.cues.measure import MeasurementSettings, measure_dataset
from speechcue_hf.errors import CorpusError, EvaluationError
from speechcue_hf.evaluation import evaluate as evaluation
from speechcue_hf.evaluation.explanations import caption_faithfulness, score_explanations
from speechcue_hf.inference.loading import load_classifier
from speechcue_hf.inference.settings import InferenceSettings
from speechcue_hf.inference.speech_model import SpeechLanguageModel
from tests.records import simple_describer
from tests.speech_models import EMOTIONS, describe, spoken_rows, write_model


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    return spoken_rows(tmp_path_factory.mktemp("speech"))


@pytest.fixture(scope="module")
def described(rows):
    return describe(rows)[1]


@pytest.fixture(scope="module")
def classifier(rows, described, tmp_path_factory):
    folder = write_model(tmp_path_factory.mktemp("model"), describe(rows)[0], described)
    return load_classifier(folder, settings=InferenceSettings(batch_size=3, new_tokens=3))


def evaluate(described, clips, classifier):
    return evaluation.evaluate(classifier, with_clips(described, clips))


def judge_explanations(described, clips, classifier, **options):
    """Scores of the explanations, and the predictions with them."""
    explaining = replace(classifier, settings=replace(classifier.settings, explain=True))
    predictions = evaluate(described, clips, explaining)[1]
    describer, rows = describe(clips)[0], described.select(range(8))
    return score_explanations(rows, predictions["explanation"], explaining, describer, **options), predictions


def make_predict(monkeypatch, answers):
    """Let the model find these emotions likeliest, by utterance in order."""
    real, told = SpeechLanguageModel.score_emotions, iter(answers)

    def score(self, clips, *rest):
        scores = real(self, clips, *rest)
        likely = np.array(
            [[float(emotion == answer) for emotion in EMOTIONS] for answer in (next(told) for _ in clips)]
        )
        return replace(scores, log_likelihood=likely)

    monkeypatch.setattr(SpeechLanguageModel, "score_emotions", score)


def test_scores_are_scikit_learns(rows, described, classifier, monkeypatch):
    answers = ["angry", "sad", "sad", "angry", "angry", "happy", "angry", "happy"]
    make_predict(monkeypatch, answers)
    results, predictions = evaluate(described, rows, classifier)
    true = [EMOTIONS[row % 3] for row in range(8)]
    assert predictions["label"] == true and predictions["prediction"] == answers
    assert results.accuracy == metrics.accuracy_score(true, answers)
    assert results.unweighted_accuracy == metrics.balanced_accuracy_score(true, answers)
    assert results.weighted_f1 == pytest.approx(metrics.f1_score(true, answers, average="weighted"))
    assert (results.n, results.unlabelled, results.unheard, results.seed) == (8, 1, 0, 1)
    assert (results.decode, results.sees_future, results.prompt["name"]) == ("score", False, "emotion")


def test_batches_change_nothing(rows, described, classifier):
    tables = [
        evaluate(described, rows, replace(classifier, settings=InferenceSettings(batch_size=size)))[1]
        for size in (1, 8)
    ]
    for first, second in zip(tables[0]["probabilities"], tables[1]["probabilities"], strict=True):
        assert first == pytest.approx(second, abs=1e-4)


def test_clips_are_found_by_utterance(rows, described, classifier):
    shuffled = rows.select([4, 2, 0, 8, 6, 1, 3, 5, 7])
    plain, other = (evaluate(described, clips, classifier)[1] for clips in (rows, shuffled))
    for first, second in zip(plain["probabilities"], other["probabilities"], strict=True):
        assert first == pytest.approx(second, abs=1e-4)
    with pytest.raises(CorpusError, match=r"has no row for 'u0' \(and 2 more\)"):
        evaluate(described, rows.select(range(3, 9)), classifier)
    with pytest.raises(CorpusError, match="has no column 'audio'"):
        evaluate(described, described, classifier)


def test_a_clip_that_cannot_be_heard_is_a_wrong_answer(rows, described, classifier):
    audio = [None, {"path": "broken.wav", "bytes": b"RIFF"}, *rows["audio"][2:]]
    results, predictions = evaluate(
        described, rows.map(lambda row, i: {"audio": audio[i]}, with_indices=True), classifier
    )
    assert predictions["prediction"][:2] == [None, None] and predictions["probabilities"][0] is None
    assert predictions["note"][0] == "audio missing" and "broken.wav: cannot be decoded" in predictions["note"][1]
    assert (results.n, results.unheard, results.invalid_rate) == (8, 2, 2 / 8)


def test_explanations_are_judged(rows, described, classifier, monkeypatch):
    """The clips rise in pitch and loudness, so of nine the first two are low and quiet, the last two high and loud."""
    said = "The emotion is sad. The speaker says 'Hello, hair!' with high pitch and loud volume."
    monkeypatch.setattr(SpeechLanguageModel, "write_answers", lambda self, clips, *rest: [said] * len(clips))
    judged, predictions = judge_explanations(described, rows, classifier)
    high = sum(level == "high" for level in described["f0_median_hz_level"][:8])
    loud = sum(level == "high" for level in described["intensity_mean_db_level"][:8])
    assert 0 < high < 8 and 0 < loud < 8
    assert judged["faithfulness"]["pitch"]["faithfulness"] == high / 8
    assert judged["faithfulness"]["volume"]["faithfulness"] == loud / 8
    assert judged["faithfulness"]["all"]["faithfulness"] == (high + loud) / 16
    assert judged["faithfulness"]["speed"]["stated"] == 0
    assert judged["transcript"]["word_error_rate"] == 1 / 2  # "hair" for "there", in each.
    assert set(predictions["explanation"]) == {said}
    assert (judged["prompt"]["name"], judged["new_tokens"], judged["beams"]) == ("explanation", 3, 1)


def test_bert_score_is_against_the_templates_captions(rows, described, classifier, monkeypatch):
    monkeypatch.setattr(SpeechLanguageModel, "write_answers", lambda self, clips, *rest: ["Hm."] * len(clips))
    compared = []

    def record(references, texts, **settings):
        compared.append((references, texts, settings))
        return {"f1": 0.5}

    monkeypatch.setattr("speechcue_hf.evaluation.explanations.bert_score", record)
    judged, _ = judge_explanations(described, rows, classifier, bert_model=("org/encoder", 3))
    references, texts, settings = compared[0]
    assert references[0] == "The emotion is angry. The speaker says 'Hello there.' with low pitch and quiet volume."
    assert (texts, settings) == (["Hm."] * 8, {"model": "org/encoder", "layer": 3})
    assert judged["bert_score"] == {"f1": 0.5, "model": "org/encoder"}


def test_an_explanation_is_of_the_predicted_emotion(rows, described, classifier, monkeypatch):
    make_predict(monkeypatch, ["sad"] * 8)
    _, predictions = judge_explanations(described, rows, classifier)
    assert all(text.startswith("The emotion is sad.") for text in predictions["explanation"])


def test_other_emotions_or_levels_are_refused(rows, described, classifier):
    other = described.cast_column("emotion", ClassLabel(names=["happy", "angry", "sad"]))
    with pytest.raises(EvaluationError, match="knows the labels angry, happy, sad, the dataset has happy, angry"):
        evaluate(other, rows, classifier)
    with pytest.raises(EvaluationError, match=r"worded by describer .*, this dataset was worded by"):
        score_explanations(described, [None] * 9, classifier, simple_describer())
    nothing = described.map(lambda row: {"emotion": None})
    with pytest.raises(EvaluationError, match="No row has an emotion"):
        evaluate(nothing, rows, classifier)


def test_worked_by_hand():
    captions = [
        "High pitch, fast speed, loud volume.",
        "Low pitch.",
        "The pitch is high, no, low pitch!",
        None,
        "Nice.",
    ]
    measured = [
        {"pitch": "high", "speed": "slow", "volume": None},
        {"pitch": "low"},
        {"pitch": "low"},
        {"pitch": "low"},
        {"pitch": "low"},
    ]
    scores = caption_faithfulness(captions, measured)
    assert scores["captions"] == 4
    # "no, low pitch" is a statement of low pitch: what is denied is the word before.
    assert scores["pitch"] == {"claims": 4, "unmeasured": 0, "agree": 3, "faithfulness": 3 / 4, "stated": 3 / 5}
    assert scores["speed"] == {"claims": 1, "unmeasured": 0, "agree": 0, "faithfulness": 0, "stated": 1 / 5}
    assert scores["volume"] == {"claims": 1, "unmeasured": 1, "agree": 0, "faithfulness": None, "stated": 1 / 5}
    assert scores["all"] == {"claims": 6, "unmeasured": 1, "agree": 3, "faithfulness": 3 / 5, "stated": 5 / 15}


def test_without_captions_nothing_is_claimed():
    assert caption_faithfulness([], [])["all"]["faithfulness"] is None


def test_each_caption_needs_its_clip():
    with pytest.raises(ValueError, match="got 1 and 0"):
        caption_faithfulness(["High pitch."], [])


@pytest.mark.parametrize(("known", "wrong"), [("low", True), ("high", False), (None, False)])
def test_only_a_measurement_contradicts(known, wrong):
    assert contradicted(Claim("pitch", "high", 0, 10), {"pitch": known}) is wrong
    assert contradicted(Claim("pitch", "low", 0, 10, denied=True), {"pitch": known}) is wrong


def test_a_denied_level_is_none_that_is_stated():
    assert caption_faithfulness(["The pitch is not low."], [{"pitch": "low"}])["pitch"]["claims"] == 0


F0 = (90, 105, 120, 135, 150, 165, 180, 195, 210, 225, 240, 255)
GAIN = (0.3, 0.02, 0.1, 0.25, 0.03, 0.15, 0.05, 0.2, 0.01, 0.12, 0.4, 0.08)


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> list[str]:
    """Buzzes of known pitch and loudness."""
    folder = tmp_path_factory.mktemp("clips")
    time = np.arange(16000) / 16000
    paths = []
    for number, (f0, gain) in enumerate(zip(F0, GAIN, strict=True)):
        buzz = sum(np.sin(2 * np.pi * f0 * harmonic * time) / harmonic for harmonic in range(1, 8))
        paths.append(str(folder / f"{number}.wav"))
        soundfile.write(paths[-1], gain * buzz / 2, 16000)
    return paths


def praat(path: str) -> tuple[float, float]:
    """Median pitch in Hz and mean intensity in dB, by Praat's own commands."""
    sound = parselmouth.Sound(path)
    pitch = parselmouth.praat.call(sound.to_pitch(None, 60.0, 400.0), "Get quantile", 0, 0, 0.5, "Hertz")
    return pitch, parselmouth.praat.call(sound.to_intensity(), "Get mean", 0, 0, "energy")


def test_captions_by_template_agree_with_praat(clips):
    """The levels are cut at the quarters of what Praat itself measures; swapped words are lost, and only they."""
    rows = Dataset.from_dict({"utterance_id": clips, "audio": [{"path": path, "bytes": None} for path in clips]})
    rows = rows.cast_column("audio", Audio(decode=False))
    measured = measure_dataset(rows, MeasurementSettings(groups=("loudness", "pitch")))
    described = describe_dataset(measured, SpeechDescriber.fit(measured, levels=3, baseline="overall"))
    captions = caption_dataset(described, [caption_task("pitch+volume")], 3)["caption"][:]
    values = np.array([praat(path) for path in clips])
    steps = (values[:, :, None] > np.quantile(values, (0.25, 0.75), axis=0).T[None]).sum(axis=2)
    expected = [
        {"pitch": ("low", "normal", "high")[pitch], "volume": ("quiet", "normal", "loud")[volume]}
        for pitch, volume in steps
    ]
    scores = caption_faithfulness(captions, expected)
    assert scores["all"] == {"claims": 24, "unmeasured": 0, "agree": 24, "faithfulness": 1, "stated": 24 / 36}
    swapped = [caption.replace("high pitch", "low pitch") for caption in captions]
    assert caption_faithfulness(swapped, expected)["pitch"]["faithfulness"] == 9 / 12
