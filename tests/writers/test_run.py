import pytest

from speechcue_hf.errors import WritingError
from speechcue_hf.writers.request import Written
from speechcue_hf.writers.run import EMPTY, write_missing
from speechcue_hf.writers.store import open_store
from tests.writers.scripted import ScriptedWriter, request

PROMPT = {"name": "p", "sha256": "0"}


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "store.jsonl", writer=ScriptedWriter().identity, prompt=PROMPT) as opened:
        yield opened


def test_each_key_is_asked_once(store):
    writer = ScriptedWriter()
    write_missing([request("a"), request("b"), request("a", group="other")], writer, store)
    write_missing([request("b"), request("c")], writer, store)
    assert sorted(asked.messages[0]["content"] for asked in writer.asked) == ["a", "b", "c"]


def test_nothing_missing_asks_nothing(store):
    class Untouched(ScriptedWriter):
        def write(self, requests):
            raise AssertionError("asked")

    write_missing([request("a")], ScriptedWriter(), store)
    write_missing([request("a")], Untouched(), store)


@pytest.mark.parametrize(("text", "reason"), [(None, "busy"), ("", EMPTY), (" \n", EMPTY)])
def test_a_failure_keeps_its_reason_and_is_asked_again(store, text, reason):
    write_missing([request("a")], ScriptedWriter(lambda asked: text), store)
    assert (store[request("a").key].text, store[request("a").key].reason) == (None, reason)
    write_missing([request("a")], ScriptedWriter(), store)
    assert store[request("a").key].text == "Somebody."


def test_half_a_character_does_not_stop_a_run(store):
    write_missing([request("a")], ScriptedWriter(lambda asked: "Ann \ud83d laughs \U0001f600"), store)
    assert store[request("a").key].text == "Ann ? laughs \U0001f600"


def test_what_was_written_before_a_crash_is_kept(store):
    def crashes(asked):
        if asked.messages[0]["content"] == "b":
            raise RuntimeError("out of memory")
        return "written"

    requests = [request(name) for name in "abcd"]
    with pytest.raises(RuntimeError, match="out of memory"):
        write_missing(requests, ScriptedWriter(crashes), store)
    assert [asked.key in store for asked in requests] == [False, False, True, True]
    second = ScriptedWriter()
    write_missing(requests, second, store)
    assert sorted(asked.messages[0]["content"] for asked in second.asked) == ["a", "b"]


def test_a_writer_that_answers_twice_or_not_at_all(store):
    class Twice(ScriptedWriter):
        def write(self, requests):
            yield from [Written(requests[0].key, "text", None, None, None)] * 2

    class Never(ScriptedWriter):
        def write(self, requests):
            yield from ()

    with pytest.raises(WritingError, match="answered already"):
        write_missing([request("a"), request("b")], Twice(), store)
    with pytest.raises(WritingError, match="left 1 of 1 requests without an answer"):
        write_missing([request("b")], Never(), store)
