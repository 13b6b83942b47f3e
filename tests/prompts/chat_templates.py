"""Chat templates of known models: their structure, by their public model cards, in few words of our own.

Each comes with its control tokens, its end token as the tokenizer names it, and what it makes of one question.
"""

from __future__ import annotations

from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from speechcue_hf.models.tiny import train_tokenizer


@dataclass(frozen=True)
class Known:
    """A template: ``prompt`` is what it makes of "How?", ``answer`` of the label "sad" behind it."""

    template: str
    control: tuple[str, ...]
    eos: str
    prompt: str
    answer: str
    takes_system: bool = True
    takes_parts: bool = False
    dated: bool = False
    closed: bool = False


_TURNS = (
    "{%- if (message.role == 'user') != (loop.index0 % 2 == 0) -%}"
    "{{ raise_exception('user and assistant must take turns') }}{%- endif -%}"
)
_CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
_QWEN25 = (
    "{% if messages[0].role != 'system' %}{{ '<|im_start|>system\nYou are helpful.<|im_end|>\n' }}{% endif %}" + _CHATML
)
_LLAMA2 = (
    "{% if messages[0].role == 'system' %}{% set told = '<<SYS>>\n' + messages[0].content + '\n<</SYS>>\n\n' %}"
    "{% set messages = messages[1:] %}{% else %}{% set told = '' %}{% endif %}"
    "{%- for message in messages -%}" + _TURNS + "{% if message.role == 'user' %}"
    "{{ bos_token + '[INST] ' + (told if loop.first else '') + message.content.strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + message.content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)
_LLAMA3 = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' + message.content | trim + '<|eot_id|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
# As in Llama 3.2: the day stands in a system message that is always there.
_LLAMA32 = (
    "{{ bos_token }}{% if strftime_now is defined %}{% set today = strftime_now('%d %b %Y') %}"
    "{% else %}{% set today = '26 Jul 2024' %}{% endif %}"
    "{% if messages[0].role == 'system' %}{% set told = messages[0].content | trim %}{% set messages = messages[1:] %}"
    "{% else %}{% set told = '' %}{% endif %}"
    "{{ '<|start_header_id|>system<|end_header_id|>\n\nToday: ' + today + '\n\n' + told + '<|eot_id|>' }}"
    + _LLAMA3.removeprefix("{{ bos_token }}")
)
_QWEN3 = (
    "{% for message in messages %}"
    "{%- set content = message.content.split('</think>')[-1] if message.role == 'assistant' else message.content -%}"
    "{{ '<|im_start|>' + message.role + '\n' }}"
    "{% if message.role == 'assistant' and loop.last %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{{ content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)
# As in the later Qwen3 models that always reason, whatever they are told.
_QWEN3_THINKING = _QWEN3.replace(
    "{% if enable_thinking is defined and not enable_thinking %}{{ '<think>\n\n</think>\n\n' }}{% endif %}",
    "{{ '<think>\n' }}",
)
_GEMMA2 = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{%- for message in messages -%}" + _TURNS + "{% set role = 'model' if message.role == 'assistant' else 'user' %}"
    "{{ '<start_of_turn>' + role + '\n' + message.content | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
# As in Gemma 3: the system's words go before the user's, and contents are texts or parts.
_GEMMA3 = (
    "{{ bos_token }}{% set told = '' %}{% if messages[0].role == 'system' %}"
    "{% set told = messages[0].content + '\n\n' %}{% set messages = messages[1:] %}{% endif %}"
    "{%- for message in messages -%}" + _TURNS + "{% set role = 'model' if message.role == 'assistant' else 'user' %}"
    "{{ '<start_of_turn>' + role + '\n' + (told if loop.first else '') }}"
    "{% if message.content is string %}{{ message.content | trim }}{% else %}"
    "{% for part in message.content %}{{ part.text | trim }}{% endfor %}{% endif %}{{ '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
_MISTRAL1 = (
    "{{ bos_token }}{%- for message in messages -%}" + _TURNS + "{% if message.role == 'user' %}"
    "{{ '[INST] ' + message.content + ' [/INST]' }}{% elif message.role == 'assistant' %}"
    "{{ ' ' + message.content + eos_token }}{% else %}{{ raise_exception('only user and assistant') }}{% endif %}"
    "{% endfor %}"
)
# As in the later Mistral models: the system's words stand in the last message of the user.
_MISTRAL3 = (
    "{{ bos_token }}{% set told = '' %}{% if messages[0].role == 'system' %}"
    "{% set told = messages[0].content + '\n\n' %}{% set messages = messages[1:] %}{% endif %}"
    "{%- for message in messages -%}"
    + _TURNS
    + "{% if message.role == 'user' %}{% set asked = loop.last or (loop.index == loop.length - 1) %}"
    "{{ '[INST] ' + (told if asked else '') + message.content + '[/INST]' }}{% else %}"
    "{{ ' ' + message.content | trim + eos_token }}{% endif %}{% endfor %}"
)
_PHI3 = (
    "{% for message in messages %}{{ '<|' + message.role + '|>\n' + message.content + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)
_PHI4 = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message.role + '<|im_sep|>' + message.content + '<|im_end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant<|im_sep|>' }}{% endif %}"
)
_R1 = (
    "{{ bos_token }}{% for message in messages %}{% if message.role == 'system' %}{{ message.content }}"
    "{% elif message.role == 'user' %}{{ '<｜User｜>' + message.content }}"
    "{% else %}{{ '<｜Assistant｜>' + message.content.split('</think>')[-1] + '<｜end▁of▁sentence｜>' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<｜Assistant｜><think>\n' }}{% endif %}"
)
# Harmony: the system's words are a developer's, answers have a channel, and the last one another end.
_GPT_OSS = (
    "{{ '<|start|>system<|message|>Current date: ' + strftime_now('%Y-%m-%d') + '<|end|>' }}"
    "{% for message in messages %}"
    "{% if message.role == 'system' %}{{ '<|start|>developer<|message|>' + message.content + '<|end|>' }}"
    "{% elif message.role == 'user' %}{{ '<|start|>user<|message|>' + message.content + '<|end|>' }}"
    "{% else %}{{ '<|start|>assistant<|channel|>final<|message|>' + message.content }}"
    "{{ '<|return|>' if loop.last and not add_generation_prompt else '<|end|>' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start|>assistant' }}{% endif %}"
)
# As in models that see or hear: contents are read as parts alone.
_PARTS = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' }}"
    "{% for part in message.content %}{% if part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

_IM = ("<|im_start|>", "<|im_end|>")
_HEADERS = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
_GEMMA = ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>")
_HARMONY = ("<|start|>", "<|message|>", "<|channel|>", "<|end|>", "<|return|>")
_HEAD3 = "<|start_header_id|>assistant<|end_header_id|>\n\n"
_ASKED3 = "<|start_header_id|>user<|end_header_id|>\n\nHow?<|eot_id|>" + _HEAD3
_ASKED_GEMMA = "<bos><start_of_turn>user\nHow?<end_of_turn>\n<start_of_turn>model\n"
_ASKED_IM = "<|im_start|>user\nHow?<|im_end|>\n<|im_start|>assistant\n"
_DATED = "<|start_header_id|>system<|end_header_id|>\n\nToday: 26 Jul 2024\n\n<|eot_id|>"
_EMPTY = "<think>\n\n</think>\n\n"
_R1_TOKENS = (
    "<｜begin▁of▁sentence｜>",
    "<｜end▁of▁sentence｜>",
    "<｜User｜>",
    "<｜Assistant｜>",
    "<think>",
    "</think>",
)

KNOWN = {
    "llama-2": Known(_LLAMA2, ("<s>", "</s>"), "</s>", "<s>[INST] How? [/INST]", " sad </s>"),
    "llama-3": Known(_LLAMA3, _HEADERS, "<|eot_id|>", "<|begin_of_text|>" + _ASKED3, "sad<|eot_id|>"),
    "llama-3.2": Known(
        _LLAMA32, _HEADERS, "<|eot_id|>", "<|begin_of_text|>" + _DATED + _ASKED3, "sad<|eot_id|>", dated=True
    ),
    "qwen-2.5": Known(
        _QWEN25, _IM, "<|im_end|>", "<|im_start|>system\nYou are helpful.<|im_end|>\n" + _ASKED_IM, "sad<|im_end|>"
    ),
    "qwen-3": Known(_QWEN3, (*_IM, "<think>", "</think>"), "<|im_end|>", _ASKED_IM + _EMPTY, "sad<|im_end|>"),
    "qwen-3-thinking": Known(
        _QWEN3_THINKING, (*_IM, "<think>", "</think>"), "<|im_end|>", _ASKED_IM + _EMPTY, "sad<|im_end|>", closed=True
    ),
    "gemma-2": Known(_GEMMA2, _GEMMA, "<eos>", _ASKED_GEMMA, "sad<end_of_turn>", takes_system=False),
    "gemma-3": Known(_GEMMA3, _GEMMA, "<eos>", _ASKED_GEMMA, "sad<end_of_turn>"),
    "mistral-v1": Known(_MISTRAL1, ("<s>", "</s>"), "</s>", "<s>[INST] How? [/INST]", " sad</s>", takes_system=False),
    "mistral-v3": Known(_MISTRAL3, ("<s>", "</s>", "[INST]", "[/INST]"), "</s>", "<s>[INST] How?[/INST]", " sad</s>"),
    "phi-3": Known(
        _PHI3,
        ("<|endoftext|>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"),
        "<|endoftext|>",
        "<|user|>\nHow?<|end|>\n<|assistant|>\n",
        "sad<|end|>\n<|endoftext|>",
    ),
    "phi-4": Known(
        _PHI4,
        (*_IM, "<|im_sep|>"),
        "<|im_end|>",
        "<|im_start|>user<|im_sep|>How?<|im_end|><|im_start|>assistant<|im_sep|>",
        "sad<|im_end|>",
    ),
    "smollm2": Known(
        _QWEN25, _IM, "<|im_end|>", "<|im_start|>system\nYou are helpful.<|im_end|>\n" + _ASKED_IM, "sad<|im_end|>"
    ),
    "deepseek-r1": Known(
        _R1,
        _R1_TOKENS,
        "<｜end▁of▁sentence｜>",
        "<｜begin▁of▁sentence｜><｜User｜>How?<｜Assistant｜>" + _EMPTY,
        "sad<｜end▁of▁sentence｜>",
        closed=True,
    ),
    "gpt-oss": Known(
        _GPT_OSS,
        _HARMONY,
        "<|return|>",
        "<|start|>system<|message|>Current date: 2024-07-26<|end|>"
        "<|start|>user<|message|>How?<|end|><|start|>assistant",
        "<|channel|>final<|message|>sad<|return|>",
        dated=True,
    ),
    "parts": Known(_PARTS, _IM, "<|im_end|>", _ASKED_IM, "sad<|im_end|>", takes_parts=True),
}


def known_tokenizer(
    name: str, texts: tuple[str, ...] = ("How do they feel?", "sad", "happy")
) -> PreTrainedTokenizerBase:
    """A tiny tokenizer with a known template, its control tokens and its end token."""
    known = KNOWN[name]
    tokenizer = train_tokenizer(texts, vocabulary=400)
    reasoning = [token for token in known.control if "think" in token]
    # As in Qwen 3, whose marks of reasoning are added tokens, but no special ones.
    tokenizer.add_tokens(reasoning)
    special = [token for token in known.control if token not in reasoning]
    tokenizer.add_special_tokens(
        {"bos_token": special[0], "eos_token": known.eos, "additional_special_tokens": special}
    )
    tokenizer.chat_template = known.template
    return tokenizer
