import numpy as np
import pytest
import torch
from transformers import MistralConfig, MistralForCausalLM

from speechcue_hf.errors import EvaluationError
from speechcue_hf.inference.scoring import score_labels
from speechcue_hf.inference.shared import score_shared
from speechcue_hf.models.token_tree import build_token_tree
from tests.tiny_chat import LABELS, LINES, SIZES, full_forward_log_likelihood, make_model


@pytest.fixture(scope="module")
def reference(model, tokenizer, prompts):
    return full_forward_log_likelihood(model, tokenizer, prompts, LABELS).numpy()


@pytest.mark.parametrize("tokens_per_pass", [1, 7, 100, 10_000])
def test_equals_full_forward_passes_however_the_dialogue_is_split(
    model, tokenizer, prompts, reference, tokens_per_pass
):
    scores = score_shared(model, tokenizer, prompts, LABELS, tokens_per_pass=tokens_per_pass)
    np.testing.assert_allclose(scores.log_likelihood, reference, atol=1e-4, rtol=0)


def test_splitting_changes_no_token_count_and_sharing_lowers_it(model, tokenizer, prompts):
    counts = {score_shared(model, tokenizer, prompts, LABELS, tokens_per_pass=size).tokens for size in (16, 999)}
    apart = score_labels(model, tokenizer, prompts, LABELS).tokens
    assert len(counts) == 1
    assert counts.pop() * 2 < apart


def test_unrelated_and_repeated_prompts_do_not_disturb_one_another(model, tokenizer):
    prompts = [[{"role": "user", "content": line}] for line in [*LINES, LINES[0]]]
    scores = score_shared(model, tokenizer, prompts, LABELS, normalisation="mean", tokens_per_pass=64)
    expected = score_labels(model, tokenizer, prompts, LABELS, normalisation="mean")
    np.testing.assert_allclose(scores.log_likelihood, expected.log_likelihood, atol=1e-4, rtol=0)


def test_labels_that_continue_one_another(tokenizer, prompts):
    labels = ["sad", "saddened", "sad and angry"]
    model = make_model().eval()
    expected = full_forward_log_likelihood(model, tokenizer, prompts, labels)
    np.testing.assert_allclose(
        score_shared(model, tokenizer, prompts, labels).log_likelihood, expected, atol=1e-4, rtol=0
    )


def test_eager_attention_gives_the_same(tokenizer, prompts):
    model = make_model().eval()
    expected = full_forward_log_likelihood(model, tokenizer, prompts, LABELS)
    model.set_attn_implementation("eager")
    np.testing.assert_allclose(
        score_shared(model, tokenizer, prompts, LABELS, tokens_per_pass=50).log_likelihood, expected, atol=1e-4, rtol=0
    )


def test_bfloat16_model_stays_close(tokenizer, prompts):
    model = make_model(initializer_range=0.02).eval()
    expected = full_forward_log_likelihood(model, tokenizer, prompts, LABELS)
    scores = score_shared(model.to(torch.bfloat16), tokenizer, prompts, LABELS)
    np.testing.assert_allclose(scores.log_likelihood, expected, atol=0.1, rtol=0)


def test_tree_merges_beginnings():
    tree = build_token_tree([[1, 2, 3], [1, 2], [4], [1, 2, 5, 6], [1, 2, 3]])
    assert tree.tokens.tolist() == [1, 2, 3, 5, 6, 4]
    assert tree.depths.tolist() == [0, 1, 2, 2, 3, 0]
    assert tree.ends.tolist() == [5, 5, 3, 5, 5, 6]
    assert [tree.tokens[path].tolist() for path in tree.paths] == [[1, 2, 3], [1, 2], [4], [1, 2, 5, 6], [1, 2, 3]]


def test_sliding_window_models_are_refused(tokenizer, prompts):
    model = MistralForCausalLM(MistralConfig(vocab_size=len(tokenizer), sliding_window=16, **SIZES))
    with pytest.raises(EvaluationError, match="without full attention"):
        score_shared(model, tokenizer, prompts, LABELS)


def test_attention_without_4d_masks_is_refused(tokenizer, prompts):
    model = make_model()
    model.config._attn_implementation = "flash_attention_2"
    with pytest.raises(EvaluationError, match="takes no 4-D mask"):
        score_shared(model, tokenizer, prompts, LABELS)


def test_no_prompts_are_refused(tokenizer):
    with pytest.raises(ValueError, match="no prompts"):
        score_shared(make_model(), tokenizer, [], LABELS)


def test_tokens_per_pass_must_be_positive(tokenizer, prompts):
    with pytest.raises(ValueError, match="tokens_per_pass"):
        score_shared(make_model(), tokenizer, prompts, LABELS, tokens_per_pass=0)
