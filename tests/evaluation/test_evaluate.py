import json
from dataclasses import replace

import numpy as np
import pytest
from datasets import Value

from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.evaluate import evaluate
from speechcue_hf.evaluation.recorded import RecordedClassifier
from speechcue_hf.inference.chat import ChatClassifier
from speechcue_hf.inference.settings import InferenceSettings
from speechcue_hf.metrics.scores import weighted_f1
from speechcue_hf.prompts.build import build_prompts
from speechcue_hf.prompts.specification import load_prompt
from speechcue_hf.provenance import Provenance
from speechcue_hf.records import ResultsRecord
from tests.records import training_record
from tests.tiny_chat import LABELS, full_forward_log_likelihood, make_model

PROMPT = load_prompt("speechcue")
DESCRIBED = Provenance(describer_sha256="d" * 64)


@pytest.fixture(scope="module")
def llama():
    return make_model().eval()


def classifier(model, tokenizer, prompt=PROMPT, training=None, token_budget=None, **settings):
    asked = InferenceSettings(**settings)
    return ChatClassifier(model, tokenizer, prompt, tuple(LABELS), token_budget, settings=asked, training=training)


@pytest.mark.parametrize("sharing", ["prefix", "none"])
def test_predictions_are_the_most_likely_labels(described, llama, tokenizer, sharing):
    results, predictions = evaluate(classifier(llama, tokenizer, sharing=sharing), described)
    rows = [row for row in build_prompts(described, PROMPT) if row["emotion"] is not None]
    reference = full_forward_log_likelihood(llama, tokenizer, [row["prompt"] for row in rows], LABELS).softmax(dim=1)
    assert predictions["prediction"] == [LABELS[index] for index in reference.argmax(dim=1)]
    np.testing.assert_allclose(predictions["probabilities"], reference, atol=1e-4)
    ranked = reference.sort(dim=1, descending=True).values
    np.testing.assert_allclose(predictions["margin"], ranked[:, 0] - ranked[:, 1], atol=1e-4)
    true = [row["emotion"] for row in rows]
    assert results.weighted_f1 == pytest.approx(weighted_f1(true, reference.argmax(dim=1).tolist()))


def test_unlabelled_turns_are_history_and_are_counted(described, llama, tokenizer):
    results, predictions = evaluate(classifier(llama, tokenizer), described)
    assert (results.n, results.unlabelled) == (11, 1)
    assert "d1_u5" not in predictions["utterance_id"]


def test_a_clip_that_was_not_measured_is_marked_beside_its_prediction(described, llama, tokenizer):
    notes = ["a.wav: cannot be decoded (x)", None, "audio missing", *[None] * (len(described) - 3)]
    statuses = ["corrupt", "corrupt", "missing", *["ok"] * (len(described) - 3)]
    text = Value("string")
    rows = described.add_column("measurement_note", notes, feature=text).add_column(
        "audio_status", statuses, feature=text
    )
    _, predictions = evaluate(classifier(llama, tokenizer), rows)
    expected = ["a.wav: cannot be decoded (x)", "the clip is corrupt", "audio missing"]
    assert predictions["note"][:3] == expected and set(predictions["note"][3:]) == {None}
    assert None not in predictions["prediction"]
    # A model that reads no description is told of by the state of the clip alone.
    deaf = classifier(llama, tokenizer, replace(PROMPT, description=False, impression=False, context_cues=0))
    _, predictions = evaluate(deaf, rows)
    assert predictions["note"][:4] == ["the clip is corrupt", "the clip is corrupt", "the clip is missing", None]


def test_results_say_how_they_came_about(described, llama, tokenizer):
    training = training_record(seed=11, describer_sha256="d" * 64)
    results, _ = evaluate(classifier(llama, tokenizer, training=training, token_budget=240), described, DESCRIBED)
    assert results.seed == 11
    assert results.prompt == {"name": PROMPT.name, "sha256": PROMPT.fingerprint}
    assert results.describer_sha256 == "d" * 64
    assert (results.decode, results.normalisation) == ("score", "sum")
    assert results.token_budget == 240 and 0 < results.shortened < results.n
    assert results.libraries["torch"]
    assert results.weighted_f1_interval["dialogues"] == 2
    assert ResultsRecord.from_values(json.loads(json.dumps(results.to_values()))) == results


def test_generated_texts_that_are_no_label_are_invalid(described, llama, tokenizer):
    results, predictions = evaluate(classifier(llama, tokenizer, decode="generate"), described)
    assert all(output not in LABELS for output in predictions["output"])
    assert predictions["prediction"] == [None] * 11
    assert (results.invalid_rate, results.weighted_f1, results.matching) == (1, 0, "strict")
    recorded = RecordedClassifier(predictions, tuple(LABELS), matching="instructerc")
    repaired, table = evaluate(recorded, recorded.rows)
    assert repaired.invalid_rate == 0
    assert set(table["prediction"]) <= set(LABELS)


@pytest.mark.parametrize(
    ("trained", "message"),
    [("e" * 64, "describer eeeeeeeeeeee, .* dddddddddddd"), (None, "describer none, .* dddddddddddd")],
)
def test_a_model_trained_on_other_words_is_refused(described, llama, tokenizer, trained, message):
    training = training_record(describer_sha256=trained)
    with pytest.raises(EvaluationError, match=message):
        evaluate(classifier(llama, tokenizer, training=training), described, DESCRIBED)


def test_a_model_of_other_labels_is_refused(described, llama, tokenizer):
    turned = replace(classifier(llama, tokenizer), names=tuple(LABELS[::-1]))
    with pytest.raises(EvaluationError, match=r"knows the labels frustrated, excited.* has happy, sad"):
        evaluate(turned, described)


def test_a_prompt_of_text_alone_needs_no_describer(described, llama, tokenizer):
    text = load_prompt("speechcue_text")
    results, _ = evaluate(classifier(llama, tokenizer, text, training_record()), described, DESCRIBED)
    assert results.n == 11


def test_a_split_without_labels_or_rows_is_refused(described, llama, tokenizer):
    blank = described.map(lambda row: {"emotion": None}, features=described.features)
    for split in (blank, described.select([])):
        with pytest.raises(EvaluationError, match="No row has an emotion"):
            evaluate(classifier(llama, tokenizer), split)
