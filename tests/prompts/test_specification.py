import json
from dataclasses import replace
from pathlib import Path

import pytest
from datasets import Dataset
from datasets.fingerprint import Hasher

from speechcue_hf.errors import PromptError
from speechcue_hf.prompts.build import build_prompts
from speechcue_hf.prompts.specification import load_prompt, presets


def test_presets_load_and_name_themselves() -> None:
    assert {"speechcue", "speechcue_text", "speechcuellm", "instructerc"} <= set(presets())
    for name in presets():
        assert load_prompt(name).name == name


def test_fingerprint_follows_what_shapes_the_prompt() -> None:
    prompt = load_prompt("speechcue")
    assert len(prompt.fingerprint) == 64
    assert prompt.fingerprint == replace(load_prompt("speechcue"), name="renamed").fingerprint
    changed = [replace(prompt, history=3), replace(prompt, template=prompt.template + " ")]
    assert len({prompt.fingerprint, *(other.fingerprint for other in changed)}) == 3


def test_saved_prompt_is_the_same_prompt(tmp_path: Path, meld: Dataset) -> None:
    prompt = load_prompt("speechcuellm_meld")
    prompt.save(tmp_path)
    again = load_prompt(tmp_path / "prompt.json")
    assert again == prompt
    assert again.fingerprint == prompt.fingerprint
    assert build_prompts(meld, tmp_path / "prompt.json").to_list() == build_prompts(meld, prompt).to_list()


def test_own_prompt_file_extends_a_preset(tmp_path: Path, meld: Dataset) -> None:
    template = "{% macro opening(target) %}{{ labels[0] }}|{% endmacro %}{% macro turn(turn, cued) %}.{% endmacro %}"
    template += "{% macro question(target) %}{{ target.text }}?{% endmacro %}"
    (tmp_path / "mine.jinja").write_text(template)
    settings = {"extends": "speechcue_text", "template": "mine.jinja", "history": 1, "label_words": {"neutral": "calm"}}
    (tmp_path / "mine.json").write_text(json.dumps(settings))
    prompt = load_prompt(tmp_path / "mine.json")
    assert prompt.name == "mine" and prompt.history == 1 and not prompt.description
    rows = build_prompts(meld, prompt)
    assert rows[3]["prompt"][0]["content"] == "calm|..Sorry.?"
    assert rows[2]["completion"][0]["content"] == "calm"


def test_prompt_keeps_the_cache_of_map() -> None:
    assert Hasher.hash(load_prompt("speechcue")) == Hasher.hash(load_prompt("speechcue"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"extends": "speechcue", "windw": 3}, "'windw', which does not exist"),
        ({"history": 3}, "has no 'template'"),
        ({"extends": "speechcue", "history": -1}, "history must be 0 or more"),
        ({"extends": "speechcue", "question": "few_shot"}, "fine_tuned or zero_shot"),
        ({"extends": "speechcue", "speakers": "age"}, "name, appearance or gender"),
        ({"extends": "speechcue", "description": False, "audio_only": True}, "needs the description"),
        ({"extends": "nothing"}, "no prompt 'nothing'.*speechcuellm"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(PromptError, match=message):
        load_prompt(settings)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ ''.__class__.__base__.__subclasses__() }}", "'mine'.*unsafe"),
        ("{{ target.speaker.__init__.__globals__ }}", "'mine'.*unsafe"),
        ("{{ target.emotion }}", "'mine'.*no attribute 'emotion'"),
    ],
)
def test_a_template_runs_no_code_and_asks_for_nothing_else(
    tmp_path: Path, meld: Dataset, template: str, message: str
) -> None:
    macros = "{% macro turn(turn, cued) %}{% endmacro %}{% macro question(target) %}{% endmacro %}"
    (tmp_path / "mine.jinja").write_text(f"{{% macro opening(target) %}}{template}{{% endmacro %}}{macros}")
    (tmp_path / "mine.json").write_text('{"extends": "speechcue_text", "template": "mine.jinja"}')
    with pytest.raises(PromptError, match=message):
        build_prompts(meld, tmp_path / "mine.json")


def test_broken_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=r"no file .*absent\.json"):
        load_prompt(tmp_path / "absent.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(PromptError, match=r"broken\.json is not valid JSON"):
        load_prompt(tmp_path / "broken.json")
    with pytest.raises(PromptError, match="the prompt is not valid JSON"):
        load_prompt('{"extends": speechcue}')
    (tmp_path / "bad.jinja").write_text("{% macro %}")
    (tmp_path / "bad.json").write_text('{"extends": "speechcue", "template": "bad.jinja"}')
    with pytest.raises(PromptError, match="not valid in line 1"):
        load_prompt(tmp_path / "bad.json")
