import pytest
from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from speechcue_hf.errors import EvaluationError, PromptError
from speechcue_hf.inference.completions import encode_for_scoring
from tests.tiny_chat import CHATML, LABELS, LLAMA3, make_model, make_tokenizer


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
