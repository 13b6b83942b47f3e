"""How much emotion the measurements carry by themselves: three classifiers on z-scores or levels, no language model.

The classifiers are those of SpeechCueLLM (NAACL 2025 Findings): a random forest of 100 trees, a support vector machine
with an RBF kernel and a perceptron with hidden layers of 100 and 50. What the paper does not state was chosen so that
the table on the published MELD measurements agrees with it (``benchmarks/probe.md``): seven cues as z-scores; as levels
the five cues that the paper's description words, an indicator for each level; a missing value as 0; rows in speaking
order; the perceptron trained until it converges; double precision, as single makes its accuracy depend on the machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from datasets import Dataset
from sklearn.ensemble import RandomForestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

from speechcue_hf.errors import EvaluationError
from speechcue_hf.evaluation.plots import plot_confusion_matrix, plot_importance
from speechcue_hf.metrics.scores import classification_metrics
from speechcue_hf.pictures import picture_files
from speechcue_hf.progress import progress
from speechcue_hf.records import write_json

Representation = Literal["z", "level"]

FOREST, VECTOR_MACHINE, PERCEPTRON = "random forest", "support vector machine", "perceptron"
VOICE = (
    "intensity_mean_db",
    "intensity_sd_db",
    "f0_mean_hz",
    "f0_sd_hz",
    "f0_range_hz",
    "articulation_rate_per_s",
    "hnr_mean_db",
)
DESCRIBED = ("intensity_mean_db", "intensity_sd_db", "f0_mean_hz", "f0_sd_hz", "articulation_rate_per_s")
PUBLISHED_CUES: dict[Representation, tuple[str, ...]] = {"z": VOICE, "level": DESCRIBED}
"""Cues of the published table: the paper's eight without the duration, and those that its description words."""
PERCEPTRON_EPOCHS = 500
"""Passes of the perceptron over the training rows, if it does not converge before."""


@dataclass(frozen=True)
class Probe:
    """What one classifier makes of the measurements.

    Attributes:
        classifier: Its name.
        results: The scores of ``classification_metrics`` on the test rows.
        importance: Share of each cue in the forest's decisions, adding up to 1; None for the other classifiers.
    """

    classifier: str
    results: dict[str, Any]
    importance: dict[str, float] | None


def probe_cues(
    train: Dataset,
    test: Dataset,
    *,
    representation: Representation = "z",
    cues: Sequence[str] | None = None,
    seed: int = 42,
) -> list[Probe]:
    """Fit the classifiers on the cues of one split and score them on another.

    Args:
        train: Described rows, from ``describe_dataset``; rows without an emotion are left out.
        test: Described rows that share nothing with them.
        representation: ``"z"`` takes ``<cue>_z``, a missing value counting as the mean, 0; ``"level"`` takes
            ``<cue>_level`` as an indicator for each level, none of which a missing one has.
        cues: Measurement columns; None takes those of ``PUBLISHED_CUES`` that were described.
        seed: For forest and perceptron.

    Returns:
        One entry for each classifier: forest, vector machine, perceptron.

    Raises:
        EvaluationError: If a cue was not described, nothing of ``train`` was measured, the label sets differ or a split
            has no labelled rows.
        ValueError: If ``representation`` is unknown.
    """
    if representation not in ("z", "level"):
        raise ValueError(f'representation must be "z" or "level", got {representation!r}')
    chosen = _cues(train, test, representation) if cues is None else list(cues)
    labels = _label_names(train, test)
    if all(value is None for cue in chosen for value in _column(train, f"{cue}_{representation}")):
        raise EvaluationError(
            "no clip of the train split was measured, so there is nothing to learn from: its column measurement_note "
            "has the reasons"
        )
    levels = None
    if representation == "level":
        found = {level for cue in chosen for level in _column(train, f"{cue}_level")}
        levels = sorted(found - {None})
    (x_train, y_train), (x_test, y_test) = (_matrix(rows, chosen, levels) for rows in (train, test))
    classifiers: dict[str, Any] = {
        FOREST: RandomForestClassifier(n_estimators=100, random_state=seed),
        VECTOR_MACHINE: SVC(kernel="rbf"),
        PERCEPTRON: MLPClassifier(hidden_layer_sizes=(100, 50), max_iter=PERCEPTRON_EPOCHS, random_state=seed),
    }
    probes = []
    for name, classifier in progress(list(classifiers.items()), "Probing cues", "classifiers"):
        classifier.fit(x_train, y_train)
        results = classification_metrics(y_test.tolist(), classifier.predict(x_test).tolist(), labels)
        importance = _importance(classifier, chosen) if name == FOREST else None
        probes.append(Probe(name, results, importance))
    return probes


