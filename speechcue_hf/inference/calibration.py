"""Contextual calibration: what a model says before it is told anything.

A small model that was not trained on the task rates labels by how common their words are. Zhao et al. (2021, "Calibrate
Before Use", ICML) ask it the same question with its content left blank, and divide by what it answers. Here blank are
all that is said and heard in the conversation and what is told of the speakers: turns, descriptions, impressions,
levels and biographies. Instruction, labels, demonstrations, and names of the speakers in their order stay.
"""

from __future__ import annotations

from datasets import Dataset

_CONTENT = ("text", "speech_description", "speech_impression", "biography")


def blank_rows(rows: Dataset) -> Dataset:
    """The same turns, in which nothing is said.

    Args:
        rows: Of whole dialogues.

    Returns:
        The rows with their ids, speakers and emotions; their texts are empty and their levels null.

    Example:
        >>> set(blank_rows(described["test"])["text"])
        {''}
    """
    blank = {name: "" for name in rows.column_names if name in _CONTENT}
    blank |= {name: None for name in rows.column_names if name.endswith("_level")}
    for name, value in blank.items():
        rows = rows.remove_columns(name).add_column(name, [value] * len(rows), feature=rows.features[name])
    return rows
