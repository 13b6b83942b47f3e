"""Tiny random models and tokenizers trained on the spot: real code paths, no network."""

from __future__ import annotations

import pytest
import torch
from datasets import ClassLabel, Dataset, Features, Value
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA3 = (
    "<|begin|>{% for message in messages %}<|head|>{{ message.role }}<|/head|>\n\n{{ message.content | trim }}"
    "<|im_end|>{% endfor %}{% if add_generation_prompt %}<|head|>assistant<|/head|>\n\n{% endif %}"
)
LABELS = ["happy", "sad", "neutral", "angry", "excited", "frustrated"]
LINES = [
    "I got the job! They called me this morning.",
    "That is wonderful news, I knew it.",
    "I am not so sure about moving to another town, though.",
    "Why would you say that now?",
    "Because nobody asked me what I want, again.",
    "Fine.",
]


def make_tokenizer(template: str = CHATML) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|im_start|>", "<|im_end|>", "<|begin|>", "<|head|>", "<|/head|>"]
    corpus = [*LINES, "happy sad neutral angry user assistant system Speaker emotion"] * 3
    tokenizer.train_from_iterator(
        corpus,
        trainers.BpeTrainer(
            vocab_size=400, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
        ),
    )
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>")
    fast.chat_template = template
    return fast


SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 2048,
    # A larger spread than the default, so that a wrong mask or position shows in the likelihoods.
    "initializer_range": 0.3,
    "pad_token_id": None,
}


def make_model(kind: str = "llama", **settings) -> torch.nn.Module:
    torch.manual_seed(0)
    settings = {"vocab_size": len(make_tokenizer()), **SIZES, **settings}
    if kind == "qwen3":
        return Qwen3ForCausalLM(Qwen3Config(**settings))
    return LlamaForCausalLM(LlamaConfig(**settings))


def conversation_prompts() -> list[list[dict[str, str]]]:
    """One prompt per turn of a dialogue: instruction and history first, the question last."""
    return [
        [
            {"role": "system", "content": f"Name the emotion: {', '.join(LABELS)}."},
            {"role": "user", "content": "\n".join(LINES[: turn + 1]) + f"\nEmotion of turn {turn}?"},
        ]
        for turn in range(len(LINES))
    ]


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return make_tokenizer()


@pytest.fixture(scope="session", params=["llama", "qwen3"])
def model(request: pytest.FixtureRequest) -> torch.nn.Module:
    return make_model(request.param).eval()


@pytest.fixture(scope="session")
def prompts() -> list[list[dict[str, str]]]:
    return conversation_prompts()


def full_forward_log_likelihood(model, tokenizer, prompts, labels) -> torch.Tensor:
    """The slow reference: one whole forward pass for each prompt and label, no cache, no padding, no batch."""
    rows = []
    for messages in prompts:
        prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
        row = []
        for label in labels:
            text = tokenizer.apply_chat_template(
                [*messages, {"role": "assistant", "content": label}], tokenize=False
            ).removesuffix("\n")
            ids = tokenizer(text, add_special_tokens=False)["input_ids"]
            assert ids[: len(prompt)] == prompt
            with torch.no_grad():
                log_probabilities = model(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(-1)
            row.append(sum(log_probabilities[i - 1, ids[i]].item() for i in range(len(prompt), len(ids))))
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float64)


def described_split(labels: list[str] = LABELS) -> Dataset:
    """Two dialogues as `speechcue describe` leaves them; the second one's last turn has no label."""
    rows = [
        {
            "dialogue_id": f"d{dialogue}",
            "utterance_id": f"d{dialogue}_u{turn}",
            "turn": turn,
            "speaker": ("Ann", "Bob")[turn % 2],
            "text": line if dialogue == 0 else line.lower(),
            "emotion": None if (dialogue, turn) == (1, 5) else (turn + dialogue) % len(labels),
            "speech_description": f"{('high', 'low')[turn % 2]} pitch, {('loud', 'soft')[dialogue]} voice.",
        }
        for dialogue in range(2)
        for turn, line in enumerate(LINES)
    ]
    features = Features(
        {
            **{name: Value("string") for name in ("dialogue_id", "utterance_id", "speaker", "text")},
            "turn": Value("int32"),
            "emotion": ClassLabel(names=labels),
            "speech_description": Value("string"),
        }
    )
    return Dataset.from_list(rows, features=features)


@pytest.fixture
def described() -> Dataset:
    return described_split()
