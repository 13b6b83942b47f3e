"""Pictures of evaluation results, drawn without a display."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from speechcue_hf.pictures import LINES, SCALE, one_look, save_picture, shade


@one_look
def plot_confusion_matrix(counts: np.ndarray, labels: Sequence[str], path: Path, *, title: str) -> None:
    """Draw a confusion matrix: shade and percentage by row, count in brackets.

    Args:
        counts: Shape ``(labels, labels + 1)``, invalid answers in the last column, which is left out when empty.
        labels: Name of each class.
        path: Where the PNG or SVG goes.
        title: Of the picture.
    """
    columns = [*labels, "invalid"]
    if not counts[:, -1].any():
        counts, columns = counts[:, :-1], columns[:-1]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(2.4 + 0.9 * len(columns), 2.0 + 0.7 * len(labels)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap=SCALE, vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=30, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    for (row, column), share in np.ndenumerate(shares):
        text = f"{share:.0%}\n({counts[row, column]})"
        axes.text(column, row, text, ha="center", va="center", color=shade(share)[1])
    figure.colorbar(image, ax=axes, label="share of the true class")
    save_picture(figure, path, title)


@one_look
def plot_importance(importance: Mapping[str, float], path: Path, *, title: str) -> None:
    """Draw how much each cue adds to a decision, from its name and share, the greatest on top."""
    ranked = sorted(importance.items(), key=lambda item: item[1])
    figure = Figure(figsize=(7.5, 1.4 + 0.3 * len(ranked)), layout="constrained")
    axes = figure.subplots()
    axes.barh([cue for cue, _ in ranked], [share for _, share in ranked], color=LINES[0])
    axes.set(xlabel="share of the decisions", title=title)
    axes.spines[["top", "right"]].set_visible(False)
    save_picture(figure, path, title)


@one_look
def plot_probability_shifts(shifts: Mapping[str, Mapping[str, float]], path: Path, *, title: str) -> None:
    """Draw how the probability of each label changes with each intervention: intervention → label → mean change."""
    names, labels = list(shifts), list(next(iter(shifts.values())))
    values = np.array([[100 * shifts[name][label] for label in labels] for name in names])
    limit = max(float(np.abs(values).max()), 1.0)
    figure = Figure(figsize=(3.5 + 0.9 * len(labels), 1.8 + 0.45 * len(names)), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(values, cmap=SCALE, vmin=-limit, vmax=limit, aspect="auto")
    axes.set_xticks(range(len(labels)), labels, rotation=30, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_title(title)
    for (row, column), value in np.ndenumerate(values):
        color = shade((value + limit) / (2 * limit))[1]
        axes.text(column, row, f"{value:+.1f}", ha="center", va="center", color=color)
    figure.colorbar(image, ax=axes, label="percentage points")
    save_picture(figure, path, title)
