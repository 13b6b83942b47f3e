import argparse

import pytest
from huggingface_hub import HfApi

from speechcue_hf.commands.generator_options import add_generator_arguments, load_generator, load_generator_tokenizer
from speechcue_hf.errors import GenerationError
from speechcue_hf.generation.request import GenerationSettings
from speechcue_hf.models.tiny import build_tiny_model

HUB_ID = "tester/tiny"
GATED = "tester/gated"


def parsed(*line):
    parser = argparse.ArgumentParser()
    add_generator_arguments(parser)
    return parser.parse_args(line)


def test_a_model_folder_is_named_without_its_path(tmp_path):
    for part in build_tiny_model(["Ann"], vocabulary=300):
        part.save_pretrained(tmp_path / "my-model")
    arguments = parsed("--model", str(tmp_path / "my-model"), "--temperature", "0.5", "--seed", "3")
    generator, tokenizer = load_generator(arguments, [])
    assert generator.identity["model"] == "my-model" and str(tmp_path) not in str(generator.identity)
    assert generator.identity["decoding"] | {"temperature": 0.5, "seed": 3} == generator.identity["decoding"]
    assert tokenizer.get_vocab() == load_generator_tokenizer(arguments).get_vocab()


@pytest.fixture
def commits(hub):
    """Two commits of a model on the Hub, the first and the one that `main` is at."""
    made = []
    for words in ("Ann", "Ben"):
        for part in build_tiny_model([words], vocabulary=300):
            part.push_to_hub(HUB_ID)
        made.append(HfApi().model_info(HUB_ID).sha)
    return made


def test_the_commit_behind_a_branch_is_loaded_and_recorded(commits):
    first, latest = commits
    for options, commit in (([], latest), (["--revision", "main"], latest), (["--revision", first], first)):
        generator, _ = load_generator(parsed("--model", HUB_ID, *options), [])
        assert (generator.identity["model"], generator.identity["revision"]) == (HUB_ID, commit)


def test_vllm_is_told_commit_and_gpus(commits, monkeypatch):
    monkeypatch.setattr(
        "speechcue_hf.generation.offline_vllm.VllmGenerator", lambda *model, **options: (model, options)
    )
    made, tokenizer = load_generator(parsed("--model", HUB_ID, "--vllm", "--gpus", "4"), [])
    assert made[0] == (HUB_ID,) and tokenizer is None
    assert made[1] == {"name": HUB_ID, "revision": commits[1], "decoding": GenerationSettings(), "gpus": 4}


def test_further_fields_of_requests_to_a_server():
    fields = '{"max_tokens": null, "reasoning_effort": "none"}'
    generator, _ = load_generator(
        parsed("--model", "m", "--server", "http://localhost:1/v1", "--request-fields", fields), []
    )
    assert generator.identity["fields"] == {"max_tokens": None, "reasoning_effort": "none"}
    with pytest.raises(ValueError, match="what a server is asked with"):
        load_generator(parsed("--model", "tiny", "--request-fields", "{}"), [])


@pytest.mark.parametrize("fields", ["max_tokens=5", "[1]"])
def test_further_fields_are_a_table(fields, capsys):
    with pytest.raises(SystemExit):
        parsed("--model", "m", "--request-fields", fields)
    assert "--request-fields: must be" in capsys.readouterr().err


def test_a_server_has_the_revision_it_was_started_with():
    with pytest.raises(ValueError, match="--revision cannot be asked of a server"):
        load_generator(parsed("--model", "m", "--server", "http://localhost:1/v1", "--revision", "old"), [])


def test_a_server_and_its_token(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "secret-1234")
    line = ("--model", "m", "--server", "http://localhost:8000/v1", "--token-from", "MY_TOKEN", "--max-new-tokens", "9")
    generator, tokenizer = load_generator(parsed(*line), [])
    assert tokenizer is None and load_generator_tokenizer(parsed(*line)) is None
    assert generator.identity["model"] == "m" and generator.identity["decoding"]["max_new_tokens"] == 9
    assert "secret" not in str(generator.identity)


def test_no_token_for_the_providers_is_said(monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(GenerationError, match="hf auth login"):
        load_generator(parsed("--model", "m/n", "--provider", "auto"), [])


@pytest.mark.parametrize("options", [[], ["--vllm"]])
@pytest.mark.parametrize("load", [lambda arguments: load_generator(arguments, []), load_generator_tokenizer])
def test_a_gated_model_without_a_token_says_what_to_do(hub, monkeypatch, load, options):
    HfApi().create_repo(GATED)
    hub.repositories["model", GATED].gated = True
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(GenerationError) as error:
        load(parsed("--model", GATED, *options))
    assert f"{GATED} is gated" in str(error.value) and f"https://huggingface.co/{GATED}" in str(error.value)
    assert "HF_TOKEN" in str(error.value) and "hf auth login" in str(error.value)


def test_other_failures_to_load_stay_what_they_are(monkeypatch):
    def refuses(*_, **__):
        raise OSError("there is no such model")

    monkeypatch.setattr("speechcue_hf.models.loading.find_beside", refuses)
    with pytest.raises(OSError, match="there is no such model"):
        load_generator(parsed("--model", "a/b"), [])
