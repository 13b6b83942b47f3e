import json
import random

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from speechcue_hf.errors import GenerationError
from speechcue_hf.generation.local import (
    LocalGenerator,
    _Prompt,
    _saves_tokens,
    _SeededNoise,
    common_beginning,
    plan_batches,
)
from speechcue_hf.generation.request import GenerationSettings
from speechcue_hf.models.tiny import train_tokenizer
from tests.generation.scripted import request

SAID = ["I got the job!", "That is wonderful news, I knew it.", "Why would you say that now?", "Fine."]
SPEAKERS = ["Ann", "Bartholomew the Elder", "Bo", "Chandler"]
NEW = 16
DECODING = GenerationSettings(max_new_tokens=NEW)


def make_requests():
    """Four dialogues of different length, with one to four speakers each."""
    draw = random.Random(0)
    requests = []
    for dialogue in range(4):
        turns = [f"{draw.choice(SPEAKERS)}: {draw.choice(SAID)}" for _ in range(2 + 3 * dialogue)]
        for speaker in SPEAKERS[: dialogue + 1]:
            question = "Given this conversation:\n" + "\n".join(turns) + f"\nwhat of {speaker}?"
            requests.append(request(question, group=str(dialogue)))
    return requests


REQUESTS = make_requests()


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer([*SAID, *SPEAKERS, "Given this conversation what of user assistant"], 400)


def make_model(tokenizer, kind=LlamaForCausalLM, config=LlamaConfig, **settings):
    torch.manual_seed(0)
    shape = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "initializer_range": 0.3,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
    }
    return kind(config(**shape | settings))


@pytest.fixture
def model(tokenizer):
    return make_model(tokenizer)


@pytest.fixture(scope="module")
def alone(tokenizer):
    return one_by_one(make_model(tokenizer), tokenizer)


def one_by_one(model, tokenizer, **settings):
    """What ``generate`` makes of each prompt by itself: prompt tokens and new tokens by key."""
    texts = {}
    for asked in REQUESTS:
        prompt = tokenizer.apply_chat_template(
            list(asked.messages), add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        output = model.eval().generate(**prompt, do_sample=False, max_new_tokens=NEW, **settings)
        length = prompt["input_ids"].shape[1]
        texts[asked.key] = (length, output[0, length:].tolist())
    return texts


def as_written(found, tokenizer):
    texts = {key: tokenizer.decode(new, skip_special_tokens=True) for key, (_, new) in found.items()}
    return {key: (texts[key] if texts[key].strip() else None, length, len(new)) for key, (length, new) in found.items()}


@pytest.fixture(scope="module")
def expected(alone, tokenizer):
    return as_written(alone, tokenizer)


def written(generator, requests=REQUESTS):
    answers = list(generator.generate(requests))
    assert sorted(answer.key for answer in answers) == sorted(asked.key for asked in requests)
    return {answer.key: (answer.text, answer.prompt_tokens, answer.completion_tokens) for answer in answers}


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_batched_and_shared_texts_are_those_of_each_prompt_alone(model, tokenizer, expected, batch_size):
    generator = LocalGenerator(model, tokenizer, name="tiny", decoding=DECODING, batch_size=batch_size)
    assert written(generator) == expected
    assert len({length for _, length, _ in expected.values()}) > 6
    # A resumed run asks for some of them only.
    assert written(generator, REQUESTS[3::2]).items() <= expected.items()


def test_a_sliding_window_is_not_shifted_by_padding(tokenizer):
    model = make_model(tokenizer, MistralForCausalLM, MistralConfig, sliding_window=16)
    expected = as_written(one_by_one(model, tokenizer), tokenizer)
    assert written(LocalGenerator(model, tokenizer, name="tiny", decoding=DECODING, batch_size=4)) == expected


def test_what_a_dialogue_shares_runs_once(model, tokenizer):
    run = []
    model.model.register_forward_pre_hook(
        lambda module, args, kwargs: run.append(kwargs["attention_mask"].shape[0] * kwargs["input_ids"].shape[1]),
        with_kwargs=True,
    )
    dialogue = [asked for asked in REQUESTS if asked.group == "3"]
    lengths = [
        tokens
        for _, tokens, _ in written(LocalGenerator(model, tokenizer, name="t", decoding=DECODING), dialogue).values()
    ]
    shared, rests, *steps = run
    assert shared < min(lengths) and shared + rests < 2 * max(lengths) < sum(lengths)
    assert set(steps) == {len(dialogue)}


def test_a_text_ends_at_any_end_token_and_a_cut_one_shows(model, tokenizer, alone):
    second_end = next(new[5] for _, new in alone.values() if new[5] not in new[:5])
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, second_end]
    found = written(LocalGenerator(model, tokenizer, name="tiny", decoding=DECODING))
    for key, (length, new) in alone.items():
        text = new[: new.index(second_end)] if second_end in new else new
        tokens = len(text) + (second_end in new)
        assert found[key] == (tokenizer.decode(text, skip_special_tokens=True), length, tokens)
    lengths = {tokens for _, _, tokens in found.values()}
    assert min(lengths) <= 6 and max(lengths) == NEW
    ends = {tokenizer.eos_token_id, second_end}
    answers = LocalGenerator(model, tokenizer, name="tiny", decoding=DECODING).generate(REQUESTS)
    reasons = {answer.key: answer.finish_reason for answer in answers}
    assert reasons == {key: "stop" if ends & set(new) else "length" for key, (_, new) in alone.items()}
    assert set(reasons.values()) == {"stop", "length"}


