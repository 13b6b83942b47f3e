"""Real weights: what SmolLM2-135M-Instruct makes of 32 prompts of the demo corpus, here, over a server, and in vLLM.

The references were made by one whole forward pass for each prompt and label, with transformers alone:

    SPEECHCUE_MODELS=/models PYTHONPATH=. python tests/inference/test_real_weights.py
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

REFERENCES = Path(__file__).with_name("smollm2_references.json")
FOLDER = Path(os.environ.get("SPEECHCUE_MODELS", "/nowhere")) / "smollm2-135m-instruct"

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="SPEECHCUE_MODELS has no smollm2-135m-instruct")


@pytest.fixture(scope="module")
def references():
    return json.loads(REFERENCES.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def loaded():
    from speechcue_hf.models.loading import load_model

    return load_model(FOLDER)


def test_scoring_replays_the_references(references, loaded):
    from speechcue_hf.inference.shared import score_shared

    scores = score_shared(*loaded, references["prompts"], references["labels"])
    assert len(references["prompts"]) == 32
    np.testing.assert_allclose(scores.log_likelihood, references["log_likelihood"], atol=2e-3)


def test_a_server_with_these_weights_replays_them(references, loaded):
    from speechcue_hf.generation.client import ServerClient
    from speechcue_hf.inference.label_sources import ServerLabels
    from tests.inference.label_server import serving

    with serving(*loaded, ["prompt_logprobs"]) as server:
        labels = ServerLabels(
            ServerClient("smollm2", base_url=server.base_url), references["labels"], tokenizer=loaded[1]
        )
        assert_replayed(labels, references, step=8)


def test_vllm_replays_them(references):
    pytest.importorskip("vllm", reason="vLLM is not installed")
    from speechcue_hf.inference.label_sources import VllmLabels

    assert_replayed(VllmLabels(str(FOLDER), references["labels"], name="smollm2"), references, step=4)


def assert_replayed(labels, references, step):
    from speechcue_hf.generation.request import GenerationRequest

    prompts = references["prompts"][::step]
    requests = [GenerationRequest(str(place), tuple(messages), "") for place, messages in enumerate(prompts)]
    labels.settle(requests[0], {})
    answers = {answer.key: labels.way.judge(answer.text) for answer in labels.generate(requests)}
    found = [answers[request.key].log_likelihood for request in requests]
    np.testing.assert_allclose(found, references["log_likelihood"][::step], atol=2e-3)


def write_references():
    from datasets import concatenate_datasets, load_dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from speechcue_hf.prompts.build import build_prompts

    corpus = load_dataset("speechcue/demo")
    splits = [build_prompts(corpus[split], "speechcue_text") for split in ("validation", "test")]
    prompts = list(concatenate_datasets(splits)["prompt"])
    labels = corpus["test"].features["emotion"].names
    tokenizer = AutoTokenizer.from_pretrained(FOLDER)
    model = AutoModelForCausalLM.from_pretrained(FOLDER, dtype=torch.float32)
    log_likelihood = []
    for messages in prompts:
        start = len(tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"])
        row = []
        for label in labels:
            answered = [*messages, {"role": "assistant", "content": label}]
            text = tokenizer.apply_chat_template(answered, tokenize=False).removesuffix("\n")
            ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
            with torch.no_grad():
                likely = model(ids).logits[0, start - 1 : -1].double().log_softmax(-1)
            row.append(round(likely.gather(-1, ids[0, start:, None]).sum().item(), 5))
        log_likelihood.append(row)
    values = {"labels": labels, "prompts": prompts, "log_likelihood": log_likelihood}
    REFERENCES.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_references()
