import json
from pathlib import Path

import pytest
from datasets import Dataset

from speechcue_hf.cli import main
from speechcue_hf.models.tiny import build_tiny_model
from speechcue_hf.prompts.build import build_prompts
from speechcue_hf.prompts.specification import load_prompt


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    model, tokenizer = build_tiny_model(["Which emotion? angry happy neutral"], vocabulary=300)
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def test_scores_a_model_that_was_not_trained_here(described_folder, model_folder, tmp_path, capsys):
    arguments = ["evaluate", "--dataset", str(described_folder), "--model", str(model_folder)]
    output = tmp_path / "zero-shot"
    assert main([*arguments, "--split", "validation", "-o", str(output)]) == 0
    results = json.loads((output / "results.json").read_text())
    assert (results["corpus"], results["split"], results["n"], results["seed"]) == (None, "validation", 12, None)
    assert results["prompt"]["name"] == "speechcue" and len(results["describer_sha256"]) == 64
    assert str(tmp_path) not in (output / "results.json").read_text()
    printed = capsys.readouterr().out
    assert f"weighted F1   {100 * results['weighted_f1']:6.2f} %" in printed
    assert "3 dialogues are too few" in results["weighted_f1_interval"]["warning"]
    assert results["weighted_f1_interval"]["warning"] in printed
    columns = Dataset.from_parquet(str(output / "predictions.parquet")).column_names
    assert columns == ["utterance_id", "dialogue_id", "label", "prediction", "probabilities", "margin"]


def test_few_shot_shows_rows_of_train(described_folder, model_folder, tmp_path, monkeypatch):
    shown = []

    def build(*arguments, **settings):
        shown.append(build_prompts(*arguments, **settings))
        return shown[-1]

    monkeypatch.setattr("speechcue_hf.inference.questions.build_prompts", build)
    arguments = ["evaluate", "--dataset", str(described_folder), "--model", str(model_folder), "-o", str(tmp_path)]
    prompt = {"extends": "speechcue", "history": 1, "demonstrations": 3}
    assert main([*arguments, "--prompt", json.dumps(prompt)]) == 0
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["prompt"]["sha256"] == load_prompt(prompt).fingerprint != load_prompt("speechcue").fingerprint
    drawn = [names for rows in shown for names in rows["demonstrations"]]
    assert len(drawn) == 12
    assert all(len(names) == 3 and all(name.startswith("train") for name in names) for names in drawn)


def test_runs_with_several_seeds_are_scored_one_after_the_other(described_folder, model_folder, tmp_path, capsys):
    runs, output = tmp_path / "runs", tmp_path / "scored"
    for seed in (1, 11):
        (runs / f"seed-{seed}").parent.mkdir(exist_ok=True)
        (runs / f"seed-{seed}").symlink_to(model_folder)
    (runs / "seeds.json").write_text('{"seeds": [1, 11]}')
    assert main(["evaluate", "--dataset", str(described_folder), "--model", str(runs), "-o", str(output)]) == 0
    each = [json.loads((output / f"seed-{seed}" / "results.json").read_text()) for seed in (1, 11)]
    summary = json.loads((output / "seeds-test.json").read_text())
    assert summary["weighted_f1"]["values"] == [results["weighted_f1"] for results in each]
    assert (summary["weighted_f1"]["mean"], summary["weighted_f1"]["sd"]) == (each[0]["weighted_f1"], 0)
    assert f"weighted_f1 {each[0]['weighted_f1']:.4f} ± 0.0000" in capsys.readouterr().out


def test_sharing_and_batches_change_no_prediction(described_folder, model_folder, tmp_path):
    arguments = ["evaluate", "--dataset", str(described_folder), "--model", str(model_folder)]
    outputs = [tmp_path / name for name in ("shared", "apart")]
    assert main([*arguments, "-o", str(outputs[0]), "--tokens-per-pass", "50"]) == 0
    assert main([*arguments, "-o", str(outputs[1]), "--sharing", "none", "--batch-size", "5"]) == 0
    shared, apart = (Dataset.from_parquet(str(output / "predictions.parquet")) for output in outputs)
    assert shared["prediction"] == apart["prediction"]
    for first, second in zip(shared["probabilities"], apart["probabilities"], strict=True):
        assert first == pytest.approx(second, abs=1e-4)


def test_rescores_old_outputs(tmp_path):
    table = {
        "utterance_id": ["u0", "u1", "u2"],
        "dialogue_id": ["d0", "d0", "d1"],
        "label": ["happy", "sad", "sad"],
        "output": ["unhappy", "sad", ""],
    }
    Dataset.from_dict(table).to_csv(str(tmp_path / "old.csv"))
    arguments = ["evaluate", "--predictions", str(tmp_path / "old.csv"), "--labels", "happy, sad"]
    for matching, accuracy, invalid in (("strict", 1 / 3, 2 / 3), ("instructerc", 1, 0)):
        assert main([*arguments, "--matching", matching, "-o", str(tmp_path / matching)]) == 0
        results = json.loads((tmp_path / matching / "results.json").read_text())
        assert (results["accuracy"], results["invalid_rate"]) == pytest.approx((accuracy, invalid))


def test_a_split_that_does_not_exist_is_named(described_folder, model_folder, tmp_path, capsys):
    arguments = ["evaluate", "--dataset", str(described_folder), "--model", str(model_folder), "--split", "dev"]
    assert main([*arguments, "-o", str(tmp_path)]) == 1
    assert "has no split 'dev'; it has" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["--model", "m"], ["--model", "m", "--predictions", "p", "-o", "o"]])
def test_wrong_usage_exits_with_2(arguments):
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", *arguments])
    assert stopped.value.code == 2
