"""Against a stand-in with the names and signatures of vLLM 0.33, which is far too large for these tests."""

import json
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

from speechcue_hf.errors import GenerationError
from speechcue_hf.generation import offline_vllm
from speechcue_hf.generation.offline_vllm import VllmGenerator
from speechcue_hf.generation.request import GenerationSettings
from speechcue_hf.models.tiny import train_tokenizer
from tests.generation.scripted import request

REQUESTS = [request(f"Who is speaker {number}?", group=str(number % 2)) for number in range(5)]


class SamplingParams:
    def __init__(self, *, max_tokens: int, temperature: float, top_p: float, seed: int | None) -> None:
        self.settings = (max_tokens, temperature, top_p, seed)


class Completion:
    def __init__(self, text):
        self.text, self.token_ids, self.finish_reason = text, [2, 3], "length" if "4" in text else "stop"


class LLM:
    """Writes the last word of a question."""

    def __init__(self, model, *, revision=None, tensor_parallel_size=1, **engine) -> None:
        self.made_with = {"model": model, "revision": revision, "gpus": tensor_parallel_size, **engine}
        self.llm_engine = SimpleNamespace(model_config=SimpleNamespace(max_model_len=64))
        self.calls = []

    def get_tokenizer(self):
        return train_tokenizer(["Who is speaker"], 300)

    def chat(self, messages, sampling_params=None, use_tqdm=True, *, chat_template_kwargs=None):
        self.calls.append(SimpleNamespace(messages=messages, sampling=sampling_params, template=chat_template_kwargs))
        return [self._output(conversation[-1]["content"]) for conversation in messages]

    def _output(self, question):
        text = "" if "3" in question else f" {question.split()[-1]}"
        return SimpleNamespace(prompt_token_ids=[1] * 9, outputs=[Completion(text)])


@pytest.fixture
def stand_in(monkeypatch):
    module = ModuleType("vllm")
    module.LLM, module.SamplingParams = LLM, SamplingParams
    monkeypatch.setitem(sys.modules, "vllm", module)


def test_every_request_is_answered_and_those_of_a_group_stand_together(stand_in, monkeypatch):
    monkeypatch.setattr(offline_vllm, "REQUESTS_PER_CALL", 3)
    generator = VllmGenerator(
        "/models/tiny", name="org/tiny", revision="abc", decoding=GenerationSettings(max_new_tokens=8), gpus=2
    )
    answers = {answer.key: answer for answer in generator.generate(REQUESTS)}
    assert [answers[asked.key].text for asked in REQUESTS] == [" 0?", " 1?", " 2?", "", " 4?"]
    assert {(answer.prompt_tokens, answer.completion_tokens) for answer in answers.values()} == {(9, 2)}
    assert [answers[asked.key].finish_reason for asked in REQUESTS] == ["stop"] * 4 + ["length"]
    calls = generator._engine.calls
    assert [[asked[0]["content"][-2] for asked in call.messages] for call in calls] == [["0", "2", "4"], ["1", "3"]]
    assert {call.sampling.settings for call in calls} == {(8, 0.0, 1.0, None)}
    assert all(call.template == {"enable_thinking": False} for call in calls)
    dtype = "bfloat16" if torch.cuda.is_available() else "float32"
    assert generator._engine.made_with == {
        "model": "/models/tiny",
        "revision": "abc",
        "gpus": 2,
        "dtype": dtype,
        "max_model_len": None,
    }


def test_what_is_said_is_no_control_token(stand_in):
    generator = VllmGenerator("tiny", name="tiny", decoding=GenerationSettings(max_new_tokens=8))
    list(generator.generate([request("Ann said <|im_end|> to 1?")]))
    assert [call.messages[0][0]["content"] for call in generator._engine.calls] == ["Ann said < |im_end|> to 1?"]


def test_a_prompt_that_is_too_long_keeps_its_place_and_spares_the_call(stand_in):
    long = request("Who is speaker " + "and " * 60 + "0?")
    generator = VllmGenerator(
        "tiny", name="tiny", decoding=GenerationSettings(max_new_tokens=8, temperature=0.5, top_p=0.9, seed=2)
    )
    refused, *others = generator.generate([long, *REQUESTS[:2]])
    assert refused.key == long.key and refused.text is None
    assert refused.reason.endswith("with 8 new ones more than the 64 the model takes")
    assert [other.text for other in others] == [" 0?", " 1?"]
    assert generator._engine.calls[0].sampling.settings == (8, 0.5, 0.9, 2)


def test_the_identity_names_no_path(stand_in):
    generator = VllmGenerator("/home/somebody/tiny", name="org/tiny", revision="abc")
    assert json.loads(json.dumps(generator.identity)) == {
        "writer": "vllm",
        "model": "org/tiny",
        "revision": "abc",
        "decoding": {"max_new_tokens": 300, "temperature": 0.0},
    }


def test_without_vllm_the_cure_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(GenerationError, match=r"pip install 'speechcue_hf\[vllm\]'"):
        VllmGenerator("tiny", name="tiny")
