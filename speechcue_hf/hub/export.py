"""Prompts or captions as files that other fine-tuning tools read: a JSONL for each split, with clips as wav beside."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import quote

import numpy as np
import soundfile
from datasets import Dataset, DatasetDict

from speechcue_hf.audio import read_sound
from speechcue_hf.corpora.parquet import read_dataset
from speechcue_hf.corpora.writing import LOCK, PUBLISHING, UNFINISHED, whole_folder
from speechcue_hf.cues.measure import tell_unmeasured
from speechcue_hf.decoders import Sound
from speechcue_hf.errors import AudioError, PublishingError
from speechcue_hf.progress import progress
from speechcue_hf.prompts.build import build_prompts
from speechcue_hf.records import write_json
from speechcue_hf.templates import own_templates

Tool = Literal["llama-factory", "ms-swift", "axolotl", "openai"]
TOOLS: tuple[Tool, ...] = get_args(Tool)
"""That fine-tune; those that evaluate are ``speechcue_hf.hub.harness.HARNESSES``."""
AUDIO_FOLDER = "audio"
"""In the folder of an export: its clips."""

_KEPT = ("dialogue_id", "utterance_id", "task")
"""Columns that go along where a tool does not mind columns it does not know."""
_TAGS = {"role_tag": "role", "content_tag": "content"} | {
    f"{role}_tag": role for role in ("user", "assistant", "system")
}

Row = Mapping[str, Any]
Message = dict[str, Any]


# What fine-tuning tools put a clip, a picture or a reasoning in place of, and what rules a conversation in one of the
# usual templates; a transcript may hold such words too.
_TAG = re.compile(r"<(?=(?:/?(?:audio|image|video|s|think|tool_call|start_of_turn|end_of_turn)|\|[^<>|\s]+\|)>)")


@dataclass(frozen=True)
class Exported:
    """What became of the rows of a split: some are left out, since they have no label or caption, or no clip."""

    written: int
    unanswered: int
    unheard: Mapping[str, str]
    """Utterances whose rows were left out → why their clip cannot be decoded."""


def export_dataset(
    source: Path, target: Path, tool: Tool, *, prompt: str | None = None, clips: Path | None = None
) -> dict[str, Exported]:
    """Write a dataset folder in the format of another fine-tuning tool; splits stay apart.

    Args:
        source: What ``speechcue describe`` or ``speechcue caption`` wrote.
        target: A new folder. It gets ``<split>.jsonl``, and what tells the tool of them: ``dataset_info.json`` for
            LLaMA-Factory, ``axolotl.yaml`` for axolotl; the others need no more than the JSONL.
        tool: One of ``TOOLS``.
        prompt: Preset or prompt file for described rows; None takes ``speechcue``. Captions have their own questions.
        clips: Dataset folder with the clips, which rows are then about; they are written as wav, 16 bit, at their own
            rate. Captions need it.

    Returns:
        For each split, what became of its rows.

    Raises:
        PublishingError: If the target is not empty, an argument does not fit the rows or the tool, an utterance has no
            row among the clips, or no row has an answer.
        PromptError: If the dataset lacks what the prompt needs.
        CorpusError: If a folder holds no dataset.
    """
    dataset = read_dataset(source)
    captioned = "caption" in next(iter(dataset.values())).column_names
    _check(target, tool, captioned, prompt, clips)
    tell_unmeasured(dataset, source)
    rows = dataset if captioned else build_prompts(dataset, prompt or "speechcue")
    heard = None if clips is None else read_dataset(clips)
    with whole_folder(target) as unfinished:
        exported = {str(split): _write_split(str(split), part, heard, unfinished, tool) for split, part in rows.items()}
        written = [split for split, part in exported.items() if part.written]
        if not written:
            raise PublishingError(f"no row of {source} has a label or a caption, so there is nothing to train on")
        _write_stub(source.name, written, unfinished, tool, clips is not None)
    return exported


def _check(target: Path, tool: Tool, captioned: bool, prompt: str | None, clips: Path | None) -> None:
    if tool not in TOOLS:
        raise PublishingError(f"there is no format {tool!r}: choose from {', '.join(TOOLS)}")
    there = {path.name for path in target.iterdir()} if target.exists() else set()
    # What a killed export was moving to its place is gone on with.
    if there - {UNFINISHED} and not there & {PUBLISHING, LOCK}:
        raise PublishingError(f"{target} is not empty: name a new folder, so that files of two exports do not mix")
    if captioned and prompt is not None:
        raise PublishingError("captions have questions of their own: leave out the prompt")
    if captioned and clips is None and tool != "openai":
        raise PublishingError("captions are about clips: name the folder with the clips too (--audio)")
    if tool == "openai" and (captioned or clips is not None):
        raise PublishingError(
            "OpenAI fine-tunes on text and pictures, not on audio: export a described dataset without its clips"
        )


def _write_split(split: str, rows: Dataset, clips: DatasetDict | None, target: Path, tool: Tool) -> Exported:
    answered = rows.select([place for place, answer in enumerate(rows["completion"]) if answer is not None])
    if not len(answered):
        return Exported(0, len(rows), {})
    paths, unheard = ({}, {}) if clips is None else _write_clips(split, answered["utterance_id"], clips, target)
    written = 0
    with (target / f"{split}.jsonl").open("w", encoding="utf-8") as file:
        for row in answered:
            name = row["utterance_id"]
            if name not in unheard:
                file.write(json.dumps(_line(row, paths.get(name), tool), ensure_ascii=False) + "\n")
                written += 1
    return Exported(written, len(rows) - len(answered), unheard)


def _line(row: Row, path: str | None, tool: Tool) -> dict[str, Any]:
    messages = _messages(row, path)
    if tool == "openai":
        return {"messages": [*_weighed(messages[:-1]), messages[-1]]}
    kept = {name: row[name] for name in _KEPT if name in row}
    if path is None or tool == "axolotl":
        return {"messages": messages if path is None else [_in_parts(it, path) for it in messages], **kept}
    return {"messages": [_tagged(message) for message in messages], "audios": [path], **kept}


def _messages(row: Row, path: str | None) -> list[Message]:
    """Question and answer; with a clip, the last message that asks begins with it if none does."""
    question, answer = ([_as_text(message) for message in row[name]] for name in ("prompt", "completion"))
    if path is not None and isinstance(question[-1]["content"], str):
        parts = [{"type": "audio", "text": None}, {"type": "text", "text": question[-1]["content"]}]
        question[-1] = {"role": question[-1]["role"], "content": parts}
    return [{"role": message["role"], "content": message["content"]} for message in (*question, *answer)]


def _as_text(message: Message) -> Message:
    """The message with a blank in what a tool would take for more than text, such as ``<audio>``."""
    content = message["content"]
    if isinstance(content, str):
        return message | {"content": _TAG.sub("< ", content)}
    return message | {"content": [part | {"text": _TAG.sub("< ", part["text"] or "") or None} for part in content]}


def _tagged(message: Message) -> Message:
    """The message with the tag ``<audio>`` where the clip is."""
    content = message["content"]
    if not isinstance(content, str):
        content = "".join("<audio>" if part["type"] == "audio" else part["text"] for part in content)
    return {"role": message["role"], "content": content}


def _in_parts(message: Message, path: str) -> Message:
    """The message as a list of parts, with the path of the clip."""
    content = message["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    named = [
        {"type": "audio", "path": path} if part["type"] == "audio" else {"type": "text", "text": part["text"]}
        for part in parts
    ]
    return {"role": message["role"], "content": named}


def _weighed(messages: Iterable[Message]) -> list[Message]:
    """Earlier answers, those of demonstrations, without weight in the loss."""
    return [message | ({"weight": 0} if message["role"] == "assistant" else {}) for message in messages]


def _write_clips(
    split: str, utterances: Iterable[str], clips: DatasetDict, target: Path
) -> tuple[dict[str, str], dict[str, str]]:
    """Write the clips of a split: utterance → path in the folder, and utterance → why it cannot be decoded."""
    rows = clips.get(split, Dataset.from_dict({"utterance_id": []}))
    places = {name: place for place, name in enumerate(rows["utterance_id"])}
    requested = list(dict.fromkeys(utterances))
    if missing := [name for name in requested if name not in places]:
        raise PublishingError(
            f"the clips have no row for {missing[0]!r} of {split} (and {len(missing) - 1} more): name the folder that "
            "was measured, as `speechcue prepare` wrote it"
        )
    (target / AUDIO_FOLDER / split).mkdir(parents=True, exist_ok=True)
    paths, unheard = {}, {}
    for name in progress(requested, f"Writing clips of {split}", "clips"):
        path = f"{AUDIO_FOLDER}/{split}/{quote(name, safe='')}.wav"
        try:
            _write_wav(rows[places[name]]["audio"], target / path)
            paths[name] = path
        except AudioError as error:
            unheard[name] = str(error)
    return paths, unheard


def _write_wav(audio: Mapping[str, Any] | None, path: Path) -> None:
    if audio is None:
        raise AudioError("audio missing")

    def write(sound: Sound) -> None:
        with soundfile.SoundFile(path, "w", sound.rate, sound.channels, "PCM_16") as file:
            for block in sound.blocks():
                file.write(np.clip(block.T, -1, 1))

    read_sound(audio, write)


def _write_stub(name: str, splits: Iterable[str], target: Path, tool: Tool, with_clips: bool) -> None:
    """Write what tells a tool of the files."""
    if tool == "llama-factory":
        columns = {"messages": "messages"} | ({"audios": "audios"} if with_clips else {})
        entry = {"formatting": "sharegpt", "columns": columns, "tags": _TAGS}
        prefix = re.sub(r"\W", "_", name)
        info = {f"{prefix}_{split}": {"file_name": f"{split}.jsonl", **entry} for split in splits}
        write_json(info, target / "dataset_info.json")
    if tool == "axolotl":
        template = own_templates("hub/templates", documents=True).get_template("axolotl.yaml.jinja")
        text = template.render(splits=list(splits), with_clips=with_clips)
        (target / "axolotl.yaml").write_text(text.strip() + "\n", encoding="utf-8")
