import json

import numpy as np
import pytest
from sklearn.metrics import f1_score

from speechcue_hf.errors import EvaluationError, RecordError
from speechcue_hf.evaluation.compare import compare_runs
from speechcue_hf.evaluation.ensemble import ensemble_runs
from speechcue_hf.evaluation.runs import read_runs, run_folders
from tests.evaluation.run_folders import true_classes, write_run

pytestmark = pytest.mark.slow


def write_seeds(folder, hit_rate, seeds, **known):
    return [write_run(folder / f"seed-{seed}", hit_rate, seed=seed, **known) for seed in seeds]


def test_seeds_are_found_in_the_order_of_their_numbers(tmp_path):
    write_seeds(tmp_path, 0.5, [11, 2], rows=24)
    (tmp_path / "seed-old").mkdir()
    assert [place.name for place in run_folders(tmp_path)] == ["seed-2", "seed-11"]
    assert run_folders(tmp_path / "seed-2") == [tmp_path / "seed-2"]


def test_a_seed_that_was_not_evaluated_is_named(tmp_path):
    write_seeds(tmp_path, 0.5, [1, 2], rows=24)
    (tmp_path / "seeds.json").write_text(json.dumps({"seeds": [1, 2, 3]}))
    with pytest.raises(RecordError, match=r"seed-3 holds no results\.json: evaluate again"):
        run_folders(tmp_path)


def test_a_folder_of_nothing_says_what_it_lacks(tmp_path):
    with pytest.raises(RecordError, match=r"holds no results\.json"):
        run_folders(tmp_path)


def test_scores_are_those_of_each_seed(tmp_path):
    predicted = write_seeds(tmp_path / "a", 0.6, [1, 2])
    [run] = read_runs([tmp_path / "a"])
    expected = [f1_score(true_classes(), answers, average="weighted") for answers in predicted]
    assert run.weighted_f1 == pytest.approx(expected)
    assert run.right.tolist() == np.mean([answers == true_classes() for answers in predicted], axis=0).tolist()


def test_means_over_seeds_are_compared_on_the_same_dialogues(tmp_path):
    first, second = (write_seeds(tmp_path / name, rate, [1, 2, 3]) for name, rate in (("a", 0.5), ("b", 0.8)))
    result = compare_runs(tmp_path / "a", tmp_path / "b", draws=400, seed=7)
    true, dialogues = true_classes(), np.arange(240) // 8

    def mean_score(rows, answers):
        return np.mean([f1_score(true[rows], one[rows], average="weighted") for one in answers])

    everything = np.arange(240)
    difference = mean_score(everything, second) - mean_score(everything, first)
    assert result["difference"] == pytest.approx(difference)
    # The same dialogues are drawn with plain loops.
    weights = np.random.default_rng(7).multinomial(30, np.full(30, 1 / 30), size=400)
    drawn = []
    for weight in weights:
        rows = np.repeat(everything, weight[dialogues])
        drawn.append(mean_score(rows, second) - mean_score(rows, first))
    assert result["interval"] == pytest.approx(np.quantile(drawn, [0.025, 0.975]).tolist())
    assert result["p_value_seeds"] < 0.05
    pairs = [(one == true) & (other == true) for one in first for other in second]
    assert result["both"] == pytest.approx(np.mean([pair.sum() for pair in pairs]))
    assert sum(result[name] for name in ("both", "only_first", "only_second", "neither")) == pytest.approx(240)


def test_one_seed_beside_several_has_no_test_over_seeds(tmp_path):
    write_run(tmp_path / "a", 0.5, seed=9)
    write_seeds(tmp_path / "b", 0.8, [1, 2])
    result = compare_runs(tmp_path / "a", tmp_path / "b", draws=100)
    assert result["p_value_seeds"] is None and result["p_value"] < 0.05
    assert [len(scores) for scores in result["weighted_f1_by_seed"]] == [1, 2]


def test_an_ensemble_of_a_folder_of_seeds_is_that_of_its_runs(tmp_path):
    write_seeds(tmp_path, 0.6, [1, 2, 3])
    together, table = ensemble_runs([tmp_path])
    apart, same = ensemble_runs([tmp_path / f"seed-{seed}" for seed in (1, 2, 3)])
    assert together.weighted_f1 == apart.weighted_f1 and table["prediction"][:] == same["prediction"][:]
    with pytest.raises(EvaluationError, match="named twice"):
        ensemble_runs([tmp_path, tmp_path / "seed-2"])
