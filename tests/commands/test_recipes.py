from pathlib import Path

from speechcue_hf.cli import main
from speechcue_hf.training.recipes import packaged_recipes, parse_recipe


def test_lists_all_with_what_they_are(capsys):
    assert main(["recipes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(packaged_recipes())
    assert any(line.startswith("quickstart ") and "A first run" in line for line in lines)


def test_writes_one_out_to_change(tmp_path: Path, capsys):
    copy = tmp_path / "mine.yaml"
    assert main(["recipes", "speechcuellm/llama-3.1-8b/lora_meld", "-o", str(copy)]) == 0
    original = packaged_recipes()["speechcuellm/llama-3.1-8b/lora_meld"].read_text()
    assert copy.read_text() == original
    assert parse_recipe(["--config", str(copy), "seed=7"]).training.seed == 7
    assert main(["recipes", "quickstart", "-o", str(copy)]) == 1
    assert "exists already" in capsys.readouterr().err and copy.read_text() == original


def test_prints_one(capsys):
    assert main(["recipes", "quickstart"]) == 0
    assert capsys.readouterr().out == packaged_recipes()["quickstart"].read_text()


def test_a_misspelt_name_has_a_neighbour(capsys):
    assert main(["recipes", "quickstrt"]) == 1
    assert "did you mean quickstart?" in capsys.readouterr().err
