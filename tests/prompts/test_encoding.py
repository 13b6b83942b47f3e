"""The completion is the label and the end token, token for token, whatever the model's chat template.

The templates are what those models' tokenizers render for a conversation of one question and one answer.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import pytest
from datasets import Dataset
from tokenizers import Regex, pre_tokenizers
from transformers import PreTrainedTokenizerBase

from speechcue_hf.errors import PromptError
from speechcue_hf.models.tiny import CHAT_TEMPLATE, train_tokenizer
from speechcue_hf.prompts.build import build_prompts
from speechcue_hf.prompts.encoding import encode_completion, encode_prompts

LLAMA_3 = (
    "{{ '<|begin_of_text|>' }}{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] | trim + '<|eot_id|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
QWEN_3 = (
    "{% for message in messages %}"
    "{% if message['role'] == 'assistant' and loop.last %}"
    "{{ '<|im_start|>assistant\n<think>\n\n</think>\n\n' + message['content'] + '<|im_end|>\n' }}"
    "{% else %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{% endif %}"
)
TEMPLATES = {
    "llama-3": (
        LLAMA_3,
        "<|eot_id|>",
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHow?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
    ),
    "qwen-3": (
        QWEN_3,
        "<|im_end|>",
        "<|im_start|>user\nHow?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
    ),
    "chatml": (CHAT_TEMPLATE, "<|im_end|>", "<|im_start|>user\nHow?<|im_end|>\n<|im_start|>assistant\n"),
}
PROMPT = [{"role": "user", "content": "How?"}]
LABELS = ("sad", "very happy", "neutral")


def tokenizer_of(name: str) -> PreTrainedTokenizerBase:
    template, end, _ = TEMPLATES[name]
    tokenizer = train_tokenizer([*LABELS, "How do they feel?", "assistant user think"], vocabulary=400)
    special = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<think>", "</think>"]
    tokenizer.add_special_tokens({"eos_token": end, "additional_special_tokens": special})
    tokenizer.chat_template = template
    return tokenizer


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("label", LABELS)
def test_completion_is_label_and_end_token(name: str, label: str) -> None:
    tokenizer = tokenizer_of(name)
    prompt, answer = encode_completion(tokenizer, PROMPT, [{"role": "assistant", "content": label}])
    assert tokenizer.decode(prompt) == TEMPLATES[name][2]
    assert answer == [*tokenizer(label, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]


@pytest.mark.parametrize("name", TEMPLATES)
def test_prompt_is_the_same_with_and_without_answer(name: str) -> None:
    tokenizer = tokenizer_of(name)
    prompt, _ = encode_completion(tokenizer, PROMPT, [{"role": "assistant", "content": "sad"}])
    assert encode_prompts(tokenizer, [PROMPT]) == [prompt]


# How the tokenizers of those models cut a text into words, inside which alone tokens are merged (their tokenizer.json).
WORDS = {
    "llama-3": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
    "qwen-3": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
    "chatml": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_prompts_of_a_dialogue_share_the_tokens_of_its_conversation(
    name: str, dialogues: Callable[[Sequence[int]], Dataset]
) -> None:
    """Our own prompt's shared part is shared in tokens, with texts that end in whatever a tokenizer might merge."""
    said = ["Well...", "No ", "  What?!", "I don't know", "it's 1999", "(sighs)", "", "«Oui»", "🙂", "a:"]
    dataset = dialogues([2 * len(said)]).map(lambda row: {"text": said[row["turn"] % len(said)]})
    contents = [messages[0]["content"] for messages in build_prompts(dataset)["prompt"]]
    tokenizer: Any = tokenizer_of(name)
    words = pre_tokenizers.Split(Regex(WORDS[name]), behavior="isolated")
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, to_bytes])
    # Every word of these prompts becomes one token: whatever can be merged is.
    tokenizer = tokenizer.train_new_from_iterator(contents, vocab_size=3000)
    encoded = encode_prompts(tokenizer, [[{"role": "user", "content": content}] for content in contents])
    for (shorter, longer), content in zip(pairwise(encoded), contents, strict=False):
        shared = next(place for place, pair in enumerate(zip(shorter, longer, strict=False)) if pair[0] != pair[1])
        conversation = content[: content.rindex("\nD") + 1]
        assert tokenizer.decode(shorter[:shared]).endswith(conversation[-60:])


def test_template_that_hides_where_the_answer_begins_is_refused() -> None:
    tokenizer = tokenizer_of("chatml")
    tokenizer.chat_template = "{{ messages | length }}{% for message in messages %}{{ message['content'] }}{% endfor %}"
    with pytest.raises(PromptError, match="renders a prompt differently when an answer follows"):
        encode_completion(tokenizer, PROMPT, [{"role": "assistant", "content": "sad"}])


def test_an_answer_ends_with_the_token_that_closes_it_where_the_tokenizer_names_another() -> None:
    tokenizer = tokenizer_of("chatml")
    tokenizer.eos_token = "<|eot_id|>"
    _, answer = encode_completion(tokenizer, PROMPT, [{"role": "assistant", "content": "sad"}])
    assert tokenizer.decode(answer) == "sad<|im_end|>"


def test_answer_that_nothing_closes_is_refused() -> None:
    tokenizer = tokenizer_of("chatml")
    tokenizer.chat_template = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
    with pytest.raises(PromptError, match=r"closes an answer with .*sad.*tokenizer\.eos_token"):
        encode_completion(tokenizer, PROMPT, [{"role": "assistant", "content": "sad"}])


@pytest.mark.parametrize(
    "template",
    ["{% for a in", "{{ messages[0].x.y }}", "{{ 1 / 0 }}", "{{ raise_exception('System role not supported') }}"],
)
def test_a_chat_template_that_fails_is_an_error_with_its_model(template: str) -> None:
    tokenizer = tokenizer_of(next(iter(TEMPLATES)))
    tokenizer.name_or_path, tokenizer.chat_template = "somebody/model", template
    with pytest.raises(PromptError, match=r"the chat template of somebody/model refuses messages of .* chat_template"):
        encode_prompts(tokenizer, [PROMPT])
