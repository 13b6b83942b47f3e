"""Text encoders of two kinds, built from config with tokenizers trained on the spot."""

from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, RobertaConfig, RobertaModel

KINDS = ("bert", "roberta")
POSITIONS = 48
SIZE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
SAID = ["Leave me alone, A B.", "What a day, A B.", "The bus is here, A B.", "one two three four five six seven"]


def tiny_tokenizer(kind: str, texts: Iterable[str] = SAID) -> PreTrainedTokenizerFast:
    if kind == "bert":
        special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
        tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer = trainers.WordLevelTrainer(special_tokens=[*special.values()], show_progress=False)
    else:
        special = {"cls_token": "<s>", "pad_token": "<pad>", "sep_token": "</s>", "unk_token": "<unk>"}
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=[*special.values()],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{special['cls_token']} $A {special['sep_token']}",
        special_tokens=[
            (token, tokenizer.token_to_id(token)) for token in (special["cls_token"], special["sep_token"])
        ],
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


def tiny_config(kind: str, tokenizer: PreTrainedTokenizerFast) -> BertConfig | RobertaConfig:
    if kind == "bert":
        return BertConfig(vocab_size=len(tokenizer), max_position_embeddings=POSITIONS, pad_token_id=0, **SIZE)
    # RoBERTa's first position is the one after its padding token.
    return RobertaConfig(vocab_size=len(tokenizer), max_position_embeddings=POSITIONS + 2, pad_token_id=1, **SIZE)


def save_tiny_encoder(kind: str, folder: Path, texts: Iterable[str] = SAID) -> Path:
    tokenizer = tiny_tokenizer(kind, texts)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = {"bert": BertModel, "roberta": RobertaModel}[kind](tiny_config(kind, tokenizer))
    # Larger than usual, so that random features differ enough to learn from.
    for parameter in model.parameters():
        parameter.data.mul_(4 if parameter.ndim > 1 else 1)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
