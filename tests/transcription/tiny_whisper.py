"""A Whisper of a few thousand random parameters, with tokens and settings like a real one: its words mean nothing."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import (
    GenerationConfig,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
    WhisperTokenizerFast,
)

LANGUAGES = ("en", "zh", "de")


def tiny_whisper(folder: Path, *, word_times: bool = True, seed: int = 0) -> Path:
    """Write the model into a folder."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tasks = ("<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>")
    special = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{code}|>" for code in LANGUAGES), *tasks]
    times = [f"<|{step * 0.02:.2f}|>" for step in range(1501)]
    backend = Tokenizer(BPE({token: number for number, token in enumerate(alphabet)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(special)
    backend.add_tokens(times)
    ids = {token: backend.token_to_id(token) for token in special}
    end = ids["<|endoftext|>"]
    tokenizer = WhisperTokenizerFast(
        tokenizer_object=backend, unk_token=special[0], bos_token=special[0], eos_token=special[0], pad_token=special[0]
    )
    torch.manual_seed(seed)
    model = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=backend.get_vocab_size(),
            d_model=16,
            encoder_layers=1,
            decoder_layers=2,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=16,
            decoder_ffn_dim=16,
            max_target_positions=40,
            decoder_start_token_id=ids["<|startoftranscript|>"],
            bos_token_id=end,
            eos_token_id=end,
            pad_token_id=end,
            init_std=1.0,
        )
    )
    model.generation_config = GenerationConfig(
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=ids["<|startoftranscript|>"],
        no_timestamps_token_id=ids["<|notimestamps|>"],
        prev_sot_token_id=ids["<|startofprev|>"],
        max_initial_timestamp_index=50,
        max_length=40,
        is_multilingual=True,
        suppress_tokens=[],
        begin_suppress_tokens=[end],
        lang_to_id={f"<|{code}|>": ids[f"<|{code}|>"] for code in LANGUAGES},
        task_to_id={"transcribe": ids["<|transcribe|>"], "translate": ids["<|translate|>"]},
        **({"alignment_heads": [[1, 0], [1, 1]]} if word_times else {}),
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    WhisperFeatureExtractor().save_pretrained(folder)
    return folder
