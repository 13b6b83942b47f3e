"""A described dataset as a task of an evaluation harness: prompts and labels as a model's chat template renders them.

A harness puts texts into tokens and adds up the log-likelihood of each choice. It is therefore given each prompt up to
where the answer begins, and each label with its end token, so that it scores what ``speechcue evaluate`` scores.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from datasets import Dataset

from speechcue_hf.corpora.parquet import read_dataset
from speechcue_hf.corpora.writing import whole_folder
from speechcue_hf.errors import PublishingError
from speechcue_hf.inference.chat import ChatClassifier
from speechcue_hf.inference.context import ModelContext
from speechcue_hf.models.loading import hub_commit, load_tokenizer, model_type
from speechcue_hf.progress import progress
from speechcue_hf.prompts.budget import TokenBudget
from speechcue_hf.prompts.build import build_prompts, label_names
from speechcue_hf.prompts.encoding import completions_as_text
from speechcue_hf.templates import own_templates

Harness = Literal["lm-eval", "lighteval"]
HARNESSES: tuple[Harness, ...] = get_args(Harness)
ROWS_FOLDER = "data"
"""In the folder of a task: a JSONL for each split."""

_FILES: Mapping[Harness, Mapping[str, str]] = {
    "lm-eval": {"task.yaml": "lm_eval_task.yaml.jinja", "lm_eval_task.py": "lm_eval_task.py.jinja"},
    "lighteval": {"lighteval_task.py": "lighteval_task.py.jinja"},
}


def task_name(source: Path) -> str:
    """Name of the task that a dataset folder becomes.

    Example:
        >>> task_name(Path("data/meld described"))
        'speechcue_meld_described'
    """
    return f"speechcue_{re.sub(r'[^A-Za-z0-9]+', '_', source.resolve().name).strip('_').lower()}"


def write_harness(
    source: Path, target: Path, harness: Harness, model: str, *, revision: str | None = None, prompt: str | None = None
) -> dict[str, tuple[int, int]]:
    """Write a dataset folder as a task of an evaluation harness, for a model.

    Args:
        source: What ``speechcue describe`` wrote.
        target: A new folder. It gets ``data/<split>.jsonl`` and what tells the harness of them.
        harness: One of ``HARNESSES``.
        model: Folder or Hub id of a chat model or of a run of this package, whose chat template renders the prompts;
            its weights are not loaded.
        revision: Branch, tag or commit of the model on the Hub.
        prompt: Preset, prompt file or settings; None takes the one beside the model, else ``speechcue``.

    Returns:
        For each split, how many rows were written, and how many left out that have no label.

    Raises:
        PublishingError: If the target is not empty, no row has a label, or the model is no chat model.
        PromptError: If the chat template garbles prompts or labels, or the dataset lacks what the prompt needs.
        OSError: If there is no model of that name.
    """
    if target.exists() and any(target.iterdir()):
        raise PublishingError(f"{target} is not empty: name a new folder")
    if model_type(model, revision) in ("bioserc", "semollm"):
        raise PublishingError(f"{harness} asks chat models by their prompts, and {Path(model).name} reads none")
    dataset = read_dataset(source)
    names = label_names(next(iter(dataset.values())).features)
    context = ModelContext(model, hub_commit(model, revision), prompt=prompt, names=names, train=dataset.get("train"))
    # Scoring has no part in it: the weights are the harness's to load.
    classifier = ChatClassifier.of(None, load_tokenizer(model, context.revision), context)
    counts = {}
    with whole_folder(target) as unfinished:
        (unfinished / ROWS_FOLDER).mkdir()
        for split, rows in dataset.items():
            counts[str(split)] = _write_split(rows, classifier, unfinished / ROWS_FOLDER / f"{split}.jsonl")
        if not any(written for written, _ in counts.values()):
            raise PublishingError(f"no row of {source} has a label, so there is nothing to evaluate")
        written = [split for split, (count, _) in counts.items() if count]
        facts = {
            "task": task_name(source),
            "splits": written,
            "scored": "test" if "test" in written else written[-1],
            "prompt": classifier.prompt.named,
            "folder": ROWS_FOLDER,
        }
        for name, template in _FILES[harness].items():
            text = own_templates("hub/templates", documents=True).get_template(template).render(**facts)
            (unfinished / name).write_text(text.strip() + "\n", encoding="utf-8")
    return counts


def _write_split(rows: Dataset, classifier: ChatClassifier, path: Path) -> tuple[int, int]:
    """Write the labelled rows of a split: how many there are, and how many have no label."""
    tokenizer, limit = classifier.tokenizer, classifier.token_budget
    budget = None if limit is None else TokenBudget(tokenizer, limit)
    questions = build_prompts(rows, classifier.prompt, budget=budget, train=classifier.train)
    labelled = questions.select([place for place, emotion in enumerate(questions["emotion"]) if emotion is not None])
    if len(labelled):
        with path.open("w", encoding="utf-8") as file:
            for row in progress(labelled, f"Rendering {path.stem}", "prompts"):
                file.write(json.dumps(_line(row, classifier), ensure_ascii=False) + "\n")
    return len(labelled), len(rows) - len(labelled)


def _line(row: Mapping[str, Any], classifier: ChatClassifier) -> dict[str, Any]:
    prompt, choices = completions_as_text(classifier.tokenizer, row["prompt"], classifier.words)
    ids = {name: row[name] for name in ("dialogue_id", "utterance_id")}
    return {**ids, "prompt": prompt, "choices": choices, "label": row["emotion"]}
