import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from datasets import DatasetDict, load_dataset

from speechcue_hf.biographies.requests import plan_biographies
from speechcue_hf.biographies.settings import BiographySettings
from speechcue_hf.cli import main
from speechcue_hf.corpora.parquet import write_dataset
from tests.biographies.dialogues import dataset_of, random_dialogue, rows_of
from tests.generation.openai_server import ChatServer

CALL = [("Ann", "It's me."), ("Ben", "Who?"), ("Ann", "Me!"), ("Ben", "Oh, hi.")]
TINY = ["--model", "tiny", "--max-new-tokens", "4"]


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "described"
    write_dataset(DatasetDict(train=dataset_of(rows_of(CALL, "a")), test=dataset_of(rows_of(CALL[::-1], "b"))), folder)
    (folder / "describer.json").write_text("{}")
    return folder


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_writes_with_the_tiny_model_and_asks_nothing_twice(folder, tmp_path, capsys):
    output = tmp_path / "out"
    line = ["biographies", str(folder), "-o", str(output), *TINY]
    assert main(line) == 0
    said = capsys.readouterr()
    assert "history           4         4" in said.out and "<- this run" in said.out
    assert "sees no later turn" in said.out
    written = load_dataset(str(output))
    assert written["train"]["biography_turns"][:] == [None, None, 2, 3]
    record = json.loads((output / "biographies.json").read_text())
    assert record["scope"] == "history" and record["sees_future"] is False and record["writer"]["model"] == "tiny"
    assert (output / "describer.json").read_text() == "{}"
    store = (output / "biographies-store.jsonl").read_bytes()
    assert main(line) == 0
    failed = sum(entry["text"] is None for entry in lines(output / "biographies-store.jsonl")[1:5])
    assert f"history           4{failed:>10}" in capsys.readouterr().out
    assert (output / "biographies-store.jsonl").read_bytes().startswith(store)
    assert len(lines(output / "biographies-store.jsonl")) == 5 + failed


def test_the_whole_dialogue_is_marked_everywhere(folder, tmp_path, capsys):
    line = ["biographies", str(folder), "-o", str(tmp_path / "out"), *TINY, "--preset", "bioserc"]
    assert main(line) == 0
    assert "SEES THE FUTURE" in capsys.readouterr().out
    assert set(load_dataset(str(tmp_path / "out"))["test"]["biography_scope"]) == {"dialogue"}
    record = json.loads((tmp_path / "out" / "biographies.json").read_text())
    assert record["sees_future"] is True and record["prompt"]["name"] == "bioserc" and record["word_limit"] == 250


def test_an_estimate_writes_nothing(folder, tmp_path, capsys):
    line = ["biographies", str(folder), "--estimate", "--refresh", "1", "--max-new-tokens", "90"]
    assert main([*line, "--tokens-per-second", "0.1", "--price", "0", "1e6"]) == 0
    said = capsys.readouterr().out
    assert "guessed, 1.4 a word" in said and "at most 1.00 hours" in said and "at most 360.00." in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["described"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--model", "tiny"], "-o is missing"),
        (["-o", "OUT"], "--model is missing"),
        (["-o", "OUT", "--model", "m", "--vllm", "--server", "http://localhost:1"], "exclude each other"),
        (["-o", "OUT", "--model", "tiny", "--prompt", "none.jinja"], "neither a prompt for biographies"),
        (["-o", "OUT", "--model", "m", "--server", "http://localhost:1", "--token-from", "NOT_SET"], "NOT_SET"),
    ],
)
def test_wrong_options_are_named(folder, tmp_path, capsys, options, says):
    options = [str(tmp_path / "out") if option == "OUT" else option for option in options]
    assert main(["biographies", str(folder), *options]) == 1
    assert says in capsys.readouterr().err


