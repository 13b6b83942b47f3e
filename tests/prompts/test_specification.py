import json
from dataclasses import replace
from pathlib import Path

import pytest
from datasets import Dataset
from datasets.fingerprint import Hasher

from speechcue_hf.errors import PromptError
from speechcue_hf.prompts.build import build_prompts
from speechcue_hf.prompts.specification import PromptSpecification, load_prompt, presets


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


@pytest.mark.parametrize(
    "name", ["../secret.jinja", "/etc/passwd", "a/b.jinja", "..", "", ".hidden", "c:\\x", "http://x/y", 3, None, ["a"]]
)
@pytest.mark.parametrize("setting", ["template", "extends"])
def test_a_prompt_file_leads_to_no_file_outside_its_folder(tmp_path, setting, name):
    (tmp_path / "secret.jinja").write_text("secret")
    (tmp_path / "run" / "a").mkdir(parents=True)
    (tmp_path / "run" / "a" / "b.jinja").write_text("secret")
    settings = {"extends": "speechcue", setting: name}
    (tmp_path / "run" / "prompt.json").write_text(json.dumps(settings))
    if setting == "extends" and name is None:
        pytest.skip("that is none")
    with pytest.raises(PromptError, match="names a file in its own folder by its name alone"):
        load_prompt(tmp_path / "run" / "prompt.json")


def test_a_link_out_of_the_folder_is_not_followed_but_that_of_the_hubs_cache_is(tmp_path):
    snapshot = tmp_path / "models--a--b" / "snapshots" / "0123"
    (snapshot.parents[1] / "blobs").mkdir(parents=True)
    snapshot.mkdir(parents=True)
    blob = snapshot.parents[1] / "blobs" / "0a"
    blob.write_text(load_prompt("speechcue").template)
    (snapshot / "prompt.json").write_text('{"extends": "speechcue", "template": "prompt.jinja"}')
    (snapshot / "prompt.jinja").symlink_to("../../blobs/0a")
    assert load_prompt(snapshot / "prompt.json").template == load_prompt("speechcue").template
    (snapshot / "prompt.jinja").unlink()
    (tmp_path / "secret").write_text("secret")
    (snapshot / "prompt.jinja").symlink_to(tmp_path / "secret")
    with pytest.raises(PromptError, match="is a link out of its folder"):
        load_prompt(snapshot / "prompt.json")


@pytest.mark.parametrize("circle", [["a"], ["a", "b"], ["a", "b", "c"]])
def test_prompts_do_not_extend_each_other_in_a_circle(tmp_path, circle):
    for name, base in zip(circle, [*circle[1:], circle[0]], strict=True):
        (tmp_path / f"{name}.json").write_text(json.dumps({"extends": f"{base}.json"}))
    with pytest.raises(PromptError, match="extends itself"):
        load_prompt(tmp_path / "a.json")


def test_a_prompt_extends_one_beside_it(tmp_path):
    (tmp_path / "a.json").write_text('{"extends": "b.json", "history": 2}')
    (tmp_path / "b.json").write_text('{"extends": "speechcue_text", "history": 1, "question_count": 2}')
    prompt = load_prompt(tmp_path / "a.json")
    assert (prompt.name, prompt.history, prompt.question_count) == ("a", 2, 2)


@pytest.mark.parametrize("text", ["", "[1]", "null", "[" * 100_000, '{"a": ', "\ufeff{}", '"text"'])
def test_what_is_no_prompt_is_an_error_with_its_file(tmp_path, text):
    (tmp_path / "prompt.json").write_text(text)
    with pytest.raises(PromptError, match=r"prompt"):
        load_prompt(tmp_path / "prompt.json")


def test_a_prompt_that_asks_for_too_much_is_an_error_of_it(meld):
    loops = "{% for a in range(9000) %}{% for b in range(9000) %}{% endfor %}{% endfor %}"
    template = "{% macro opening(t) %}" + loops + "{% endmacro %}{% macro turn(t, c) %}{% endmacro %}"
    settings = {**load_prompt("speechcue_text").to_values(), "template": template}
    with pytest.raises(PromptError, match="cannot be filled in: it takes more than 100,000 steps"):
        build_prompts(meld, PromptSpecification(**settings))
