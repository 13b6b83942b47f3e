import argparse
from types import SimpleNamespace

import pytest
import transformers
from huggingface_hub.errors import GatedRepoError

from speechcue_hf.commands.writing import add_writer_arguments, load_writer, load_writer_tokenizer
from speechcue_hf.errors import WritingError
from speechcue_hf.models.tiny import build_tiny_model
from speechcue_hf.writers.decoding import Decoding


def parsed(*line):
    parser = argparse.ArgumentParser()
    add_writer_arguments(parser)
    return parser.parse_args(line)


def test_a_model_folder_is_named_without_its_path(tmp_path):
    for part in build_tiny_model(["Ann"], vocabulary=300):
        part.save_pretrained(tmp_path / "my-model")
    arguments = parsed("--model", str(tmp_path / "my-model"), "--temperature", "0.5", "--seed", "3")
    writer, tokenizer = load_writer(arguments, [])
    assert writer.identity["model"] == "my-model" and str(tmp_path) not in str(writer.identity)
    assert writer.identity["decoding"] | {"temperature": 0.5, "seed": 3} == writer.identity["decoding"]
    assert tokenizer.get_vocab() == load_writer_tokenizer(arguments).get_vocab()


@pytest.fixture
def hub_id(monkeypatch):
    """The id of a model whose branch `main` the Hub has at another commit than `old`."""
    loaded = []

    def load(source, revision=None):
        loaded.append((source, revision))
        return build_tiny_model(["Ann"], vocabulary=300)

    commits = {None: "a" * 40, "old": "b" * 40}
    monkeypatch.setattr("speechcue_hf.models.loading.hub_commit", lambda source, revision: commits[revision])
    monkeypatch.setattr("speechcue_hf.models.loading.load_model", load)
    return SimpleNamespace(name="org/model", loaded=loaded)


@pytest.mark.parametrize(("options", "commit"), [([], "a" * 40), (["--revision", "old"], "b" * 40)])
def test_the_commit_behind_a_branch_is_loaded_and_recorded(hub_id, options, commit):
    writer, _ = load_writer(parsed("--model", hub_id.name, *options), [])
    assert (writer.identity["model"], writer.identity["revision"]) == (hub_id.name, commit)
    assert hub_id.loaded == [(hub_id.name, commit)]


def test_vllm_is_told_commit_and_gpus(hub_id, monkeypatch):
    monkeypatch.setattr("speechcue_hf.writers.offline_vllm.VllmWriter", lambda *model, **options: (model, options))
    made, tokenizer = load_writer(parsed("--model", hub_id.name, "--vllm", "--revision", "old", "--gpus", "4"), [])
    assert made[0] == (hub_id.name,) and tokenizer is None
    assert made[1] == {"name": hub_id.name, "revision": "b" * 40, "decoding": Decoding(), "gpus": 4}


def test_a_server_has_the_revision_it_was_started_with():
    with pytest.raises(ValueError, match="--revision cannot be asked of a server"):
        load_writer(parsed("--model", "m", "--server", "http://localhost:1/v1", "--revision", "old"), [])


def test_a_server_and_its_token(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "secret-1234")
    line = ("--model", "m", "--server", "http://localhost:8000/v1", "--token-from", "MY_TOKEN", "--max-new-tokens", "9")
    writer, tokenizer = load_writer(parsed(*line), [])
    assert tokenizer is None and load_writer_tokenizer(parsed(*line)) is None
    assert writer.identity["model"] == "m" and writer.identity["decoding"]["max_new_tokens"] == 9
    assert "secret" not in str(writer.identity)


def test_no_token_for_the_providers_is_said(monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(WritingError, match="hf auth login"):
        load_writer(parsed("--model", "m/n", "--provider", "auto"), [])


@pytest.mark.parametrize("load", [lambda arguments: load_writer(arguments, []), load_writer_tokenizer])
@pytest.mark.parametrize("wrapped", [True, False])
def test_a_gated_model_without_a_token_says_what_to_do(load, wrapped, monkeypatch):
    def refuses(*_, **__):
        gated = GatedRepoError.__new__(GatedRepoError, "401 Client Error")
        if not wrapped:
            raise gated
        raise OSError("You are trying to access a gated repo.") from gated

    monkeypatch.setattr("speechcue_hf.models.loading.find_beside", refuses)
    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", refuses)
    with pytest.raises(WritingError) as error:
        load(parsed("--model", "meta-llama/Llama-2-70b-chat-hf"))
    assert "meta-llama/Llama-2-70b-chat-hf is gated" in str(error.value)
    assert "https://huggingface.co/meta-llama/Llama-2-70b-chat-hf" in str(error.value)
    assert "HF_TOKEN" in str(error.value) and "hf auth login" in str(error.value)


def test_other_failures_to_load_stay_what_they_are(monkeypatch):
    def refuses(*_, **__):
        raise OSError("there is no such model")

    monkeypatch.setattr("speechcue_hf.models.loading.find_beside", refuses)
    with pytest.raises(OSError, match="there is no such model"):
        load_writer(parsed("--model", "a/b"), [])
