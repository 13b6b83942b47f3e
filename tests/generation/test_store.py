import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from speechcue_hf.errors import GenerationError
from speechcue_hf.generation.request import GeneratedText, request_key
from speechcue_hf.generation.store import EMPTY, generate_missing, open_store, stored_keys
from tests.generation.scripted import ScriptedGenerator, request

WRITER = {"model": "tiny", "decoding": {"temperature": 0.7, "stop": ("a", "b")}}
PROMPT = {"name": "speechcue", "sha256": "0" * 64}


def answer(key, text="Ann is kind.", reason=None):
    return GeneratedText(key, text, reason, 10, 4)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "store.jsonl"


def test_what_was_appended_is_there_again(path):
    with open_store(path, generator=WRITER, prompt=PROMPT) as store:
        store.append(answer("a", 'Ann says "è\u2028"\nand leaves.'))
        store.append(answer("b", None, "busy"))
        assert "a" in store and "b" not in store and len(store) == 1
    with open_store(path, generator=WRITER, prompt=PROMPT) as store:
        assert store["a"] == answer("a", 'Ann says "è\u2028"\nand leaves.')
        assert store["b"].reason == "busy" and "b" not in store
        assert stored_keys(path) == {"a"}
    header = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    assert header["writer"]["model"] == "tiny" and header["prompt"] == PROMPT


def test_the_last_answer_holds(path):
    with open_store(path, generator=WRITER, prompt=PROMPT) as store:
        store.append(answer("a", None, "busy"))
        store.append(answer("a"))
    with open_store(path, generator=WRITER, prompt=PROMPT) as store:
        assert store["a"].text == "Ann is kind."


def test_every_torn_end_is_cut_off_and_nothing_else(path):
    with open_store(path, generator=WRITER, prompt=PROMPT) as store:
        store.append(answer("a"))
        store.append(answer("b", "è"))
    whole = path.read_bytes()
    ends = [place for place, byte in enumerate(whole) if byte == ord("\n")]
    for length in sorted({0, 1, *ends, *(end + 1 for end in ends), *(end - 1 for end in ends), len(whole) - 20}):
        path.write_bytes(whole[:length])
        complete = whole[:length].count(b"\n")
        with open_store(path, generator=WRITER, prompt=PROMPT) as store:
            assert len(store) == max(0, complete - 1)
            store.append(answer("c"))
        with open_store(path, generator=WRITER, prompt=PROMPT) as store:
            assert store["c"] == answer("c")


@pytest.mark.parametrize(
    ("generator", "prompt", "says"),
    [
        (WRITER | {"model": "big"}, PROMPT, "writer model 'tiny' and not 'big'"),
        (WRITER | {"decoding": {"temperature": 0.0, "stop": ["a", "b"]}}, PROMPT, "temperature 0.7 and not 0.0"),
        (WRITER | {"revision": "main"}, PROMPT, "writer revision None and not 'main'"),
        (WRITER, PROMPT | {"name": "bioserc"}, "prompt name 'speechcue' and not 'bioserc'"),
        (WRITER, PROMPT | {"sha256": "1" * 64}, "prompt sha256 '000"),
    ],
)
def test_a_store_of_another_run_is_refused_and_left_alone(path, generator, prompt, says):
    with open_store(path, generator=WRITER, prompt=PROMPT) as store:
        store.append(answer("a"))
    before = path.read_bytes()
    with pytest.raises(GenerationError, match=says) as error, open_store(path, generator=generator, prompt=prompt):
        pass
    assert "give another store" in str(error.value) and str(path) in str(error.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("line", "says"), [(b'{"key": "b"\n', "line 3 is damaged"), (b'{"dialogue": 1}\n', "no store of texts")]
)
def test_a_damaged_store_is_named(path, line, says):
    with open_store(path, generator=WRITER, prompt=PROMPT) as store:
        store.append(answer("a"))
    path.write_bytes(path.read_bytes() + line)
    with pytest.raises(GenerationError, match=says), open_store(path, generator=WRITER, prompt=PROMPT):
        pass


