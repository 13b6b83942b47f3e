import numpy as np
import pytest
from datasets import Dataset

from speechcue_hf.cues.describe import SpeechDescriber, describe_dataset
from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.intervention import SHUFFLED, TRUE, WITHOUT, compare_answers, intervene, variants
from speechcue_hf.inference.chat import ChatClassifier
from speechcue_hf.inference.classifier import Prediction
from speechcue_hf.inference.settings import InferenceSettings
from speechcue_hf.prompts.build import build_prompts
from speechcue_hf.prompts.specification import load_prompt
from tests.tiny_chat import LABELS, full_forward_log_likelihood, make_model

PROMPT = load_prompt("speechcue")
VARIANTS = [TRUE, SHUFFLED, "intensity_mean_db raised", "intensity_mean_db lowered", WITHOUT]


@pytest.fixture
def describer() -> SpeechDescriber:
    generator = np.random.default_rng(0)
    cues = {"f0_mean_hz": generator.normal(200, 20, 60), "intensity_mean_db": generator.normal(60, 5, 60)}
    return SpeechDescriber.fit(
        Dataset.from_dict({name: list(values) for name, values in cues.items()}), baseline="overall"
    )


@pytest.fixture
def measured(described, describer) -> Dataset:
    generator = np.random.default_rng(1)
    rows = described.remove_columns("speech_description")
    rows = rows.add_column("f0_mean_hz", generator.normal(200, 20, len(rows)).tolist())
    levels = generator.normal(60, 5, len(rows)).tolist()
    levels[3] = None
    return describe_dataset(rows.add_column("intensity_mean_db", levels), describer)


def classifier(model, tokenizer, prompt=PROMPT, **settings):
    return ChatClassifier(model, tokenizer, prompt, tuple(LABELS), settings=InferenceSettings(**settings))


def test_report_equals_full_forward_passes_of_each_variant(measured, describer, tokenizer):
    model = make_model().eval()
    chat = classifier(model, tokenizer)
    report = intervene(chat, measured, describer, cues=["intensity_mean_db"])
    assert list(report["variants"]) == VARIANTS and report["n"] == 11
    likelihoods = {}
    for name, rows, judge in variants(chat, measured, describer, cues=["intensity_mean_db"], shift=2.0, seed=0):
        prompts = [row["prompt"] for row in build_prompts(rows, judge.prompt) if row["emotion"] is not None]
        likelihoods[name] = full_forward_log_likelihood(model, tokenizer, prompts, LABELS)
    base = likelihoods[TRUE]
    for name, likelihood in likelihoods.items():
        found = report["variants"][name]
        changed = (likelihood.argmax(dim=1) != base.argmax(dim=1)).double().mean().item()
        assert found["changed"] == pytest.approx(changed)
        shift = (likelihood.softmax(dim=1) - base.softmax(dim=1)).mean(dim=0).tolist()
        assert list(found["probability_shift"].values()) == pytest.approx(shift, abs=1e-5)
        assert np.sum(found["transitions"]) == 11
    assert report["variants"][TRUE]["changed"] == 0
    assert max(report["variants"][WITHOUT]["probability_shift"].values()) > 1e-4


def test_changes_are_counted_with_their_direction():
    before, after = (
        [Prediction(int(row[1] > row[0]), tuple(row)) for row in rows]
        for rows in ([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]], [[0.2, 0.8], [0.7, 0.3], [0.1, 0.9], [0.4, 0.6]])
    )
    changes = compare_answers(before, after, [0, 0, 1, 1], ["a", "b"])
    assert changes["changed"] == 0.5
    assert changes["transitions"] == [[1, 2], [0, 1]]
    assert changes["probability_shift"] == pytest.approx({"a": -0.3, "b": 0.3})
    assert changes["accuracy"] == 0.75


def test_variants_change_the_voice_and_nothing_else(measured, describer, tokenizer):
    chat = classifier(None, tokenizer)
    rows = {
        name: (variant, judge.prompt)
        for name, variant, judge in variants(chat, measured, describer, cues=["intensity_mean_db"], shift=2.0, seed=0)
    }
    for variant, _ in rows.values():
        for column in ("utterance_id", "text", "emotion", "f0_mean_hz"):
            assert variant[column] == measured[column]
    shuffled = rows[SHUFFLED][0]["speech_description"]
    assert shuffled != measured["speech_description"]
    assert sorted(shuffled) == sorted(measured["speech_description"])
    sd = describer.groups["overall"].cues["intensity_mean_db"].sd
    for name, sign in (("intensity_mean_db raised", 1), ("intensity_mean_db lowered", -1)):
        for before, after in zip(measured["intensity_mean_db"], rows[name][0]["intensity_mean_db"], strict=True):
            assert after == (None if before is None else pytest.approx(before + sign * 2 * sd))
    raised = [value for value in rows["intensity_mean_db raised"][0]["intensity_mean_db_level"] if value]
    assert "very_high" in raised and "very_low" not in raised
    question = build_prompts(rows[WITHOUT][0], rows[WITHOUT][1])[0]["prompt"][0]["content"]
    assert "Voice" not in question and measured["speech_description"][0] not in question


def test_without_sharing_the_report_is_the_same(measured, describer, tokenizer):
    model = make_model().eval()
    reports = [
        intervene(classifier(model, tokenizer, sharing=sharing), measured, describer) for sharing in ("prefix", "none")
    ]
    for name in (SHUFFLED, WITHOUT):
        first, second = (report["variants"][name]["probability_shift"].values() for report in reports)
        assert list(first) == pytest.approx(list(second), abs=1e-4)


def test_what_cannot_be_intervened_in_is_refused(measured, describer, tokenizer):
    model = make_model()
    with pytest.raises(EvaluationError, match="told nothing of the voice"):
        intervene(classifier(model, tokenizer, load_prompt("speechcue_text")), measured, describer)
    with pytest.raises(EvaluationError, match="no cue 'hnr_mean_db'; it has"):
        intervene(classifier(model, tokenizer), measured, describer, cues=["hnr_mean_db"])