def test_a_store_of_another_run_is_refused(folder, tmp_path, capsys):
    line = ["biographies", str(folder), "-o", str(tmp_path / "out"), "--store", str(tmp_path / "store.jsonl")]
    assert main([*line, *TINY]) == 0
    assert main([*line, "--model", "tiny", "--max-new-tokens", "5"]) == 1
    assert "decoding max_new_tokens 4 and not 5" in capsys.readouterr().err
    assert main([*line, *TINY, "--prompt", "bioserc"]) == 1
    assert "prompt name 'speechcue' and not 'bioserc'" in capsys.readouterr().err


def test_an_empty_answer_of_a_server_is_null_and_asked_again(folder, tmp_path, capsys):
    plans = plan_biographies(rows_of(CALL, "a"), BiographySettings(scope="dialogue"))
    server = ChatServer(faults={plans[0].request.messages[0]["content"]: ["empty"]})
    threading.Thread(target=server.serve_forever, daemon=True).start()
    output = tmp_path / "out"
    line = ["biographies", str(folder), "-o", str(output), "--scope", "dialogue", "--model", "m"]
    assert main([*line, "--server", server.base_url]) == 0
    assert "2 x the model answered with an empty text" in capsys.readouterr().out
    written = load_dataset(str(output))["train"]
    assert [text is None for text in written["biography"]] == [True, False, True, False]
    assert main([*line, "--server", server.base_url]) == 0
    server.shutdown()
    server.server_close()
    assert "train: 4 of 4 rows" in capsys.readouterr().out
    assert sorted(server.asked.values()) == [1, 1, 1, 2]


def test_published_biographies(folder, tmp_path, capsys):
    data = {"a": {"labels": [], "sentences": [text for _, text in CALL], "genders": []}}
    (tmp_path / "meld.train.json").write_text(json.dumps(data))
    published = tmp_path / "meld.train_spdescV2_llama.json"
    published.write_text(json.dumps({"a": ["Ann.", "Ben.", "Ann.", "Ben."]}))
    line = ["biographies", str(folder), "-o", str(tmp_path / "out"), "--published", str(published)]
    assert main(line) == 0
    said = capsys.readouterr().out
    assert "SEE THE FUTURE" in said and "train: 4 of 4 rows" in said and "test: 0 of 4 rows" in said
    assert load_dataset(str(tmp_path / "out"))["train"]["biography"][:] == ["Ann.", "Ben.", "Ann.", "Ben."]
    assert json.loads((tmp_path / "out" / "biographies.json").read_text())["writer"] == {"model": "llama"}


def test_a_killed_run_goes_on_where_it_stood_and_pays_for_nothing_twice(tmp_path):
    folder, output = tmp_path / "described", tmp_path / "out"
    write_dataset(DatasetDict(train=dataset_of(*(random_dialogue(seed) for seed in range(6)))), folder)
    server = ChatServer()
    server.meet = threading.Barrier(2)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    line = ["biographies", str(folder), "-o", str(output), "--refresh", "3", "--model", "m", "--concurrency", "1"]
    line += ["--server", server.base_url]
    store = output / "biographies-store.jsonl"
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    with subprocess.Popen([sys.executable, "-m", "speechcue_hf.cli", *line], env=environment) as run:
        for _ in range(5):
            server.meet.wait(timeout=60)
        while store.read_bytes().count(b"\n") < 6:
            assert run.poll() is None, "the run ended before it was killed"
        run.send_signal(signal.SIGKILL)
    server.meet.abort()
    before = store.read_bytes()
    assert len(lines(store)) == 6 and not list(output.glob("**/*.parquet"))
    server.meet = None
    assert main(line) == 0
    server.shutdown()
    server.server_close()
    assert store.read_bytes().startswith(before)
    keys = [entry["key"] for entry in lines(store)[1:]]
    assert sorted(keys) == sorted(set(load_dataset(str(output))["train"]["biography_key"]) - {None})
    # The sixth was perhaps in flight when the run was killed; the five are not asked again.
    assert server.asked.total() - len(server.asked) in (0, 1)
