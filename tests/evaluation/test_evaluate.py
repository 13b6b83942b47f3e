import json

import numpy as np
import pytest

from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.evaluate import InferenceSettings, evaluate_model, evaluate_predictions
from speechcue_hf.metrics.scores import weighted_f1
from speechcue_hf.prompts.build import build_prompts
from speechcue_hf.prompts.specification import load_prompt
from tests.tiny_chat import LABELS, full_forward_log_likelihood, make_model

PROMPT = load_prompt("speechcue")
TRAINING = {
    "seed": 11,
    "prompt": {"name": PROMPT.name, "sha256": PROMPT.fingerprint},
    "labels": {"names": LABELS, "words": LABELS},
    "describer_sha256": "d" * 64,
}


@pytest.fixture(scope="module")
def llama():
    return make_model().eval()


@pytest.mark.parametrize("sharing", ["prefix", "none"])
def test_predictions_are_the_most_likely_labels(described, llama, tokenizer, sharing):
    results, predictions = evaluate_model(
        described, llama, tokenizer, PROMPT, decoding=InferenceSettings(sharing=sharing)
    )
    rows = [row for row in build_prompts(described, PROMPT) if row["emotion"] is not None]
    reference = full_forward_log_likelihood(llama, tokenizer, [row["prompt"] for row in rows], LABELS).softmax(dim=1)
    assert predictions["prediction"] == [LABELS[index] for index in reference.argmax(dim=1)]
    np.testing.assert_allclose(predictions["probabilities"], reference, atol=1e-4)
    ranked = reference.sort(dim=1, descending=True).values
    np.testing.assert_allclose(predictions["margin"], ranked[:, 0] - ranked[:, 1], atol=1e-4)
    true = [row["emotion"] for row in rows]
    assert results["weighted_f1"] == pytest.approx(weighted_f1(true, reference.argmax(dim=1).tolist()))


def test_unlabelled_turns_are_history_and_are_counted(described, llama, tokenizer):
    results, predictions = evaluate_model(described, llama, tokenizer, PROMPT)
    assert (results["n"], results["unlabelled"]) == (11, 1)
    assert "d1_u5" not in predictions["utterance_id"]


def test_results_say_how_they_came_about(described, llama, tokenizer):
    results, _ = evaluate_model(
        described, llama, tokenizer, PROMPT, training=TRAINING, describer_sha256="d" * 64, token_budget=240
    )
    assert results["seed"] == 11
    assert results["prompt"] == TRAINING["prompt"]
    assert results["describer_sha256"] == "d" * 64
    assert (results["decode"], results["normalisation"]) == ("score", "sum")
    assert results["token_budget"] == 240 and 0 < results["shortened"] < results["n"]
    assert results["libraries"]["torch"]
    assert results["weighted_f1_interval"]["dialogues"] == 2
    assert json.loads(json.dumps(results)) == results


def test_generated_texts_that_are_no_label_are_invalid(described, llama, tokenizer):
    results, predictions = evaluate_model(
        described, llama, tokenizer, PROMPT, decoding=InferenceSettings(decode="generate")
    )
    assert all(output not in LABELS for output in predictions["output"])
    assert predictions["prediction"] == [None] * 11
    assert (results["invalid_rate"], results["weighted_f1"], results["matching"]) == (1, 0, "strict")
    repaired, table = evaluate_predictions(predictions, LABELS, matching="instructerc")
    assert repaired["invalid_rate"] == 0
    assert set(table["prediction"]) <= set(LABELS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prompt": {"name": "speechcuellm", "sha256": "0" * 64}}, "prompt speechcuellm .* this is speechcue"),
        ({"describer_sha256": "e" * 64}, "describer eeeeeeeeeeee, .* dddddddddddd"),
        ({"describer_sha256": None}, "describer none, .* dddddddddddd"),
        ({"labels": {"names": LABELS[::-1], "words": LABELS[::-1]}}, "frustrated, excited.*happy, sad"),
    ],
)
def test_a_model_trained_otherwise_is_refused(described, llama, tokenizer, change, message):
    with pytest.raises(EvaluationError, match=message):
        evaluate_model(described, llama, tokenizer, PROMPT, training={**TRAINING, **change}, describer_sha256="d" * 64)


def test_a_prompt_of_text_alone_needs_no_describer(described, llama, tokenizer):
    text = load_prompt("speechcue_text")
    training = {**TRAINING, "prompt": {"name": text.name, "sha256": text.fingerprint}, "describer_sha256": None}
    results, _ = evaluate_model(described, llama, tokenizer, text, training=training, describer_sha256="d" * 64)
    assert results["n"] == 11


def test_a_split_without_labels_or_rows_is_refused(described, llama, tokenizer):
    blank = described.map(lambda row: {"emotion": None}, features=described.features)
    for split in (blank, described.select([])):
        with pytest.raises(EvaluationError, match="No row has an emotion"):
            evaluate_model(split, llama, tokenizer, PROMPT)
