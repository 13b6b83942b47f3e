"""vLLM in this process, as a stand-in with the names and signatures of vLLM 0.33 that computes with a tiny model."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from speechcue_hf.errors import GenerationError
from speechcue_hf.evaluation.evaluate import evaluate
from speechcue_hf.inference import label_sources
from speechcue_hf.inference.chat import ChatClassifier
from speechcue_hf.inference.label_sources import VllmLabels
from speechcue_hf.inference.served import ServedClassifier
from speechcue_hf.prompts.build import build_prompts
from speechcue_hf.prompts.encoding import encode_prompts
from speechcue_hf.prompts.specification import load_prompt
from tests.tiny_chat import LABELS, described_split, make_model, make_tokenizer


class SamplingParams:
    def __init__(self, *, max_tokens: int, temperature: float, prompt_logprobs: int) -> None:
        assert max_tokens == 1 and prompt_logprobs >= 0
        self.prompt_logprobs = prompt_logprobs


class LLM:
    """Tells of each prompt what a whole forward pass gives each of its tokens."""

    longest = 2048

    def __init__(self, model, *, revision=None, dtype="auto", tensor_parallel_size=1, **engine) -> None:
        assert dtype == ("bfloat16" if torch.cuda.is_available() else "float32")
        self.llm_engine = SimpleNamespace(model_config=SimpleNamespace(max_model_len=self.longest))
        self.model = make_model().eval()
        self.calls = []

    def get_tokenizer(self):
        return make_tokenizer()

    def generate(self, prompts, sampling_params=None, *, use_tqdm=True):
        self.calls.append(len(prompts))
        assert isinstance(sampling_params, SamplingParams)
        return [SimpleNamespace(prompt_logprobs=self._told(prompt["prompt_token_ids"])) for prompt in prompts]

    def _told(self, ids):
        assert len(ids) < self.longest
        with torch.no_grad():
            likely = self.model(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(-1)
        own = [{token: SimpleNamespace(logprob=likely[place, token].item())} for place, token in enumerate(ids[1:])]
        return [None, *own]


@pytest.fixture
def stand_in(monkeypatch):
    module = ModuleType("vllm")
    module.LLM, module.SamplingParams = LLM, SamplingParams
    monkeypatch.setitem(sys.modules, "vllm", module)


def test_vllm_scores_labels_as_this_process_does(stand_in, monkeypatch):
    monkeypatch.setattr(label_sources, "SEQUENCES_PER_CALL", 24)
    prompt = load_prompt("speechcue")
    labels = VllmLabels("/home/ann/tiny", LABELS, name="org/tiny", revision="abc")
    rows = described_split()
    results, table = evaluate(ServedClassifier(labels, prompt, tuple(LABELS)), rows)
    expected = ChatClassifier(make_model().eval(), make_tokenizer(), prompt, tuple(LABELS)).predict(rows)
    wanted = [place for place, emotion in enumerate(rows["emotion"]) if emotion is not None]
    np.testing.assert_allclose(
        list(table["probabilities"]), [expected[place].probabilities for place in wanted], atol=1e-3
    )
    # Four prompts of six labels go into a call, and none is asked twice.
    assert labels._engine.calls[0] == 24 and sum(labels._engine.calls) == 6 * len(wanted)
    assert (results.decode, results.server["writer"], results.server["revision"]) == ("score", "vllm", "abc")
    assert "ann" not in str(results.server)


def test_a_prompt_that_is_too_long_has_its_reason(stand_in, monkeypatch):
    rows = described_split()
    lengths = [len(ids) for ids in encode_prompts(make_tokenizer(), list(build_prompts(rows, "speechcue")["prompt"]))]
    monkeypatch.setattr(LLM, "longest", sorted(lengths)[6] + 12)
    labels = VllmLabels("tiny", LABELS, name="tiny")
    results, table = evaluate(ServedClassifier(labels, load_prompt("speechcue"), tuple(LABELS)), rows)
    reasons = [note for note in table["note"] if note]
    assert 0 < len(reasons) == results.unanswered < results.n
    assert reasons[0].endswith(f"tokens with a label, and the model takes {LLM.longest}")


def test_without_vllm_the_cure_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(GenerationError, match=r"pip install 'speechcue_hf\[vllm\]'"):
        VllmLabels("tiny", LABELS, name="tiny")
