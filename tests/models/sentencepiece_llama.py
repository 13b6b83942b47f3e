"""A Llama's SentencePiece tokenizer, trained on the spot with Llama 2's settings, in the files of a repository."""

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
from transformers import LlamaTokenizer


def write_sentencepiece_llama(
    folder: Path, texts: Iterable[str], settings: dict[str, Any] | None = None, *, with_json: bool = False
) -> SentencePieceProcessor:
    """Write ``tokenizer.model``, ``tokenizer_config.json`` if there are settings, and ``tokenizer.json`` if asked.

    Returns SentencePiece's own processor, which transformers' tokenizers are compared with.
    """
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=model, model_type="bpe", vocab_size=400, hard_vocab_limit=False,
        byte_fallback=True, split_digits=True, allow_whitespace_only_pieces=True, remove_extra_whitespaces=False,
        normalization_rule_name="identity", character_coverage=1.0, unk_id=0, bos_id=1, eos_id=2, pad_id=-1,
        minloglevel=2,
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.model").write_bytes(model.getvalue())
    if with_json:
        LlamaTokenizer.from_pretrained(folder, **settings or {}).save_pretrained(folder)
    if settings is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return SentencePieceProcessor(model_proto=model.getvalue())
