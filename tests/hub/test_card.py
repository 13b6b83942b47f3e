import json
import re
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from speechcue_hf.cli import main
from speechcue_hf.errors import EvaluationError
from speechcue_hf.hub.card import model_card, usage_example
from speechcue_hf.prompts.specification import load_prompt, presets


def change(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_card_is_filled_from_the_records(run):
    assert main(["card", str(run)]) == 0
    card = ModelCard.load(run / "README.md")
    results, training = (json.loads((run / name).read_text()) for name in ("results.json", "training.json"))
    scores = {result.metric_name: result.metric_value for result in card.data.eval_results}
    assert scores["weighted F1"] == round(results["weighted_f1"], 4)
    assert scores["accuracy"] == round(results["accuracy"], 4)
    assert {(it.dataset_type, it.dataset_split) for it in card.data.eval_results} == {("speechcue/demo", "test")}
    for text in (
        f"| weighted F1 | {100 * results['weighted_f1']:.2f} %",
        f"Measured on {results['n']} labelled utterances in 2 dialogues: the split `test` of demo (task `demo-3-erc`).",
        f"**{results['weighted_f1_interval']['warning']}**",
        f"`speechcue`, SHA-256 `{training['prompt']['sha256']}`",
        f"SHA-256 `{training['describer_sha256']}`",
        "| seed | 3 |",
        "| lora_r | 16 |",
        "licence: CC0-1.0",
        "**History only.**",
        "![Confusion matrix](confusion_matrix.png)",
        "fitted on 20 rows of the train split only",
        "## Intended use and limits",
    ):
        assert text in card.content, text


def test_card_without_results_shows_no_score(run):
    (run / "results.json").unlink()
    card = model_card(run)
    assert "This model has not been evaluated" in card.content
    assert card.data.eval_results is None and "model-index" not in card.content
    assert not re.search(r"\d %|F1", card.content)


def test_nothing_of_this_machine_or_left_empty_reaches_the_card(run, dataset_folder):
    content = model_card(run).content
    for trace in (str(run.parent), str(dataset_folder), "/tmp", "/root", "/home", "base_model:", "None |", "undefined"):
        assert trace not in content, trace
    assert not re.search(r"\{\{|\{%|TODO|\[More Information", content)


def test_no_record_holds_a_path_or_a_token(run, dataset_folder):
    assert main(["card", str(run)]) == 0
    records = [*run.glob("*.json"), run / "README.md"]
    assert {"training.json", "results.json", "adapter_config.json"} <= {path.name for path in records}
    for path in records:
        content = path.read_text() if path.name != "tokenizer.json" else ""
        for trace in (str(run.parent), str(dataset_folder), "/tmp", "/root", "/home"):
            assert trace not in content, f"{trace} in {path.name}"
        assert not re.search(r"hf_[A-Za-z0-9]{20,}", content), path.name


def test_a_card_leads_nowhere_that_does_not_exist(run):
    links = re.findall(r"\]\(([^)]+)\)", model_card(run).content)
    assert links == ["confusion_matrix.png"] and (run / links[0]).is_file()


def test_a_card_made_inside_the_folder_has_its_name(run, monkeypatch):
    monkeypatch.chdir(run)
    assert "\n# my-run\n" in model_card(Path(".")).content


def test_a_base_model_on_the_hub_is_linked(run):
    change(run / "training.json", base_model="HuggingFaceTB/SmolLM2-135M-Instruct")
    card = model_card(run, repo_id="someone/speechcue-demo", licence="apache-2.0")
    assert card.data.base_model == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert card.data.license == "apache-2.0"
    assert 'source = "someone/speechcue-demo"\n' in card.content


def test_example_runs_as_it_stands(run, monkeypatch, capsys):
    program = re.search(r"```python\n(.*?)```", model_card(run).content, re.DOTALL).group(1)
    monkeypatch.chdir(run)
    exec(program, {})
    answers = re.findall(r"^(.*) -> (?:angry|happy|neutral) \(0\.\d\d\)$", capsys.readouterr().out, re.MULTILINE)
    assert answers == ["I got the job!", "So you are leaving."]


def test_example_of_a_few_shot_model_runs_beside_its_corpus(run, dataset_folder, monkeypatch, capsys):
    prompt = load_prompt({"extends": "speechcue", "demonstrations": 3})
    prompt.save(run)
    (run / "data").mkdir()
    (run / "data" / "described").symlink_to(dataset_folder)
    labels = json.loads((run / "training.json").read_text())["labels"]
    monkeypatch.chdir(run)
    exec(usage_example(prompt, labels, source="."), {})
    assert "So you are leaving. -> " in capsys.readouterr().out


@pytest.mark.parametrize("prompt", presets())
def test_every_preset_gets_the_columns_it_reads(prompt):
    """The part of the example that builds prompts runs for every preset; the model is left out."""
    labels = {"names": ["joy", "anger"], "words": ["joyful", "angry"]}
    program = usage_example(load_prompt(prompt), labels, source=".").split("prompts = ")[0]
    scope: dict = {}
    exec(program, scope)
    rows = scope["build_prompts"](scope["turns"], prompt)
    assert "So you are leaving." in rows[1]["prompt"][0]["content"] or load_prompt(prompt).audio_only


def test_results_of_another_prompt_are_refused(run):
    change(run / "results.json", prompt={"name": "speechcuellm", "sha256": "0" * 64})
    with pytest.raises(EvaluationError, match=r"results\.json was scored with prompt .*speechcuellm.*speechcue"):
        model_card(run)


def test_a_folder_without_training_record_is_refused(tmp_path):
    with pytest.raises(EvaluationError, match=r"holds no training\.json"):
        model_card(tmp_path)
