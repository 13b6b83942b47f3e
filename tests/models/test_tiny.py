import pytest
import torch

from speechcue_hf.models.tiny import build_tiny_model, one_thread, train_tokenizer

TEXTS = ["How does Ann feel in the last turn?", "Ann: I lost my keys, again!", "happy", "sad", "neutral"]


def test_model_is_tiny_and_runs() -> None:
    model, tokenizer = build_tiny_model(TEXTS)
    assert 100_000 < model.num_parameters() < 600_000
    ids = tokenizer("Ann: I lost my keys", return_tensors="pt").input_ids
    assert model(ids).logits.shape == (1, ids.shape[1], len(tokenizer))


def test_same_seed_same_model_and_the_callers_generator_is_left_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, second, other = (build_tiny_model(TEXTS, seed=seed)[0] for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first.model.embed_tokens.weight, other.model.embed_tokens.weight)


def test_chat_template_is_chatml_and_any_text_survives() -> None:
    tokenizer = train_tokenizer(TEXTS, vocabulary=400)
    messages = [{"role": "user", "content": "Änne: ’tschüs 🙂"}, {"role": "assistant", "content": "sad"}]
    ids = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True)["input_ids"]
    assert tokenizer.decode(ids) == (
        "<|im_start|>user\nÄnne: ’tschüs 🙂<|im_end|>\n<|im_start|>assistant\nsad<|im_end|>\n"
    )
    assert tokenizer.eos_token_id == tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert tokenizer.pad_token_id not in (None, tokenizer.eos_token_id)


def test_one_thread_for_a_while() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(KeyError), one_thread():
            assert torch.get_num_threads() == 1
            raise KeyError
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_too_small_a_vocabulary_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 259"):
        train_tokenizer(TEXTS, vocabulary=100)
