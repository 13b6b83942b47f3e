"""How a model is used, shown on two turns of the demo corpus: a program that runs as it stands, and the prompt."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from datasets import ClassLabel, Dataset

from speechcue_hf.hub.run_records import RunRecords
from speechcue_hf.prompts.build import build_prompts, needed_columns
from speechcue_hf.prompts.specification import PromptSpecification
from speechcue_hf.templates import own_templates

_CONVERSATION = (
    {
        "speaker": "Sam",
        "gender": "male",
        "text": "Have you seen my keys anywhere?",
        "biography": "Sam shares a flat with Nora and mislays his things.",
        "clip": "keys_00.ogg",
    },
    {
        "speaker": "Nora",
        "gender": "female",
        "text": "They were on the shelf this morning.",
        "biography": "Nora keeps the flat tidy and is patient with Sam.",
        "clip": "keys_01.ogg",
    },
)
_DESCRIBED = {
    "duration_s": 1.5,
    "speech_description": "This turn is spoken louder and faster than usual.",
    "speech_impression": "The speaker sounds lively.",
    "biography_scope": "history",
}
"""What descriptions look like, for a prompt that is only shown."""


def usage_example(run: RunRecords, *, source: str) -> str:
    """Write a program that asks the model about two turns of the demo corpus; it runs as it stands.

    Args:
        run: The model's records.
        source: Id of the model on the Hub, or its folder.

    Returns:
        Python source.
    """
    speech = run.training.kind == "speech"
    shown = [name for name in ("speaker", "gender", "text") if not speech]
    shown += ["biography"] if run.includes_biographies else []
    tasks = list(run.captions.tasks) if run.captions else ["style"]
    return (
        own_templates("hub/templates", documents=True)
        .get_template(_template(run))
        .render(
            source=source,
            turns=[{name: turn[name] for name in shown} for turn in _CONVERSATION],
            clips=[turn["clip"] for turn in _CONVERSATION] if run.hears or speech else None,
            literal=partial(json.dumps, ensure_ascii=False),
            few_shot=run.prompt is not None and run.prompt.demonstrations > 0,
            task=tasks[0],
        )
    )


def example_prompt(prompt: PromptSpecification, names: Sequence[str]) -> list[dict[str, str]]:
    """Render a prompt for the second of the two turns.

    Args:
        prompt: The prompt; solved rows that it shows are left out, as they come from a training split.
        names: Names of the labels.

    Returns:
        The messages.
    """
    shown = replace(prompt, demonstrations=0)
    levels = {name: "high" for name in needed_columns(shown) if name.endswith("_level")}
    rows: list[dict[str, Any]] = [
        {**_DESCRIBED, **levels, **turn, "dialogue_id": "keys", "utterance_id": f"keys_{place}", "turn": place}
        for place, turn in enumerate(_CONVERSATION)
    ]
    columns = Dataset.from_list([row | {"emotion": None} for row in rows])
    questions = build_prompts(columns.cast_column("emotion", ClassLabel(names=list(names))), shown)
    messages: list[dict[str, str]] = questions[1]["prompt"]
    return messages


def _template(run: RunRecords) -> str:
    """A model of labels is asked for emotions, a SEmoLLM without them for captions, and stage 1 for nothing."""
    if run.labels:
        return "example.py.jinja"
    return "pretraining_example.py.jinja" if run.training.stage == 1 else "caption_example.py.jinja"