def test_the_prompt_is_not_in_the_text(model, tokenizer):
    texts = [text for text, _, _ in written(LocalGenerator(model, tokenizer, name="tiny", decoding=DECODING)).values()]
    assert not any("Given this conversation" in text or "assistant\n" in text for text in texts)


def test_a_model_without_words_answers_with_none(model, tokenizer, alone):
    first = {new[0] for _, new in alone.values()}
    model.generation_config.eos_token_id = sorted(first)
    [answer, *_] = LocalGenerator(model, tokenizer, name="tiny", decoding=DECODING).generate(REQUESTS)
    assert (answer.text, answer.reason, answer.completion_tokens) == ("", None, 1)


def test_a_prompt_that_is_too_long_keeps_its_place_with_the_reason(model, tokenizer, alone):
    lengths = sorted(length for length, _ in alone.values())
    model.config.max_position_embeddings = positions = lengths[-2] + NEW
    answers = list(LocalGenerator(model, tokenizer, name="tiny", decoding=DECODING).generate(REQUESTS))
    [refused] = [answer for answer in answers if answer.text is None]
    assert refused.prompt_tokens == lengths[-1]
    expected = f"the prompt has {lengths[-1]} tokens, with {NEW} new ones more than the {positions} the model takes"
    assert refused.reason == expected
    assert len(answers) == len(REQUESTS)


def test_too_little_memory_says_what_to_change(model, tokenizer, monkeypatch):
    def run_out(**arguments):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(model, "generate", run_out)
    with pytest.raises(GenerationError, match="give a batch size below 6"):
        list(LocalGenerator(model, tokenizer, name="tiny", batch_size=6).generate(REQUESTS))


def test_settings_of_the_checkpoint_are_left_out(model, tokenizer, expected):
    penalised = one_by_one(model, tokenizer, repetition_penalty=5.0)
    assert as_written(penalised, tokenizer) != expected
    model.generation_config = GenerationConfig(
        repetition_penalty=5.0, do_sample=True, temperature=0.6, max_length=9, eos_token_id=tokenizer.eos_token_id
    )
    assert written(LocalGenerator(model, tokenizer, name="tiny", decoding=DECODING)) == expected
    assert model.generation_config.repetition_penalty == 5.0


@pytest.mark.parametrize("task", ["CAUSAL_LM", None])
def test_an_adapter_writes(model, tokenizer, expected, task):
    settings = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False, task_type=task)
    torch.manual_seed(1)
    adapted = get_peft_model(model, settings)
    with_adapter = as_written(one_by_one(adapted, tokenizer), tokenizer)
    assert with_adapter != expected
    assert written(LocalGenerator(adapted, tokenizer, name="tiny", decoding=DECODING)) == with_adapter


