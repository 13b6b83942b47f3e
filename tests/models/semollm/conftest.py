from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from speechcue_hf.models.semollm import SEmoLLMForConditionalGeneration, SEmoLLMProcessor
from tests.models.semollm.tiny_model import build_tiny_semollm

PROMPTS = ["<|audio|>Describe the pitch.", "<|audio|>Or <|audio|>: which is louder?", "How do you do?"]
"""One clip, two clips, none."""

Built = tuple[SEmoLLMForConditionalGeneration, SEmoLLMProcessor]


@pytest.fixture(scope="session")
def build() -> Callable[..., Built]:
    """Builds a tiny model whose every parameter matters: at their usual first values most change little."""

    def built(**settings: Any) -> Built:
        model, processor = build_tiny_semollm(PROMPTS, **settings)
        generator = torch.Generator().manual_seed(1)
        for parameter in model.model.speech_adapter.parameters():
            parameter.data += 0.3 * torch.randn(parameter.shape, generator=generator)
        return model, processor

    return built


@pytest.fixture(scope="session")
def tiny(build: Callable[..., Built]) -> Built:
    """SEmoLLM as the paper has it, tiny; not to be changed."""
    return build()


@pytest.fixture(scope="session")
def clips() -> list[npt.NDArray[np.float32]]:
    """Three clips of 1.0, 0.5 and 0.8 s at 16 kHz."""
    generator = np.random.default_rng(0)
    return [generator.normal(scale=0.1, size=size).astype(np.float32) for size in (16_000, 8_000, 12_800)]