def write_probes(folder: Path, probes: Sequence[Probe], *, picture_format: str = "png") -> None:
    """Write ``probe.json``, a confusion matrix for each classifier and the importance of the cues into a folder.

    Args:
        folder: Where they go.
        probes: The classifiers.
        picture_format: ``svg`` draws pictures as SVG, too.
    """
    for probe in probes:
        name, counts = probe.classifier.replace(" ", "_"), probe.results["confusion_matrix"]
        title = f"{probe.classifier}: weighted F1 {100 * probe.results['weighted_f1']:.1f} %"
        for path in picture_files(folder / f"confusion_{name}.png", picture_format):
            plot_confusion_matrix(np.array(counts["counts"]), counts["rows"], path, title=title)
        if probe.importance is not None:
            for path in picture_files(folder / "importance.png", picture_format):
                plot_importance(probe.importance, path, title="Importance of the cues (random forest)")
    table = {probe.classifier: {**probe.results, "importance": probe.importance} for probe in probes}
    write_json(table, folder / "probe.json")


def _cues(train: Dataset, test: Dataset, representation: Representation) -> list[str]:
    """Cues of the published table that both splits have."""
    columns = {*train.column_names} & {*test.column_names}
    shared = [cue for cue in PUBLISHED_CUES[representation] if f"{cue}_{representation}" in columns]
    if not shared:
        raise EvaluationError(
            f"The dataset has no column <cue>_{representation} for any of {', '.join(PUBLISHED_CUES[representation])}. "
            "Run `speechcue describe` first, or name other cues."
        )
    return shared


def _label_names(train: Dataset, test: Dataset) -> list[str]:
    names = [list(rows.features["emotion"].names) for rows in (train, test)]
    if names[0] != names[1]:
        raise EvaluationError(f"The splits have different labels: {', '.join(names[0])}; {', '.join(names[1])}.")
    return names[0]


def _matrix(rows: Dataset, cues: Sequence[str], levels: Sequence[str] | None) -> tuple[np.ndarray, np.ndarray]:
    """Features ``(rows, cues)``, or ``(rows, cues * levels)``, and classes ``(rows,)`` of the labelled rows."""
    emotions = rows["emotion"]
    labelled = [row for row, emotion in enumerate(emotions) if emotion is not None]
    if not labelled:
        raise EvaluationError("A split has no labelled rows, so there is nothing to learn or to compare with.")
    columns = [_z_scores(rows, cue) if levels is None else _indicators(rows, cue, levels) for cue in cues]
    return np.hstack(columns)[labelled], np.array([emotions[row] for row in labelled])


def _column(rows: Dataset, name: str) -> list[Any]:
    if name not in rows.column_names:
        raise EvaluationError(f"The dataset has no column {name}. Name cues that `speechcue describe` worded.")
    return list(rows[name])


def _z_scores(rows: Dataset, cue: str) -> np.ndarray:
    column = np.array(_column(rows, f"{cue}_z"), dtype=float)
    return np.where(np.isnan(column), 0.0, column)[:, None]


def _indicators(rows: Dataset, cue: str, levels: Sequence[str]) -> np.ndarray:
    return np.array([[value == level for level in levels] for value in _column(rows, f"{cue}_level")], dtype=float)


def _importance(forest: RandomForestClassifier, cues: Sequence[str]) -> dict[str, float]:
    shares = forest.feature_importances_.reshape(len(cues), -1).sum(axis=1)
    return {cue: float(share) for cue, share in zip(cues, shares, strict=True)}