def test_samples_depend_on_request_and_seed_and_nothing_else(model, tokenizer):
    def sample(seed, batch_size, requests=REQUESTS):
        decoding = GenerationSettings(max_new_tokens=NEW, temperature=0.8, top_p=0.95, seed=seed)
        return written(LocalGenerator(model, tokenizer, name="t", decoding=decoding, batch_size=batch_size), requests)

    first = sample(0, batch_size=3)
    assert sample(0, batch_size=64) == first
    assert sample(0, 3, REQUESTS[4:]).items() <= first.items()
    assert all(sample(1, batch_size=64)[key] != text for key, text in first.items())


def test_noise_makes_samples_of_the_distribution():
    probabilities = torch.tensor([0.5, 0.3, 0.15, 0.05, 0.0])
    rows = 20_000
    drawn = _SeededNoise(list(range(rows)), torch.device("cpu"))(None, probabilities.log().expand(rows, -1)).argmax(1)
    counted = torch.bincount(drawn, minlength=5) / rows
    # Four standard errors of a proportion.
    assert torch.all((counted - probabilities).abs() <= 4 * (probabilities * (1 - probabilities) / rows).sqrt())


def test_batches_hold_whole_groups_of_similar_length():
    lengths = [[5, 5], [90, 91, 92], [50], [51], [6] * 5]
    groups = [[_Prompt(f"{group}", [0] * length) for length in row] for group, row in enumerate(lengths)]
    batches = [[[len(prompt.ids) for prompt in group] for group in batch] for batch in plan_batches(groups, 4)]
    assert batches == [[[92, 91, 90], [51]], [[50]], [[6, 6, 6, 6]], [[6], [5, 5]]]


@pytest.mark.parametrize(
    ("shared", "rests", "saves"),
    [
        ([100], [[3, 5]], True),
        ([100], [[3]], False),  # nobody shares it: 100 + 3 tokens either way
        ([100, 90], [[3, 5], [4, 4]], True),
        ([100, 10], [[3], [90, 80]], False),  # 2 beginnings of 100 and 3 rests of 90, each padded, against 3 times 103
        ([100, 0], [[3, 5, 4], [4]], False),  # a row of padding alone has nothing to attend to
    ],
)
def test_beginnings_run_by_themselves_where_that_saves_tokens(shared, rests, saves):
    groups = [[_Prompt("", [1] * start + [2] * rest) for rest in own] for start, own in zip(shared, rests, strict=True)]
    assert _saves_tokens(groups, [[1] * start for start in shared]) == saves


def test_something_is_left_to_run_behind_a_common_beginning():
    assert common_beginning([[1, 2, 3], [1, 2, 3, 4], [1, 2, 5]]) == [1, 2]
    assert common_beginning([[1, 2], [1, 2, 3]]) == [1]
    assert common_beginning([[1, 2], [3, 4]]) == common_beginning([[7]]) == []


def test_groups_without_a_common_beginning_are_written_all_the_same(model, tokenizer):
    asked = [request("Ann", group="0"), request("Bo", group="0")]
    tokenizer_without_start = train_tokenizer(SAID, 400)
    tokenizer_without_start.chat_template = "{% for message in messages %}{{ message['content'] }}: {% endfor %}"
    generator = LocalGenerator(model, tokenizer_without_start, name="tiny", decoding=DECODING)
    together, apart = written(generator, asked), [written(generator, [one]) for one in asked]
    assert together == apart[0] | apart[1]


def test_the_identity_says_what_would_change_the_text(model, tokenizer):
    generator = LocalGenerator(
        model, tokenizer, name="org/tiny", revision="abc", decoding=GenerationSettings(seed=4), batch_size=2
    )
    assert json.loads(json.dumps(generator.identity)) == {
        "writer": "transformers",
        "model": "org/tiny",
        "revision": "abc",
        "dtype": "float32",
        "decoding": {"max_new_tokens": 300, "temperature": 0.0},
    }


def test_wrong_settings_are_refused(model, tokenizer):
    with pytest.raises(ValueError, match="batch_size"):
        LocalGenerator(model, tokenizer, name="tiny", batch_size=0)
    for wrong in ({"max_new_tokens": 0}, {"temperature": -0.1}, {"top_p": 0.0}, {"top_p": 1.1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            GenerationSettings(**wrong)
