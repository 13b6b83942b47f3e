"""A tiny chat language model, built from config with a tokenizer trained on the spot: for first runs and for tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""ChatML."""

SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
"""Padding, start and end of a message."""


def build_tiny_model(
    texts: Iterable[str], *, seed: int = 0, vocabulary: int = 2048
) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """Build a Llama of about half a million random parameters, and a tokenizer that knows the given texts.

    It shows that a pipeline runs; being random, it knows no language but what it is trained on.

    Args:
        texts: What the tokenizer is trained on, labels included: prompts and answers, say.
        seed: Makes the parameters reproducible; the state of torch's generator is left as it was.
        vocabulary: Most tokens the tokenizer may have.

    Returns:
        The model (float32, CPU) and its tokenizer, with ChatML as chat template.

    Example:
        >>> model, tokenizer = build_tiny_model(["How does Ann feel?", "happy", "sad"])
        >>> tokenizer.eos_token
        '<|im_end|>'
    """
    tokenizer = train_tokenizer(texts, vocabulary)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        initializer_range=0.05,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
        # Smaller ones, frozen, would let an adapter make no label likely; other weights of this size learn slowly.
        torch.nn.init.normal_(model.model.embed_tokens.weight, std=0.15)
    return model, tokenizer


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread, and on as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer with ChatML as chat template.

    Args:
        texts: What it is trained on; being byte-level it can encode any other text as well.
        vocabulary: Most tokens it may have, special tokens and the 256 bytes included.

    Returns:
        The tokenizer, with padding and end token set.

    Raises:
        ValueError: If the vocabulary has no room for the bytes and the special tokens.
    """
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    least = len(alphabet) + len(SPECIAL_TOKENS)
    if vocabulary < least:
        raise ValueError(f"vocabulary must be at least {least}, got {vocabulary}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=list(SPECIAL_TOKENS), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        additional_special_tokens=["<|im_start|>"],
        chat_template=CHAT_TEMPLATE,
    )
