import pytest
from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.completions import check_context, encode_prompt

from .conftest import CHATML, LABELS, LLAMA3, make_model, make_tokenizer


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
    for row, messages, label in zip(trainer.train_dataset, prompts, LABELS, strict=True):
        encoded = encode_prompt(tokenizer, messages, LABELS)
        completion = encoded.completions[LABELS.index(label)]
        after_end = [] if template == LLAMA3 else tokenizer("\n", add_special_tokens=False)["input_ids"]
        assert row["input_ids"] == encoded.prompt + completion + after_end
        assert row["labels"] == [-100] * len(encoded.prompt) + completion + after_end


def test_completion_is_label_and_end_token(tokenizer, prompts):
    encoded = encode_prompt(tokenizer, prompts[0], LABELS)
    texts = [tokenizer.decode(completion) for completion in encoded.completions]
    assert texts == [f"{label}<|im_end|>" for label in LABELS]


def test_template_without_end_token_keeps_the_whole_completion(prompts):
    tokenizer = make_tokenizer("{% for message in messages %}[{{ message.content }}]{% endfor %}")
    encoded = encode_prompt(tokenizer, prompts[0], ["happy", "sad"])
    assert [tokenizer.decode(completion) for completion in encoded.completions] == ["[happy]", "[sad]"]


def test_missing_chat_template_says_so(prompts):
    tokenizer = make_tokenizer()
    tokenizer.chat_template = None
    with pytest.raises(EvaluationError, match="no chat template"):
        encode_prompt(tokenizer, prompts[0], LABELS)


def test_prompt_beyond_the_context_is_refused(tokenizer, prompts):
    model = make_model()
    model.config.max_position_embeddings = 60
    encoded = [encode_prompt(tokenizer, messages, LABELS) for messages in prompts]
    row = next(index for index, item in enumerate(encoded) if len(item.prompt) > 60)
    with pytest.raises(EvaluationError, match="the model takes 60"):
        check_context(model, encoded[: row + 1])