@pytest.mark.parametrize(
    ("said", "says"), [("Ann is kind.", "Ann is king."), ('_tokens": 10', '_tokens": 90'), ("null", "true")]
)
def test_a_text_that_changed_is_not_taken_for_what_a_model_wrote(path, said, says):
    with open_store(path, generator=WRITER, prompt=PROMPT) as store:
        store.append(answer("a"))
        store.append(answer("b"))
    *lines, last = path.read_text().splitlines()
    changed = "\n".join([*lines, last.replace(said, says), ""])
    assert last.replace(said, says) != last
    path.write_text(changed)
    with (
        pytest.raises(GenerationError, match=r"line 3 is damaged|no store"),
        open_store(path, generator=WRITER, prompt=PROMPT),
    ):
        pass
    assert path.read_text() == changed


def test_a_store_of_0_1_0_has_no_checksums_and_goes_on(path):
    with open_store(path, generator=WRITER, prompt=PROMPT) as store:
        pass
    line = {"key": "a", "text": "Ann is kind.", "reason": None, "prompt_tokens": 10, "completion_tokens": 4}
    path.write_text(path.read_text() + json.dumps(line) + "\n")
    with open_store(path, generator=WRITER, prompt=PROMPT) as store:
        assert store["a"] == answer("a")
        store.append(answer("b"))
    assert [("sha256" in json.loads(line)) for line in path.read_text().splitlines()] == [False, False, True]


@pytest.mark.parametrize(
    "content",
    [b"notes", b"notes\n", b"\xff\x00PAR1", b"[1]\nnotes", b'"a"\n', b'{"text": "a"}\n{"text": "b"}\nnotes', b"\n"],
)
def test_a_file_that_is_no_store_is_refused_and_left_alone(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(GenerationError, match="no store of texts"), open_store(path, generator=WRITER, prompt=PROMPT):
        pass
    assert path.read_bytes() == content


def test_a_torn_line_of_another_s_store_is_left_alone(path):
    with open_store(path, generator=WRITER | {"model": "big"}, prompt=PROMPT) as store:
        store.append(answer("a"))
    torn = path.read_bytes() + b'{"key": "b", "te'
    path.write_bytes(torn)
    with (
        pytest.raises(GenerationError, match="'big' and not 'tiny'"),
        open_store(path, generator=WRITER, prompt=PROMPT),
    ):
        pass
    assert path.read_bytes() == torn and stored_keys(path) == {"a"}


def test_a_run_killed_while_it_wrote_the_header_has_no_keys(path):
    with open_store(path, generator=WRITER, prompt=PROMPT):
        pass
    path.write_bytes(path.read_bytes()[:20])
    assert stored_keys(path) == set()


def test_one_run_at_a_time(path):
    with (
        open_store(path, generator=WRITER, prompt=PROMPT),
        pytest.raises(GenerationError, match="another run writes to"),
        open_store(path, generator=WRITER, prompt=PROMPT),
    ):
        pass


def test_no_store_has_no_keys(path):
    assert stored_keys(path) == set()


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


KILLED = """
import sys, threading
from pathlib import Path
from speechcue_hf.generation.store import generate_missing, open_store
from tests.generation.scripted import ScriptedGenerator, request

def answer(asked):
    if len(generator.asked) == 6:
        print("five are written", flush=True)
        threading.Event().wait()
    return "Said " + asked.messages[0]["content"]

generator = ScriptedGenerator(answer)
with open_store(Path(sys.argv[1]), generator=generator.identity, prompt={"name": "p", "sha256": "0"}) as store:
    generate_missing([request(str(number)) for number in range(20)], generator, store)
"""


def test_a_killed_run_goes_on_where_it_stood(path):
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-c", KILLED, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as run:
        assert run.stdout.readline() == b"five are written\n"
        run.send_signal(signal.SIGKILL)
    path.write_bytes(path.read_bytes() + b'{"key": "torn", "te')
    requests = [request(str(number)) for number in range(20)]
    generator = ScriptedGenerator(lambda asked: "Said " + asked.messages[0]["content"])
    with open_store(path, generator=generator.identity, prompt={"name": "p", "sha256": "0"}) as store:
        assert len(store) == 5
        generate_missing(requests, generator, store)
        assert [store[asked.key].text for asked in requests] == [f"Said {number}" for number in range(20)]
    assert len(generator.asked) == 15
    keys = [json.loads(line)["key"] for line in path.read_text().splitlines()[1:]]
    assert sorted(keys) == sorted(request_key(asked.messages) for asked in requests)
