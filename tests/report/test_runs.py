import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from speechcue_hf.corpora.parquet import read_dataset
from speechcue_hf.errors import EvaluationError, RecordError
from speechcue_hf.evaluation.runs import read_runs
from speechcue_hf.prompts.budget import TokenBudget
from speechcue_hf.prompts.build import build_prompts
from speechcue_hf.report.runs import runs_of, turns_of_predictions
from tests.evaluation.run_folders import LABELS, true_classes, write_run

pytestmark = pytest.mark.slow

FROZEN = Path(__file__).parent.parent / "upgrade" / "0.1.0"
IDS = {f"u{place:03d}": 1000 - place for place in range(240)}


def values_of(column):
    return [column["values"][code] for code in column["codes"]] if "codes" in column else column["values"]


@pytest.fixture
def folders(tmp_path):
    for seed in (1, 2):
        write_run(tmp_path / "text" / f"seed-{seed}", 0.5, seed=seed)
    write_run(tmp_path / "cues", 0.7, seed=5)
    return [tmp_path / "text", tmp_path / "cues"]


def test_each_seed_is_a_run_of_its_own_and_folders_are_compared(folders):
    said = runs_of(folders, None, IDS)
    assert [run["name"] for run in said["runs"]] == ["text/seed-1", "text/seed-2", "cues"]
    assert [row[0] for row in said["table"]["cells"]] == ["run", "text", "cues"]
    [pair] = said["pairs"]
    assert pair["names"] == ["text", "cues"] and pair["p_value"] < 0.05


def test_answers_stand_at_the_turns_they_are_of(folders):
    run = runs_of([folders[1]], None, IDS)["runs"][0]
    predicted = write_run(folders[1], 0.7, seed=5)
    assert run["places"] == [IDS[f"u{place:03d}"] for place in range(240)]
    assert run["true"] == true_classes().tolist() and run["answers"] == predicted.tolist()
    assert run["labels"] == LABELS
    assert np.array(run["probabilities"]).argmax(axis=1).tolist() == predicted.tolist()
    # Every answer was given with 0.8.
    hits = (predicted == true_classes()).mean()
    assert run["calibration"]["expected_calibration_error"] == pytest.approx(abs(0.8 - hits))


def test_no_path_of_this_machine_is_told(folders):
    for folder, future in zip(folders, (True, False), strict=True):
        for path in folder.rglob("results.json"):
            path.write_text(json.dumps({**json.loads(path.read_text()), "sees_future": future}))
    said = json.dumps(runs_of(folders, None, IDS))
    assert str(folders[0].parent) not in said and "text saw later turns" in said


def test_an_utterance_that_the_datasets_lack_is_named(folders):
    with pytest.raises(EvaluationError, match=r"was scored on 'u000' \(and 0 more\)"):
        runs_of([folders[1]], None, {name: place for name, place in IDS.items() if name != "u000"})


def test_an_intervention_beside_a_run_is_shown(folders):
    variants = {"shuffled cues": {"weighted_f1": 0.5, "changed": 0.25, "transitions": []}}
    (folders[1] / "intervention.json").write_text(json.dumps({"variants": variants}))
    shown = runs_of([folders[1]], None, IDS)["runs"][0]["intervention"]
    assert shown == [{"name": "shuffled cues", "weighted_f1": 0.5, "changed": 0.25}]
    (folders[1] / "intervention.json").write_text(json.dumps({"variants": [1]}))
    with pytest.raises(RecordError, match="does not hold an intervention"):
        runs_of([folders[1]], None, IDS)


def test_without_a_dataset_turns_are_those_of_the_predictions(folders):
    dataset = turns_of_predictions(read_runs(folders))
    assert list(dataset) == ["test"] and dataset["test"]["utterance_id"][:] == sorted(IDS)
    assert dataset["test"]["emotion"][:] == true_classes().tolist()


def test_prompts_are_what_the_model_saw_shortened_as_it_was(tmp_path):
    from transformers import AutoTokenizer

    dataset = read_dataset(FROZEN / "data" / "biographies")
    run = shutil.copytree(FROZEN / "runs" / "chat", tmp_path / "chat")
    places = {name: place for place, name in enumerate(dataset["test"]["utterance_id"][:])}
    whole = build_prompts(dataset["test"], str(run / "prompt.json"))
    tokenizer = AutoTokenizer.from_pretrained(run)
    lengths = [len(tokenizer.apply_chat_template(it, return_dict=True)["input_ids"]) for it in whole["prompt"]]
    # As if it had been evaluated with a budget that the longest prompts exceed.
    for budget, shortened in ((None, 0), (max(lengths) - 20, 3)):
        results = json.loads((run / "results.json").read_text())
        (run / "results.json").write_text(json.dumps({**results, "token_budget": budget, "shortened": shortened}))
        limit = None if budget is None else TokenBudget(tokenizer, budget)
        built = build_prompts(dataset["test"], str(run / "prompt.json"), budget=limit)
        expected = dict(zip(built["utterance_id"], built["prompt"], strict=True))
        shown = runs_of([run], dataset, places)["runs"][0]
        prompts = [json.loads(text) for text in values_of(shown["prompts"])]
        assert prompts == [expected[name] for name in sorted(places)] and shown["prompts_note"] is None
    assert prompts != whole["prompt"][:]
    (run / "tokenizer_config.json").unlink()
    assert runs_of([run], dataset, places)["runs"][0]["prompts_note"].startswith("3 prompts were shortened")


def test_prompts_that_cannot_be_made_say_why(tmp_path):
    run = shutil.copytree(FROZEN / "runs" / "chat", tmp_path / "chat")
    dataset = read_dataset(FROZEN / "data" / "prepared")
    places = {name: place for place, name in enumerate(dataset["test"]["utterance_id"][:])}
    shown = runs_of([run], dataset, places)["runs"][0]
    assert shown["prompts"] is None and "needs the columns" in shown["prompts_note"]
    assert "dataset that the run was scored on" in runs_of([run], None, places)["runs"][0]["prompts_note"]
