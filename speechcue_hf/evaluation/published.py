"""Scores that papers report, to stand beside ours."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from speechcue_hf.records import ResultsRecord


def published_figures(results: ResultsRecord) -> list[dict[str, Any]]:
    """Published scores of the same corpus and task, where ours is of the test split; else none.

    Returns:
        Of each its ``method`` and ``variant``, ``metric``, ``value`` in per cent, what the model ``sees`` (``history``,
        ``future``, ``clip``), the split it was ``selected_on`` and the ``source``; None for what is not known.
    """
    corpus = results.corpus or {}
    text = (files("speechcue_hf.evaluation") / "published_figures.json").read_text(encoding="utf-8")
    wanted = (corpus.get("name"), corpus.get("task"), results.split)
    return [figure for figure in json.loads(text) if (figure["corpus"], figure["task"], "test") == wanted]
