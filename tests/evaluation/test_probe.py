import json

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, Value
from matplotlib import image

from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.probe import FOREST, PERCEPTRON, VECTOR_MACHINE, probe_cues, write_probes

LABELS = ["calm", "tense"]
LEVELS = ["low", "medium", "high"]


def rows(seed: int, size: int = 300) -> Dataset:
    """Pitch tells the label, loudness nothing; every tenth value is missing, the last row has no label."""
    generator = np.random.default_rng(seed)
    labels = generator.choice(2, size)
    pitch = 2.0 * labels - 1 + generator.normal(0, 0.5, size)
    loudness = generator.normal(0, 1, size)
    columns = {"emotion": [*labels[:-1].tolist(), None]}
    for name, values in (("f0_mean_hz", pitch), ("intensity_mean_db", loudness)):
        known = np.arange(size) % 10 != 0
        levels = np.digitize(values, [-0.5, 0.5])
        columns[f"{name}_z"] = [float(v) if k else None for v, k in zip(values, known, strict=True)]
        columns[f"{name}_level"] = [LEVELS[level] if k else None for level, k in zip(levels, known, strict=True)]
    types = {name: Value("string" if name.endswith("level") else "float64") for name in columns}
    return Dataset.from_dict(columns, features=Features({**types, "emotion": ClassLabel(names=LABELS)}))


@pytest.mark.parametrize("representation", ["z", "level"])
def test_every_classifier_finds_the_cue_that_tells(representation):
    probes = probe_cues(rows(0), rows(1), representation=representation)
    assert [probe.classifier for probe in probes] == [FOREST, VECTOR_MACHINE, PERCEPTRON]
    for probe in probes:
        assert probe.results["n"] == 299
        assert probe.results["weighted_f1"] > 0.8
    importance = probes[0].importance
    assert sum(importance.values()) == pytest.approx(1)
    assert importance["f0_mean_hz"] > 2 * importance["intensity_mean_db"]


def test_a_cue_that_tells_nothing_finds_nothing():
    probes = probe_cues(rows(0), rows(1), cues=["intensity_mean_db"])
    assert all(probe.results["accuracy"] < 0.6 for probe in probes)


@pytest.mark.parametrize("representation", ["z", "level"])
def test_rows_of_which_none_was_measured_are_refused(representation):
    empty = rows(0).map(lambda row: {name: None for name in row if name != "emotion"}, features=rows(0).features)
    with pytest.raises(EvaluationError, match="no clip of the train split was measured"):
        probe_cues(empty, rows(1), representation=representation)


def test_table_and_pictures_are_written(tmp_path):
    write_probes(tmp_path, probe_cues(rows(0), rows(1)))
    table = json.loads((tmp_path / "probe.json").read_text())
    assert set(table) == {FOREST, VECTOR_MACHINE, PERCEPTRON}
    pictures = sorted(path.name for path in tmp_path.glob("*.png"))
    assert pictures == [
        "confusion_perceptron.png",
        "confusion_random_forest.png",
        "confusion_support_vector_machine.png",
        "importance.png",
    ]
    assert all(image.imread(tmp_path / name).std() > 0.01 for name in pictures)


def test_what_does_not_fit_is_named():
    with pytest.raises(EvaluationError, match="no column hnr_mean_db_z"):
        probe_cues(rows(0), rows(1), cues=["hnr_mean_db"])
    with pytest.raises(EvaluationError, match="Run `speechcue describe` first"):
        probe_cues(rows(0).select_columns("emotion"), rows(1))
    with pytest.raises(EvaluationError, match="different labels: calm, tense; tense, calm"):
        probe_cues(rows(0), rows(1).cast_column("emotion", ClassLabel(names=LABELS[::-1])))
    with pytest.raises(EvaluationError, match="no labelled rows"):
        probe_cues(rows(0), rows(1).select([299]))
    with pytest.raises(ValueError, match="representation"):
        probe_cues(rows(0), rows(1), representation="raw")
