import pytest

from speechcue_hf.errors import GenerationError
from speechcue_hf.generation.request import GeneratedText
from speechcue_hf.generation.run import EMPTY, generate_missing
from speechcue_hf.generation.store import open_store
from tests.generation.scripted import ScriptedGenerator, request

PROMPT = {"name": "p", "sha256": "0"}


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "store.jsonl", generator=ScriptedGenerator().identity, prompt=PROMPT) as opened:
        yield opened


def test_each_key_is_asked_once(store):
    generator = ScriptedGenerator()
    generate_missing([request("a"), request("b"), request("a", group="other")], generator, store)
    generate_missing([request("b"), request("c")], generator, store)
    assert sorted(asked.messages[0]["content"] for asked in generator.asked) == ["a", "b", "c"]


def test_nothing_missing_asks_nothing(store):
    class Untouched(ScriptedGenerator):
        def generate(self, requests):
            raise AssertionError("asked")

    generate_missing([request("a")], ScriptedGenerator(), store)
    generate_missing([request("a")], Untouched(), store)


@pytest.mark.parametrize(("text", "reason"), [(None, "busy"), ("", EMPTY), (" \n", EMPTY)])
def test_a_failure_keeps_its_reason_and_is_asked_again(store, text, reason):
    generate_missing([request("a")], ScriptedGenerator(lambda asked: text), store)
    assert (store[request("a").key].text, store[request("a").key].reason) == (None, reason)
    generate_missing([request("a")], ScriptedGenerator(), store)
    assert store[request("a").key].text == "Somebody."


def test_half_a_character_does_not_stop_a_run(store):
    generate_missing([request("a")], ScriptedGenerator(lambda asked: "Ann \ud83d laughs \U0001f600"), store)
    assert store[request("a").key].text == "Ann ? laughs \U0001f600"


def test_what_was_written_before_a_crash_is_kept(store):
    def crashes(asked):
        if asked.messages[0]["content"] == "b":
            raise RuntimeError("out of memory")
        return "written"

    requests = [request(name) for name in "abcd"]
    with pytest.raises(RuntimeError, match="out of memory"):
        generate_missing(requests, ScriptedGenerator(crashes), store)
    assert [asked.key in store for asked in requests] == [False, False, True, True]
    second = ScriptedGenerator()
    generate_missing(requests, second, store)
    assert sorted(asked.messages[0]["content"] for asked in second.asked) == ["a", "b"]


def test_a_writer_that_answers_twice_or_not_at_all(store):
    class Twice(ScriptedGenerator):
        def generate(self, requests):
            yield from [GeneratedText(requests[0].key, "text", None, None, None)] * 2

    class Never(ScriptedGenerator):
        def generate(self, requests):
            yield from ()

    with pytest.raises(GenerationError, match="answered already"):
        generate_missing([request("a"), request("b")], Twice(), store)
    with pytest.raises(GenerationError, match="left 1 of 1 requests without an answer"):
        generate_missing([request("b")], Never(), store)
