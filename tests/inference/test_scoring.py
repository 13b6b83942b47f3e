import numpy as np
import pytest
import torch
from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from speechcue_hf.errors import EvaluationError, PromptError
from speechcue_hf.inference.scoring import LabelScores, encode_for_scoring, score_labels
from tests.tiny_chat import CHATML, LABELS, LLAMA3, full_forward_log_likelihood, make_model, make_tokenizer


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


def test_probabilities_and_predictions():
    likelihoods = np.log(np.array([[0.5, 0.25, 0.05], [0.2, 0.2, 0.6]]))
    scores = LabelScores(("a", "b", "c"), likelihoods - 700.0, "sum", tokens=0)
    np.testing.assert_allclose(scores.probabilities, [[0.625, 0.3125, 0.0625], [0.2, 0.2, 0.6]])
    np.testing.assert_array_equal(scores.predictions, [0, 2])


@pytest.mark.parametrize(("labels", "normalisation"), [(["sad"], "sum"), (["sad", "sad"], "sum"), (LABELS, "median")])
def test_senseless_arguments_are_refused(tokenizer, prompts, labels, normalisation):
    with pytest.raises(ValueError):
        score_labels(make_model(), tokenizer, prompts, labels, normalisation=normalisation)


def test_no_prompts_are_refused(tokenizer):
    with pytest.raises(ValueError, match="no prompts"):
        score_labels(make_model(), tokenizer, [], LABELS)


@pytest.mark.parametrize("template", [CHATML, LLAMA3], ids=["chatml", "llama3"])
def test_tokens_equal_those_trl_trains_on(template, prompts, tmp_path):
    tokenizer = make_tokenizer(template)
    rows = [
        {"prompt": messages, "completion": [{"role": "assistant", "content": label}]}
        for messages, label in zip(prompts, LABELS, strict=True)
    ]
    tokenizer.pad_token = tokenizer.eos_token
    trainer = SFTTrainer(
        make_model(),
        SFTConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none", max_length=None),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )
    encoded = encode_for_scoring(make_model(), tokenizer, prompts, LABELS)
    after_end = [] if template == LLAMA3 else tokenizer("\n", add_special_tokens=False)["input_ids"]
    for row, prompt, completion in zip(trainer.train_dataset, encoded.prompts, encoded.completions, strict=True):
        assert row["input_ids"] == prompt + completion + after_end
        assert row["labels"] == [-100] * len(prompt) + completion + after_end


def test_completion_is_label_and_end_token(tokenizer, prompts):
    encoded = encode_for_scoring(make_model(), tokenizer, prompts, LABELS)
    assert [tokenizer.decode(completion) for completion in encoded.completions] == [f"{it}<|im_end|>" for it in LABELS]


def test_a_label_that_merges_with_a_later_prompt_is_refused():
    """Behind the first prompt the label stands alone, behind the second one it swallows the space."""
    tokenizer = make_tokenizer(
        "{% for message in messages %}{{ message.content }}{% if message.role == 'assistant' %}<|im_end|>{% endif %}"
        "{% endfor %}"
    )
    ask = [[{"role": "user", "content": text}] for text in ("Mood?", "Mood? ")]
    assert len(encode_for_scoring(make_model(), tokenizer, ask[:1], ["happy", "sad"]).completions) == 2
    with pytest.raises(PromptError, match="renders a prompt differently"):
        encode_for_scoring(make_model(), tokenizer, ask, ["happy", "sad"])


def test_missing_chat_template_says_so(prompts):
    tokenizer = make_tokenizer()
    tokenizer.chat_template = None
    with pytest.raises(EvaluationError, match="no chat template"):
        encode_for_scoring(make_model(), tokenizer, prompts, LABELS)


def test_prompt_beyond_the_context_is_refused_by_its_number(tokenizer, prompts):
    encoded = encode_for_scoring(make_model(), tokenizer, prompts, LABELS)
    limit = len(encoded.prompts[2]) + max(map(len, encoded.completions))
    encode_for_scoring(make_model(max_position_embeddings=limit), tokenizer, prompts[:3], LABELS)
    with pytest.raises(EvaluationError, match=rf"Prompt 3 has \d+ tokens with its label, the model takes {limit}\."):
        encode_for_scoring(make_model(max_position_embeddings=limit), tokenizer, prompts, LABELS)
