import numpy as np
import pytest
import torch

from speechcue_hf.inference.scoring import LabelScores, score_labels
from tests.tiny_chat import LABELS, full_forward_log_likelihood, make_model


@pytest.fixture(scope="module")
def reference(model, tokenizer, prompts):
    return full_forward_log_likelihood(model, tokenizer, prompts, LABELS).numpy()


@pytest.mark.parametrize("batch_size", [1, 4, 16])
def test_equals_full_forward_passes_whatever_the_batch(model, tokenizer, prompts, reference, batch_size):
    scores = score_labels(model, tokenizer, prompts, LABELS, batch_size=batch_size)
    np.testing.assert_allclose(scores.log_likelihood, reference, atol=1e-4, rtol=0)


def test_order_of_rows_is_kept(model, tokenizer, prompts, reference):
    scores = score_labels(model, tokenizer, prompts[::-1], LABELS, batch_size=4)
    np.testing.assert_allclose(scores.log_likelihood, reference[::-1], atol=1e-4, rtol=0)


def test_mean_divides_by_the_number_of_tokens(model, tokenizer, prompts, reference):
    scores = score_labels(model, tokenizer, prompts, LABELS, normalisation="mean")
    lengths = [len(tokenizer(f"{label}<|im_end|>", add_special_tokens=False)["input_ids"]) for label in LABELS]
    assert len(set(lengths)) > 1
    np.testing.assert_allclose(scores.log_likelihood, reference / lengths, atol=1e-4, rtol=0)


def test_dropout_is_off_and_the_mode_comes_back(tokenizer, prompts):
    model = make_model(attention_dropout=0.5).train()
    first, second = (score_labels(model, tokenizer, prompts, LABELS).log_likelihood for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert model.training and torch.is_grad_enabled()


def test_probabilities_predictions_and_margins():
    likelihoods = np.log(np.array([[0.5, 0.25, 0.05], [0.2, 0.2, 0.6]]))
    scores = LabelScores(("a", "b", "c"), likelihoods - 700.0, "sum", tokens=0)
    np.testing.assert_allclose(scores.probabilities, [[0.625, 0.3125, 0.0625], [0.2, 0.2, 0.6]])
    np.testing.assert_array_equal(scores.predictions, [0, 2])
    np.testing.assert_allclose(scores.margins, [0.3125, 0.4])


@pytest.mark.parametrize(("labels", "normalisation"), [(["sad"], "sum"), (["sad", "sad"], "sum"), (LABELS, "median")])
def test_senseless_arguments_are_refused(tokenizer, prompts, labels, normalisation):
    with pytest.raises(ValueError):
        score_labels(make_model(), tokenizer, prompts, labels, normalisation=normalisation)


def test_no_prompts_are_refused(tokenizer):
    with pytest.raises(ValueError, match="no prompts"):
        score_labels(make_model(), tokenizer, [], LABELS)
